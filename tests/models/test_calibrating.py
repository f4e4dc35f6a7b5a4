"""Calibration: maps against scikit-learn's, what is promised of them, and where data are refused or doubted."""

import re
import warnings

import keras
import numpy as np
import pytest
import sklearn
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from kmix_tf import RescaledModel
from kmix_tf.models.calibrating.comparing import _recommended
from kmix_tf.models.calibrating.fits import fit
from kmix_tf.models.calibrating.held_out import warn_of_doubts
from kmix_tf.models.calibrating.maps import Temperature
from kmix_tf.models.calibrating.rows import Rows
from kmix_tf.models.calibrating.scores import Scored, Scores, scored
from kmix_tf.models.calibrating.seen import Seen, hashes_of

SIZE, CLASSES = 400, 4
ENDINGS = {
    "logits": None,
    "probabilities": "softmax",
    "multilabel_logits": None,
    "multilabel_probabilities": "sigmoid",
    "regression": None,
}


def drawn(seed=0, size=SIZE, units=CLASSES, sharpness=2.0):
    """Logits, and labels that have the probabilities of `sharpness` times these: too modest by that factor."""
    generator = np.random.default_rng(seed)
    logits = 1.5 * generator.normal(size=(size, units))
    if units == 1:
        return logits.astype("f4"), (generator.random(size) < expit(sharpness * logits[:, 0])).astype(int)
    chances = softmax(sharpness * logits, axis=1).cumsum(axis=1)
    labels = (generator.random((size, 1)) > chances).sum(axis=1)
    return logits.astype("f4"), np.minimum(labels, units - 1)


def several(seed=0, size=SIZE, units=CLASSES):
    generator = np.random.default_rng(seed)
    logits = 1.5 * generator.normal(size=(size, units))
    return logits.astype("f4"), (generator.random((size, units)) < expit(2 * logits)).astype(int)


def passing(units=CLASSES, activation=None, output="logits", alpha=1.0):
    """A rescaled model that answers with its input, adapted to data of its own."""
    dense = keras.layers.Dense(units, activation, use_bias=False)
    model = keras.Sequential([keras.layers.Input((units,)), dense])
    model.set_weights([np.eye(units)])
    rescaled = RescaledModel(model, alpha, output)
    x = np.random.default_rng(99).normal(size=(40, units)).astype("f4")
    y = x if output == "regression" else np.arange(40) % max(units, 2)
    if output.startswith("multilabel"):
        y = np.arange(40 * units).reshape(40, units) % 2
    rescaled.adapt(x, y)
    return rescaled


def as_rows(y, kind="logits", units=CLASSES, weights=None):
    rows = Rows(kind, units)
    targets = np.eye(units)[y] if y.ndim == 1 and units > 1 else y.reshape(len(y), units)
    rows.add({}, targets, np.ones(len(y)) if weights is None else weights, 0)
    return rows.complete()


def cross_entropy(logits, y):
    return -log_softmax(np.asarray(logits, "f8"), axis=1)[np.arange(len(y)), y].mean()


