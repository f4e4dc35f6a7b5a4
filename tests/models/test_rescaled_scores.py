"""Both predictions scored in one pass, against scores of NumPy's and of this package's analysis."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, softmax

from kmix_tf import RescaledModel
from kmix_tf.analysis import expected_calibration_error


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(70, 4)).astype("f4")
    return x, (x @ generator.normal(size=(4, 3)) + generator.normal(size=(70, 3))).argmax(axis=1)


def adapted(data, units=3, activation=None, output="logits"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(units, activation=activation)])
    rescaled = RescaledModel(model, 1.0, output=output)
    rescaled.adapt(*data)
    return model, rescaled


def agree(scores, error, loss, calibration_error):
    assert scores.error == pytest.approx(error, abs=1e-12)
    assert scores.loss == pytest.approx(loss, rel=1e-4)
    assert scores.calibration_error == pytest.approx(calibration_error, abs=1e-5)
    assert all(type(score) is float for score in scores)


@pytest.mark.parametrize("form", ("integer", "column", "one-hot"))
@pytest.mark.parametrize("batch_size", (32, 70))
@pytest.mark.representatives("form, batch_size", [("integer", 32), ("one-hot", 70)])
def test_logits_are_scored_as_by_numpy(data, form, batch_size):
    x, labels = data
    y = {"integer": labels, "column": labels[:, None], "one-hot": np.eye(3)[labels]}[form]
    model, rescaled = adapted((x, y))
    both = rescaled.evaluate_both(tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size))
    for scores, predictor in zip((both.plain, both.rescaled), (model, rescaled), strict=True):
        logits = predictor.predict(x, verbose=0).astype("f8")
        loss = -log_softmax(logits, axis=1)[np.arange(70), labels].mean()
        ece = expected_calibration_error(labels, softmax(logits, axis=1))
        agree(scores, (logits.argmax(axis=1) != labels).mean(), loss, ece)
    assert both.plain != both.rescaled
    header, *lines = str(both).splitlines()
    assert header.split() == ["error", "loss", "calibration", "(floor)", "brier"]
    assert [line.split()[0] for line in lines[:-1]] == list(both.scores())
    for line, scores in zip(lines, both.scores().values(), strict=False):
        assert [float(cell) for cell in line.split()[1:6]] == pytest.approx(scores, rel=1e-3)


def test_probabilities_are_scored_with_losses_that_stay_finite(data):
    model, rescaled = adapted(data, activation="softmax", output="probabilities")
    model.layers[-1].set_weights([10 * weight for weight in model.layers[-1].get_weights()])
    both = rescaled.evaluate_both(*data, batch_size=16, bins=15)
    for scores, predictor in zip((both.plain, both.rescaled), (model, rescaled), strict=True):
        p = predictor.predict(data[0], verbose=0).astype("f8")
        losses = -np.log(np.maximum(p[np.arange(70), data[1]], 1e-7))
        agree(scores, (p.argmax(axis=1) != data[1]).mean(), losses.mean(), expected_calibration_error(data[1], p, 15))
    assert rescaled.predict(data[0], verbose=0).min() == 0, "the case must need the least probability"


@pytest.mark.parametrize(("activation", "output"), ((None, "logits"), ("sigmoid", "probabilities")))
def test_single_units_are_scored_as_two_classes(data, activation, output):
    x, labels = data[0], (data[1] > 0).astype(int)
    model, rescaled = adapted((x, labels), 1, activation, output)
    both = rescaled.evaluate_both(x, labels)
    for scores, predictor in zip((both.plain, both.rescaled), (model, rescaled), strict=True):
        p = predictor.predict(x, verbose=0).astype("f8")[:, 0]
        p = p if activation else expit(p)
        loss = -np.log(np.maximum(np.where(labels, p, 1 - p), 1e-7)).mean()
        agree(scores, ((p > 0.5) != labels).mean(), loss, expected_calibration_error(labels, np.c_[1 - p, p]))


def test_labels_are_scored_one_by_one(data):
    x, y = data[0], np.random.default_rng(1).integers(0, 2, (70, 3))
    model, rescaled = adapted((x, y), output="multilabel_logits")
    both = rescaled.evaluate_both(x, y)
    for scores, predictor in zip((both.plain, both.rescaled), (model, rescaled), strict=True):
        p = expit(predictor.predict(x, verbose=0).astype("f8"))
        loss = -np.log(np.where(y, p, 1 - p)).mean()
        ece = expected_calibration_error(y.ravel(), np.c_[1 - p.ravel(), p.ravel()])
        agree(scores, ((p > 0.5) != y).mean(), loss, ece)


def test_regression_has_its_mean_squared_error(data):
    x, y = data[0], np.random.default_rng(1).normal(size=(70, 2)).astype("f4")
    model, rescaled = adapted((x, y), 2, output="regression")
    both = rescaled.evaluate_both(x, y)
    for scores, predictor in zip((both.plain, both.rescaled), (model, rescaled), strict=True):
        expected = np.square(predictor.predict(x, verbose=0) - y).mean(dtype="f8")
        assert scores.error == scores.loss == pytest.approx(expected, rel=1e-5)
        assert scores.calibration_error is None


def test_a_sample_of_weight_two_counts_like_two(data):
    x, y = data
    _, rescaled = adapted(data)
    weights = np.random.default_rng(0).integers(0, 3, 70)
    rows = np.repeat(np.arange(70), weights)
    weighted = rescaled.evaluate_both(x, y, 32, weights.astype("f4"))
    repeated = rescaled.evaluate_both(x[rows], y[rows])
    for name in ("plain", "theta", "rescaled"):
        ours, theirs = (getattr(each, name)._asdict() for each in (weighted, repeated))
        # Not the floor: one sample that counts twice is more at the mercy of chance than two.
        assert ours.pop("calibration_floor") > theirs.pop("calibration_floor")
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-6)


def test_maps_count_each_place(data):
    x = np.random.default_rng(0).normal(size=(20, 6, 2)).astype("f4")
    labels = np.random.default_rng(1).integers(0, 3, (20, 6))
    model = keras.Sequential([keras.layers.Input((6, 2)), keras.layers.Dense(3)])
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, labels)
    logits = rescaled.predict(x, verbose=0).astype("f8").reshape(-1, 3)
    loss = -log_softmax(logits, axis=1)[np.arange(120), labels.ravel()].mean()
    ece = expected_calibration_error(labels.ravel(), softmax(logits, axis=1))
    agree(rescaled.evaluate_both(x, labels).rescaled, (logits.argmax(axis=1) != labels.ravel()).mean(), loss, ece)


def test_rescaling_helps_a_model_that_mixup_made_modest():
    generator = np.random.default_rng(0)
    y = np.arange(4000) % 2
    x = (generator.normal(size=4000) + 2 * y - 1).astype("f4")[:, None]
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.layers[-1].set_weights([np.array([[2.0]]), np.array([0.0])])  # the Bayes logit is 2 x
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(x, y)
    right = rescaled.evaluate_both(x, y).plain
    # f(theta x) / theta = 2 x for a homogeneous f: rescaling leaves it alone, as the paper says.
    np.testing.assert_allclose(rescaled.evaluate_both(x, y).rescaled[:2], right[:2], atol=1e-3)
    modest = keras.Sequential(
        [keras.layers.Input((1,)), keras.layers.Dense(1, activation=lambda z: 3 * tf.tanh(z / 5))]
    )
    modest.layers[-1].set_weights([np.array([[2.0]]), np.array([0.0])])
    rescaled = RescaledModel(modest, 1.0)
    rescaled.adapt(x, y)
    both = rescaled.evaluate_both(x, y)
    assert both.rescaled.loss < both.plain.loss and both.rescaled.calibration_error < both.plain.calibration_error
    # The logits that it cannot reach are those of inputs far out, which the shrink brings near.
    assert both.recommended in ("rescaled", "both")


class TestRefusals:
    def test_before_adapt(self, data):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
        with pytest.raises(ValueError, match=r"RescaledModel: adapt\(dataset\) must come first"):
            RescaledModel(model, 1.0).evaluate_both(*data)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x[:0], y[:0]), "evaluate_both needs at least one sample"),
            (lambda x, y: (x, y + 1), r"labels must be in \[0, 3\)"),
            (lambda x, y: (x, np.eye(4)[y]), r"targets of shape \(70, 4\)"),
            (lambda x, y: (x[:, :3], y), "structure and shapes of those given to adapt"),
            (lambda x, y: ({"a": x}, y), "structure and shapes of those given to adapt"),
            (lambda x, y: (tf.data.Dataset.from_tensors((x, y)).repeat(),), "evaluate_both needs a finite dataset"),
        ],
    )
    def test_bad_data(self, data, change, message):
        with pytest.raises(ValueError, match=message):
            adapted(data)[1].evaluate_both(*change(*data))

    def test_bad_bins(self, data):
        with pytest.raises(ValueError, match=r"RescaledModel: bins must be an integer >= 1. Received: bins=0"):
            adapted(data)[1].evaluate_both(*data, bins=0)