class TestTemperature:
    @pytest.mark.skipif(sklearn.__version__ < "1.8", reason="scikit-learn has temperatures from 1.8 on")
    @pytest.mark.parametrize("sharpness", (0.4, 1.0, 3.0))
    def test_it_is_that_of_scikit_learn(self, sharpness):
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.frozen import FrozenEstimator

        class Passing(ClassifierMixin, BaseEstimator):
            def fit(self, x, y):
                self.classes_ = np.unique(y)
                return self

            def decision_function(self, x):
                return x

            def predict(self, x):
                return x.argmax(axis=1)

        x, y = drawn(sharpness=sharpness)
        theirs = CalibratedClassifierCV(FrozenEstimator(Passing().fit(x, y)), method="temperature").fit(x, y)
        rescaled = passing()
        found = rescaled.calibrate(x, y)
        assert found.temperature == pytest.approx(1 / sharpness, rel=0.2)
        test = drawn(1)[0]
        ours = softmax(rescaled.predict(test, verbose=0), axis=1)
        np.testing.assert_allclose(ours, theirs.predict_proba(test), atol=3e-4)

    @pytest.mark.parametrize("shrink", (False, True))
    @pytest.mark.parametrize("output", ("logits", "probabilities"))
    def test_no_other_has_a_smaller_held_out_loss(self, output, shrink):
        x, y = drawn()
        rescaled = passing(activation=ENDINGS[output], output=output)
        found = rescaled.calibrate(x, y, shrink=shrink).temperature
        answer = rescaled.predict(x, verbose=0)
        mapped = answer if output == "logits" else np.log(answer)
        least = cross_entropy(mapped, y)
        for other in (0.97, 1.03):
            assert cross_entropy(np.asarray(mapped) * other, y) > least
        rescaled.calibrate(method=None, shrink=shrink)
        before = rescaled.predict(x, verbose=0)
        before = before if output == "logits" else np.log(np.maximum(before, 1e-7))
        np.testing.assert_allclose(log_softmax(mapped, 1), log_softmax(before / found, 1), atol=2e-5)

    def test_its_standard_error_is_that_of_repeated_draws(self):
        # 300 draws: the deviation's own relative error is 4 %, so 20 % is missed less than once in a million times.
        logs, told = [], []
        for seed in range(300):
            x, y = drawn(seed, 200)
            found = fit("temperature", as_rows(y), x)
            logs.append(np.log(found.temperature))
            told.append(found.error)
        assert np.mean(told) == pytest.approx(np.std(logs), rel=0.2)

    @given(seed=st.integers(0, 10**6), output=st.sampled_from(("logits", "probabilities")), shrink=st.booleans())
    @settings(max_examples=10, deadline=None)
    def test_classes_stay(self, seed, output, shrink):
        x, y = drawn(seed, 60, sharpness=0.7)
        rescaled = passing(activation=ENDINGS[output], output=output)
        rescaled.calibrate(method=None, shrink=shrink)
        before = rescaled.predict(x, verbose=0)
        rescaled.calibrate(x, y, shrink=shrink)
        after = rescaled.predict(x, verbose=0)
        # Of equal ones, such as several probabilities 0, any is the largest.
        np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))

    def test_a_guess_changes_nothing(self):
        x, y = drawn()
        rows = as_rows(y)
        found = fit("temperature", rows, x).temperature
        for guess in (0.05, 0.9 * found, found, 1.2 * found, 30.0):
            assert fit("temperature", rows, x, Temperature(guess)).temperature == pytest.approx(found, rel=1e-6)

    def test_a_sample_of_weight_two_counts_like_two(self):
        x, y = drawn()
        weights = np.random.default_rng(0).integers(0, 3, SIZE)
        rows = np.repeat(np.arange(SIZE), weights)
        rescaled = passing()
        weighted = rescaled.calibrate(x, y, sample_weight=weights.astype("f4"))
        assert weighted.temperature == pytest.approx(rescaled.calibrate(x[rows], y[rows]).temperature, rel=1e-7)

    def test_theta_needs_no_data(self):
        rescaled = passing(alpha=1.0)
        x = drawn()[0]
        assert rescaled.calibrate(method="theta").temperature == 0.75
        np.testing.assert_allclose(rescaled.predict(x, verbose=0), x / 0.75, rtol=1e-5)
        with pytest.raises(ValueError, match="held_out must be left out where method='theta'"):
            rescaled.calibrate(x, drawn()[1], method="theta")
        with pytest.raises(ValueError, match="shrink must be False where method='theta'"):
            rescaled.calibrate(method="theta", shrink=True)


class TestVector:
    def test_of_a_single_unit_it_is_logistic_regression(self):
        x, y = drawn(units=1, sharpness=0.6)
        theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x, y)
        found = passing(1).calibrate(x, y, method="vector")
        assert found.scale[0] == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
        assert found.bias[0] == pytest.approx(theirs.intercept_[0], abs=1e-4)

    def test_no_other_near_it_has_a_smaller_loss(self):
        x, y = drawn(size=2000)
        generator = np.random.default_rng(3)
        found = passing().calibrate(x, y, method="vector")
        least = cross_entropy(x * found.scale + np.array(found.bias), y)
        assert least < cross_entropy(x * 2, y), "it has the temperature's maps among its own"
        for _ in range(100):
            scale, bias = (
                np.array(each) + 0.02 * generator.normal(size=CLASSES) for each in (found.scale, found.bias)
            )
            assert cross_entropy(x * scale + bias, y) > least

    def test_of_several_labels_each_has_its_own(self):
        x, y = several()
        found = passing(output="multilabel_logits").calibrate(x, y, method="vector")
        for unit in range(CLASSES):
            theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x[:, [unit]], y[:, unit])
            assert found.scale[unit] == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
            assert found.bias[unit] == pytest.approx(theirs.intercept_[0], abs=1e-3)


class TestIsotonic:
    @pytest.mark.parametrize(("activation", "output"), ((None, "logits"), ("sigmoid", "probabilities")))
    def test_it_is_that_of_scikit_learn_but_never_certain(self, activation, output):
        x, y = drawn(units=1)
        rescaled = passing(1, activation, output)
        rescaled.calibrate(x, y, method="isotonic")
        theirs = IsotonicRegression(out_of_bounds="clip").fit(expit(x[:, 0].astype("f8")), y)
        test = drawn(1, units=1)[0]
        answer = rescaled.predict(test, verbose=0)[:, 0]
        ours = expit(answer) if output == "logits" else answer
        margin = 1 / (SIZE + 2)
        expected = np.interp(
            expit(test[:, 0].astype("f8")),
            theirs.X_thresholds_, np.clip(theirs.y_thresholds_, margin, 1 - margin),
        )  # fmt: skip
        np.testing.assert_allclose(ours, expected, atol=2e-4)
        assert ours.min() > 0 and ours.max() < 1

    def test_many_samples_have_few_corners_and_a_rising_map(self):
        x, y = drawn(units=1, size=200_000, sharpness=0.5)
        found = fit("isotonic", as_rows(y, units=1), x)
        assert len(found.x[0]) <= 64 and (np.diff(found.y[0]) >= 0).all() and (np.diff(found.x[0]) > 0).all()
        p = expit(np.linspace(-3, 3, 13))
        np.testing.assert_allclose(np.interp(p, found.x[0], found.y[0]), expit(0.5 * logit(p)), atol=0.02)

    def test_each_label_has_its_own(self):
        x, y = several()
        y[:, 1] = 1 - y[:, 1]
        rescaled = passing(output="multilabel_logits")
        rescaled.calibrate(x, y, method="isotonic")
        answer = expit(rescaled.predict(x, verbose=0))
        assert np.ptp(answer[:, 1]) < 0.2 and np.ptp(answer[:, 0]) > 0.8, "the second falls, so its map is level"


class TestRegression:
    def test_a_factor_undoes_what_mixup_shrank_and_the_variance_is_that_of_residuals(self):
        generator = np.random.default_rng(0)
        x = generator.normal(size=(SIZE, 2)).astype("f4")
        y = 1.6 * x + generator.normal(size=(SIZE, 2)) * [0.5, 2.0]
        rescaled = passing(2, output="regression")
        found = rescaled.calibrate(x, y)
        mean = rescaled.target_mean.numpy()
        shifted, target = x - mean, y - mean
        assert found.temperature == pytest.approx((shifted**2).sum() / (shifted * target).sum(), rel=1e-5)
        answer = rescaled.predict(x, verbose=0)
        np.testing.assert_allclose(answer, mean + shifted / found.temperature, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.variance, np.square(y - answer).mean(axis=0), rtol=1e-4)

    def test_lines_are_those_of_least_squares(self):
        generator = np.random.default_rng(0)
        x = generator.normal(size=(SIZE, 2)).astype("f4")
        y = x * [0.5, -2] + [3, 1] + generator.normal(size=(SIZE, 2))
        rescaled = passing(2, output="regression")
        rescaled.calibrate(x, y, method="vector")
        expected = np.stack([np.polyval(np.polyfit(x[:, u], y[:, u], 1), x[:, u]) for u in (0, 1)], axis=1)
        np.testing.assert_allclose(rescaled.predict(x, verbose=0), expected, atol=1e-4)


class TestComparison:
    def test_what_is_fitted_is_scored_on_other_samples(self):
        # Labels that have nothing to do with the answers: fitted on the same few samples, they look better.
        x, y = drawn(size=30)
        y = np.random.default_rng(5).permutation(y)
        rows = as_rows(y)
        best = cross_entropy(np.asarray(fit("temperature", rows, x)(x)), y)
        comparison = passing().evaluate_both(x, y)
        assert comparison.temperature.loss > best + 0.001

    @pytest.mark.parametrize(("sharpness", "expected"), ((1.0, "plain"), (4 / 3, "theta"), (3.0, "")))
    def test_the_right_way_is_recommended(self, sharpness, expected):
        # f(theta x) / theta = x: for a homogeneous model, eq. (22) is no other than plain but for the means.
        x, y = drawn(size=20_000, sharpness=sharpness)
        comparison = passing(alpha=1.0).evaluate_both(x, y)
        # A fitted temperature may be as good as what is right; what changes classes is not.
        assert comparison.recommended in ("temperature", expected)
        assert f"Take {comparison.recommended}" in str(comparison)
        assert comparison.fitted["temperature"].temperature == pytest.approx(1 / sharpness, rel=0.05)

    @pytest.mark.parametrize(("gain", "expected"), ((0.001, "temperature"), (0.1, "both")))
    def test_inputs_are_only_shrunk_where_that_is_clearly_better(self, gain, expected):
        # Losses of 400 samples that differ by `gain` on average, with a standard error of about 0.01.
        noise = 0.2 * np.random.default_rng(0).normal(size=400)
        losses = {
            "plain": np.full(400, 0.9),
            "temperature": np.full(400, 0.5),
            "both": 0.5 - gain + noise - noise.mean(),
        }
        made = {
            name: Scored(Scores(0.1, float(each.mean()), None, None, None), None, each, np.ones(400))
            for name, each in losses.items()
        }
        assert _recommended(made)[0] == expected

    def test_the_noise_floor_is_the_calibration_error_of_true_confidences(self):
        errors, floors = [], []
        for seed in range(200):
            x, y = drawn(seed, 300, sharpness=1.0)
            found = scored(as_rows(y), x, 10).scores
            errors.append(found.calibration_error)
            floors.append(found.calibration_floor)
        # The error of a mean over 200 is about 2 %; few samples in a bin make the normal law rough, by a few more.
        assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.12)

    def test_brier_scores_are_those_of_scikit_learn(self):
        from sklearn.metrics import brier_score_loss

        x, y = drawn(units=1)
        comparison = passing(1).evaluate_both(x, y)
        # Summed over both of the classes that one unit tells apart.
        assert comparison.plain.brier == pytest.approx(2 * brier_score_loss(y, expit(x[:, 0])), rel=1e-5)
        x, y = drawn()
        expected = np.square(softmax(x.astype("f8"), axis=1) - np.eye(CLASSES)[y]).sum(axis=1).mean()
        assert passing().evaluate_both(x, y).plain.brier == pytest.approx(expected, rel=1e-5)

    def test_a_way_without_a_temperature_is_left_out(self):
        x = 3 * np.eye(CLASSES, dtype="f4")[np.arange(40) % CLASSES]
        comparison = passing().evaluate_both(x, np.arange(40) % CLASSES)
        assert comparison.temperature is None and "temperature" not in comparison.scores()
        assert "one temperature" not in str(comparison)


def test_several_outputs_have_a_method_each():
    x = keras.Input((3,))
    heads = {
        "kind": keras.layers.Dense(CLASSES)(x),
        "size": keras.layers.Dense(1)(x),
        "way": keras.layers.Dense(1)(x),
    }
    rescaled = RescaledModel(keras.Model(x, heads), 1.0, {"kind": "logits", "size": "regression", "way": "logits"})
    generator = np.random.default_rng(0)
    values = generator.normal(size=(SIZE, 3)).astype("f4")
    plain = rescaled.model.predict(values, verbose=0)
    y = {
        "kind": (plain["kind"] + generator.gumbel(size=(SIZE, CLASSES))).argmax(axis=1),
        "size": 3 * plain["size"] + generator.normal(size=(SIZE, 1)),
        "way": (generator.random((SIZE, 1)) < expit(plain["way"])).astype(int),
    }
    rescaled.adapt(values[:50], {name: each[:50] for name, each in y.items()})
    rest = values[50:], {name: each[50:] for name, each in y.items()}
    found = rescaled.calibrate(*rest, method={"kind": "vector", "size": "temperature", "way": "isotonic"})
    assert {name: type(each).__name__ for name, each in found.items()} == {
        "kind": "Vector", "size": "Temperature", "way": "Isotonic",
    }  # fmt: skip
    answer = rescaled.predict(values, verbose=0)
    np.testing.assert_allclose(answer["kind"], plain["kind"] * found["kind"].scale + found["kind"].bias, atol=1e-4)
    shifted, target = (each["size"] - rescaled.target_mean["size"].numpy() for each in (plain, y))
    factor = (shifted[50:] * target[50:]).sum() / (shifted[50:] ** 2).sum()
    assert found["size"].temperature == pytest.approx(1 / factor, rel=1e-4)
    with pytest.raises(ValueError, match=r"method must be one method, or a structure of them like the outputs"):
        rescaled.calibrate(*rest, method=["vector"])
    comparisons = rescaled.evaluate_both(*rest)
    assert comparisons["size"].curves == {} and comparisons["size"].temperature.loss < comparisons["size"].plain.loss


@pytest.mark.as_users_compile
def test_predictions_are_those_of_the_newest_calibration():
    x, y = drawn()
    rescaled = passing()
    rescaled.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before, loss = rescaled.predict(x, verbose=0), rescaled.evaluate(x, y, verbose=0)
    rescaled.calibrate(x, y)
    assert rescaled.evaluate(x, y, verbose=0) < loss
    assert np.abs(rescaled.predict(x, verbose=0)).mean() > 1.5 * np.abs(before).mean()
    with pytest.warns(UserWarning, match="adapt removes what calibrate has fitted"):
        rescaled.adapt(np.random.default_rng(99).normal(size=(40, CLASSES)).astype("f4"), np.arange(40) % CLASSES)
    assert rescaled.calibration is None
    np.testing.assert_allclose(rescaled.predict(x, verbose=0).std(), before.std(), rtol=0.1)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            (
                lambda x, y: (x[:1], y[:1]),
                {},
                "held-out data must be at least two samples. Received: 1 with a weight",
            ),
            (lambda x, y: (x[:0], y[:0]), {}, "calibrate needs at least one sample"),
            (lambda x, y: (x[y == 2], y[y == 2]), {}, "samples of all classes. Received: for output, only class 2"),
            (
                lambda x, y: (x[y > 0], y[y > 0]),
                {"method": "vector"},
                r"1 of 4 classes have no held-out sample \(0\)",
            ),
            (lambda x, y: (x[:, :3], y), {}, "structure and shapes of those given to adapt"),
            (lambda x, y: (x, y + 1), {}, r"labels must be in \[0, 4\)"),
            (lambda x, y: (x, y.astype("f4")), {}, "of dtype float32: classes must be integers"),
            (lambda x, y: (9 * np.eye(4, dtype="f4")[y], y), {}, "temperature 0.02, the least allowed"),
            (lambda x, y: (-x, y), {}, "temperature 50, the most allowed"),
            (lambda x, y: (x, y), {"method": "isotonic"}, "for binary labels.* Received: an output of 4 units"),
            (lambda x, y: (x, y), {"method": "platt"}, "method must be one of 'temperature', 'vector', 'isotonic'"),
            (lambda x, y: (x, y), {"shrink": 1}, "shrink must be True or False"),
            (lambda x, y: (9 * np.eye(4, dtype="f4")[y], y), {"method": "vector"}, "method='vector' needs held-out"),
        ],
    )
    def test_bad_data(self, change, options, message):
        with pytest.raises(ValueError, match=f"RescaledModel: .*{message}"):
            passing().calibrate(*change(*drawn()), **options)

    def test_no_data(self):
        with pytest.raises(TypeError, match="held_out must be a dataset or an array where method='temperature'"):
            passing().calibrate()

    def test_samples_without_a_weight_are_none(self):
        x, y = drawn()
        with pytest.raises(ValueError, match=r"at least two samples\. Received: 1 with a weight"):
            passing().calibrate(x, y, sample_weight=np.eye(SIZE, dtype="f4")[0])
        found = passing().calibrate(x, y, sample_weight=(np.arange(SIZE) < 300).astype("f4"))
        assert vars(found) == vars(passing().calibrate(x[:300], y[:300]))

    def test_before_adapt(self):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4)])
        with pytest.raises(ValueError, match=r"adapt\(dataset\) must come first"):
            RescaledModel(model, 1.0).calibrate(*drawn())

    def test_binary_labels_of_one_kind(self):
        x = drawn(units=1)[0]
        with pytest.raises(ValueError, match=r"samples of both classes. Received: for output, only labels 1"):
            passing(1).calibrate(x, np.ones(SIZE, int))
        x, y = several()
        y[:, 2] = 0
        with pytest.raises(ValueError, match=r"labels of both kinds. Received: labels of unit 2 that are all 0"):
            passing(output="multilabel_logits").calibrate(x, y, method="isotonic")

    def test_predictions_that_do_not_rise_with_their_targets(self):
        x = np.random.default_rng(0).normal(size=(SIZE, 1)).astype("f4")
        rescaled = passing(1, output="regression")
        with pytest.raises(ValueError, match=r"calibration needs held-out .* predictions that do not"):
            rescaled.calibrate(x, -x)

    def test_logits_called_probabilities(self):
        class Opaque(keras.Model):
            def call(self, x):
                return x

        x, y = drawn()
        with pytest.raises(ValueError, match=r"output must say what the model returns. .*output='probabilities'"):
            RescaledModel(Opaque(), 1.0, "probabilities").adapt(x, y)


class TestDoubts:
    def said(self, action):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            action()
        return " ".join(str(each.message) for each in caught if each.category is UserWarning)

    def test_training_data_are_told_from_others_also_after_saving(self, tmp_path):
        x, y = drawn(size=6000)
        rescaled = passing()
        rescaled.adapt(x[:5000], y[:5000])
        assert not self.said(lambda: rescaled.calibrate(x[5000:], y[5000:]))
        rescaled.save(tmp_path / "model.keras")
        for model in (rescaled, keras.models.load_model(tmp_path / "model.keras")):
            text = self.said(lambda model=model: model.calibrate(x[3000:5500], y[3000:5500]))
            share = float(re.search(r"about (\d+) %", text)[1])
            # 2,048 of 5,000 hashes are kept, so about 820 to 1,020 samples tell the share, 80 %, within 5 points.
            assert share == pytest.approx(80, abs=5)
            assert "must not be training data" in self.said(lambda model=model: model.evaluate_both(x[:900], y[:900]))

    def test_noisy_labels_are_doubted_mostly_and_right_ones_of_easy_tasks_never(self):
        # Of two neighbouring quarters that are equally often right, the surer one is ahead by a standard error one
        # time in six: of 30 draws, fewer than 18 are doubted less than once in a thousand times.
        doubted = {0.0: 0, 0.25: 0}
        for seed in range(30):
            x, y = drawn(seed, 400, sharpness=8.0)
            generator = np.random.default_rng(seed + 1)
            for share in doubted:
                others = (y + generator.integers(1, CLASSES, 400)) % CLASSES
                labels = np.where(generator.random(400) < share, others, y)
                told = self.said(lambda x=x, labels=labels: warn_of_doubts(as_rows(labels), x, "output"))
                doubted[share] += "output, the model gets" in told
        assert doubted[0.0] == 0 and doubted[0.25] >= 18

    def test_noisy_labels_are_doubted_where_one_calibrates(self):
        x = 5 * np.eye(CLASSES, dtype="f4")[np.arange(400) % CLASSES]
        # Every fifth label is wrong, of all samples alike.
        y = np.where(np.arange(400) % 5 == 0, (np.arange(400) + 1) % CLASSES, np.arange(400) % CLASSES)
        for task in ("calibrate", "evaluate_both"):
            ask = getattr(passing(), task)
            assert "RescaledModel: held-out labels may be wrong" in self.said(lambda ask=ask: ask(x, y))

    def test_of_hard_tasks_labels_are_doubted_as_rarely_as_chance_has_it(self):
        # Two classes that overlap, and labels that have just the probabilities told. What is surer is right more
        # often: two neighbouring quarters of 1,000 are taken for alike about once in thirty times, all 12 never.
        alarms = 0
        for seed in range(12):
            x, y = drawn(seed, 1000, units=1, sharpness=1.0)
            rescaled = passing(1)
            alarms += "may be wrong" in self.said(lambda x=x, y=y, rescaled=rescaled: rescaled.calibrate(x / 1.5, y))
        assert alarms <= 3

    def test_tables_of_few_different_rows_are_no_training_data(self):
        generator = np.random.default_rng(0)
        x, y = generator.integers(0, 2, (3000, CLASSES)).astype("f4"), generator.integers(0, CLASSES, 3000)
        rescaled = passing()
        rescaled.adapt(x[:2000], y[:2000])
        y[2000:] = (3 * x[2000:] + generator.gumbel(size=(1000, CLASSES))).argmax(axis=1)
        assert "training data" not in self.said(lambda: rescaled.calibrate(x[2000:], y[2000:]))

    def test_training_after_calibration(self):
        x, y = drawn()
        rescaled = passing()
        rescaled.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        assert "calibrated" not in self.said(lambda: rescaled.fit(x, y, verbose=0))
        rescaled.calibrate(x, y)
        assert "Calibrate again after it" in self.said(lambda: rescaled.fit(x, y, verbose=0))

    @pytest.mark.parametrize(("shared", "known"), ((0, False), (2, False), (30, True)))
    def test_a_sample_or_two_that_come_again_are_chance(self, shared, known):
        x = np.random.default_rng(0).normal(size=(160, 3))
        seen = Seen()
        seen.add(x[:100])
        share = seen.share_of(hashes_of(x[100 - shared : 130 - shared]))
        assert share == (pytest.approx(shared / 30) if known else None)

    def test_classes_that_are_missing(self):
        x, y = drawn()
        text = self.said(lambda: passing().calibrate(x[y != 2], y[y != 2]))
        assert "1 of 4 classes have no held-out sample (2)" in text


def test_of_many_places_a_random_part_is_kept_that_says_the_same():
    values, labels = drawn(size=60 * 100)
    rows = Rows("logits", CLASSES, most=8000)
    targets = np.eye(CLASSES)[labels].reshape(60, 100, CLASSES)
    for start in range(0, 60, 10):
        part = slice(start, start + 10)
        rows.add({"plain": values.reshape(60, 100, CLASSES)[part]}, targets[part], np.ones(10), start)
    rows.complete()
    assert 500 < len(rows.weights) <= 2000
    assert set(rows.samples) == set(range(60))
    # Means of random parts: within four of their standard errors.
    ours, all_of_them = rows.sets["plain"][:, 0], values[:, 0]
    assert abs(ours.mean() - all_of_them.mean()) < 4 * all_of_them.std() / len(ours) ** 0.5


def test_masked_places_do_not_count():
    x = np.random.default_rng(0).normal(size=(60, 5, 3)).astype("f4")
    there = np.random.default_rng(1).random((60, 5)) < 0.6
    y = (x + np.random.default_rng(2).gumbel(size=x.shape)).argmax(axis=-1)
    values, mask = keras.Input((5, 3), name="values"), keras.Input((5,), dtype="bool", name="mask")
    dense = keras.layers.Dense(3, use_bias=False, kernel_initializer="identity")
    rescaled = RescaledModel(keras.Model({"values": values, "mask": mask}, dense(values)), 1.0, masks="mask")
    rescaled.adapt(*({"values": x[:9], "mask": there[:9]}, y[:9]))
    found = rescaled.calibrate({"values": x[9:], "mask": there[9:]}, y[9:]).temperature
    expected = fit("temperature", as_rows(y[9:][there[9:]], units=3), x[9:][there[9:]]).temperature
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("policy", ("float16", "mixed_bfloat16"))
def test_half_precision(policy):
    dense = keras.layers.Dense(CLASSES, use_bias=False, dtype=policy)
    model = keras.Sequential([keras.layers.Input((CLASSES,)), dense])
    model.set_weights([np.eye(CLASSES)])
    rescaled = RescaledModel(model, 1.0)
    x, y = drawn()
    rescaled.adapt(x[:40], y[:40])
    found = rescaled.calibrate(x[40:], y[40:])
    assert found.temperature == pytest.approx(passing().calibrate(x[40:], y[40:]).temperature, rel=0.02)
    assert tf.as_dtype(rescaled(x[:3]).dtype) == tf.float32
