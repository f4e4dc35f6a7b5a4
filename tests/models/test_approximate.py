import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.analysis.perturbation import modified_data, perturbation_covariance
from kmix_tf.analysis.risk import approximate_mixup_risk, mixup_risk
from kmix_tf.maths.derivatives import directional_derivatives
from kmix_tf.maths.losses import LOSSES
from kmix_tf.maths.theta import theta_moments
from kmix_tf.models.approximate.loss import ApproximateMixupLoss
from kmix_tf.models.approximate.model import ApproximateMixupModel
from kmix_tf.models.approximate.perturbation import Draws, draw, perturbation

OUTPUTS = {"categorical_crossentropy": 3, "binary_crossentropy": 1, "squared_error": 2}
ALL = ("r1_r3", "r2", "r4")


def network(outputs=3, activation="tanh", layers=()):
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Input((2,)), keras.layers.Dense(8, activation=activation), *layers]
    return keras.Sequential([*hidden, keras.layers.Dense(outputs)])


def samples(loss="categorical_crossentropy", size=12):
    generator = np.random.default_rng(0)
    x = (generator.normal(size=(size, 2)) + 1).astype(np.float32)
    if loss == "squared_error":
        return x, generator.normal(size=(size, 2)).astype(np.float32)
    return x, generator.integers(0, max(2, OUTPUTS[loss]), size)


def adapted(loss="categorical_crossentropy", size=12, alpha=1.0, model=None, rate=0.0, **options):
    x, y = samples(loss, size)
    wrapper = ApproximateMixupModel(model or network(OUTPUTS[loss]), alpha, loss, **{"seed": 3, **options})
    wrapper.adapt(x, y)
    wrapper.compile(keras.optimizers.SGD(rate))
    return wrapper, x, y


def every_draw(size):
    """All signs and partners, each row of the result one draw for the whole batch: signs, shifts of the partner."""
    for sign, shift in itertools.product((-1.0, 1.0), range(size)):
        partner = (np.arange(size) + shift) % size
        yield Draws(tf.constant(sign, shape=(size, 1)), tf.constant(partner[:, np.newaxis], tf.int32))


class TestPerturbation:
    @pytest.mark.parametrize("alpha", (0.3, 1.0, 6.0))
    def test_averaged_over_all_draws_it_has_mean_zero_and_the_covariances_of_lemma_1(self, alpha):
        x, y = np.random.default_rng(0).normal(size=(5, 2)), np.random.default_rng(1).normal(size=(5, 1))
        joint = np.concatenate([x, y], axis=1)
        centred = tf.constant(joint - joint.mean(axis=0))
        drawn = np.array([perturbation(centred, draws, theta_moments(alpha))[:, 0] for draws in every_draw(5)])
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-12)
        for index in range(5):
            xx, yy, xy = perturbation_covariance(x, y, alpha, index)
            covariance = drawn[:, index].T @ drawn[:, index] / len(drawn)
            np.testing.assert_allclose(covariance, np.block([[xx, xy], [xy.T, yy]]), atol=1e-12)

    def test_partners_are_the_row_itself_once_in_count_times_and_else_any_other_row(self):
        draws = draw(tf.constant([3, 5]), tf.constant(4), 100_000, tf.constant(10))
        for row, partners in enumerate(draws.partner.numpy()):
            shares = np.bincount(partners, minlength=4) / 100_000
            expected = np.where(np.arange(4) == row, 0.1, 0.3)
            # Standard errors are below 0.0015: six of them are exceeded in one of 10^8 draws, of which there are 16.
            np.testing.assert_allclose(shares, expected, atol=0.009)
        assert abs(draws.sign.numpy().mean()) < 0.01 and set(np.unique(draws.sign)) == {-1, 1}

    def test_a_partner_from_a_random_batch_is_any_sample_alike(self):
        # Over all batches of three of five samples: 1/5 of the row itself, and the rest evenly over the others.
        chances = np.zeros(5)
        batches = [batch for batch in itertools.combinations(range(5), 3) if 0 in batch]
        for batch in batches:
            chances[0] += 1 / 5 / len(batches)
            chances[list(batch[1:])] += 4 / 5 / 2 / len(batches)
        np.testing.assert_allclose(chances, 1 / 5)

    def test_a_batch_of_one_is_its_own_partner_and_other_partners_are_rows_of_the_batch(self):
        assert draw(tf.constant([0, 1]), tf.constant(1), 8, tf.constant(50)).partner.numpy().max() == 0
        partners = draw(tf.constant([0, 1]), tf.constant(2), 500, tf.constant(10**6)).partner.numpy()
        assert (partners == [[1], [0]]).mean() > 0.99 and partners.min() == 0 and partners.max() == 1


class TestTerms:
    @pytest.mark.parametrize("derivatives", ("exact", "differences"))
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.representatives("derivatives", ["exact"])
    def test_averaged_over_all_draws_they_are_those_of_theorem_2(self, loss, derivatives):
        x, y = samples(loss)
        model = network(OUTPUTS[loss])
        targets = y if loss == "squared_error" else np.eye(3)[y] if OUTPUTS[loss] == 3 else y[:, np.newaxis]
        shrunk = modified_data(x, targets.astype(float), 0.8)
        moments, total = theta_moments(0.8), {}
        centred = [tf.constant((values - values.mean(axis=0)).astype(np.float32)) for values in (x, targets)]
        target, point = (tf.constant(values.astype(np.float32)) for values in (shrunk.y, shrunk.x))
        for draws in every_draw(len(x)):
            direction, epsilon = (perturbation(values, draws, moments) for values in centred)
            values = directional_derivatives(lambda x: model(x[0]), [point], [direction[:, 0]], 2, derivatives)
            packed = tf.stack([target[:, tf.newaxis], epsilon], axis=2)
            for name, part in (
                ApproximateMixupLoss(loss, ALL).parts(packed, tf.stack(values, axis=1)[:, tf.newaxis]).items()
            ):
                total[name] = total.get(name, 0) + part.numpy().mean() / (2 * len(x))
        risk = approximate_mixup_risk(model, x, y, 0.8, loss)
        expected = {"base": risk.base, "r1_r3": risk.r1 + risk.r3, "r2": risk.r2, "r4": risk.r4}
        assert total == pytest.approx(expected, abs=1e-6 if derivatives == "exact" else 5e-5)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_their_gradients_are_those_of_finite_differences(self, loss):
        generator = np.random.default_rng(0)
        x, direction = (tf.constant(generator.normal(size=(4, 2))) for _ in range(2))
        packed = tf.constant(generator.uniform(size=(4, 1, 2, OUTPUTS[loss])))
        first, second = generator.normal(size=(2, 5)), generator.normal(size=(5, OUTPUTS[loss]))

        def value(first):
            def model(leaves):
                return tf.tanh(leaves[0] @ first) @ second

            values = directional_derivatives(model, [x], [direction], 2)
            return tf.add_n(
                list(ApproximateMixupLoss(loss, ALL).parts(packed, tf.stack(values, axis=1)[:, tf.newaxis]).values())
            )

        theoretical, numerical = tf.test.compute_gradient(value, [tf.constant(first)], delta=1e-5)
        np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-7)

    def test_derivatives_of_a_cubic_are_exact_to_second_order_for_several_inputs(self):
        x, d = ([tf.constant(v, tf.float64) for v in vs] for vs in (([[2.0]], [[3.0]]), ([[1.0]], [[0.5]])))
        values = directional_derivatives(lambda leaves: leaves[0] ** 2 * leaves[1], x, d, 2)
        # f = a^2 b at (2, 3) along (1, 1/2): 12; 2ab + a^2/2 = 14; 2b + 2 * 2a/2 = 10.
        assert [value.numpy().item() for value in values] == [12, 14, 10]
        values = directional_derivatives(lambda leaves: leaves[0] ** 2 * leaves[1], x, d, 2, "differences")
        np.testing.assert_allclose([value.numpy().item() for value in values], [12, 14, 10], rtol=1e-3)


class TestTraining:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_the_loss_of_a_step_estimates_the_approximate_risk_without_bias(self, loss):
        wrapper, x, y = adapted(loss, terms=ALL, samples=500)
        losses = []
        for _ in range(16):
            wrapper.reset_metrics()
            losses.append(float(wrapper.train_on_batch(x, y, return_dict=True)["loss"]))
        expected = approximate_mixup_risk(wrapper.model, x, y, 1.0, loss).total
        error = np.std(losses, ddof=1) / 4
        # 16 means of 500: Student's t with 15 degrees of freedom exceeds 7 once in 4 * 10^5; 1e-6 for float32.
        assert abs(np.mean(losses) - expected) < 7 * error + 1e-6
        assert error < 0.01 * expected

    def test_random_batches_estimate_the_risk_of_all_data(self):
        wrapper, x, y = adapted(size=6, terms=ALL, samples=300)
        losses = []
        for batch in itertools.combinations(range(6), 2):
            wrapper.reset_metrics()
            logs = wrapper.train_on_batch(x[list(batch)], y[list(batch)], return_dict=True)
            losses.append(float(logs["loss"]))
        # All 15 batches of two, so that only signs and partners are left to chance, 9000 of them: measured spread of
        # such a mean is 0.0007, and drawing the own row half of the time would be 0.01 off.
        expected = approximate_mixup_risk(wrapper.model, x, y, 1.0, "categorical_crossentropy").total
        assert np.mean(losses) == pytest.approx(expected, abs=0.005)

    def test_a_linear_least_squares_model_has_the_exact_mixup_risk(self):
        x, y = samples("squared_error")
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
        wrapper, *_ = adapted("squared_error", model=model, terms=("r1_r3", "r4"), samples=20_000)
        loss = float(wrapper.train_on_batch(x, y, return_dict=True)["loss"])
        assert loss == pytest.approx(mixup_risk(model, x, y, 1.0, "squared_error"), rel=0.01)

    def test_a_step_follows_the_gradient_of_the_loss_it_reports(self):
        # Draws are a function of seed and step, so the loss of the first step is a smooth function of the weights.
        x, y = samples()
        gradients, steps = [], 1e-2
        wrapper, *_ = adapted(terms=ALL, samples=4, rate=1.0)
        before = wrapper.model.get_weights()[-2]
        wrapper.train_on_batch(x, y)
        taken = before - wrapper.model.get_weights()[-2]
        for row, column in ((0, 0), (3, 2), (7, 1)):
            losses = []
            for sign in (1, -1):
                moved, *_ = adapted(terms=ALL, samples=4)
                changed = before.copy()
                changed[row, column] += sign * steps
                moved.model.layers[-1].kernel.assign(changed)
                losses.append(float(moved.train_on_batch(x, y, return_dict=True)["loss"]))
            gradients.append((losses[0] - losses[1]) / (2 * steps))
        np.testing.assert_allclose(gradients, [taken[0, 0], taken[3, 2], taken[7, 1]], atol=1e-4)

    @pytest.mark.parametrize("derivatives", ("exact", "differences"))
    @pytest.mark.representatives("derivatives", ["differences"])
    def test_a_compiled_step_is_the_plain_one(self, derivatives):
        weights = []
        for jit_compile in (False, True):
            wrapper, x, y = adapted(terms=ALL, samples=3, derivatives=derivatives)
            wrapper.compile(keras.optimizers.SGD(0.5), jit_compile=jit_compile)
            for _ in range(3):
                wrapper.train_on_batch(x, y)
            weights.append(wrapper.model.get_weights())
        for plain, compiled in zip(*weights, strict=True):
            np.testing.assert_allclose(compiled, plain, atol=1e-5 if derivatives == "exact" else 1e-3)

    def test_the_same_seed_trains_alike_and_steps_and_seeds_differ(self):
        def losses(seed):
            wrapper, x, y = adapted(seed=seed)
            values = []
            for _ in range(3):
                wrapper.reset_metrics()
                values.append(float(wrapper.train_on_batch(x, y, return_dict=True)["loss"]))
            return values

        assert losses(3) == losses(3)
        assert len({*losses(3), *losses(4)}) == 6

    def test_without_terms_it_is_plain_training_on_shrunk_data(self):
        x, y = samples()
        wrapper, *_ = adapted(terms=(), alpha=0.5, rate=0.3)
        shrunk = modified_data(x, y, 0.5)
        plain = network()
        plain.compile(keras.optimizers.SGD(0.3), keras.losses.CategoricalCrossentropy(from_logits=True))
        for _ in range(2):
            logs = wrapper.train_on_batch(x, y, return_dict=True)
            expected = plain.train_on_batch(shrunk.x.astype("f4"), shrunk.y.astype("f4"), return_dict=True)
        assert set(logs) == {"loss"} and float(logs["loss"]) == pytest.approx(float(expected["loss"]), abs=1e-5)
        for ours, theirs in zip(wrapper.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_alpha_0_is_plain_training(self):
        x, y = samples()
        wrapper, *_ = adapted(alpha=0, rate=0.3)
        plain = network()
        plain.compile(keras.optimizers.SGD(0.3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        wrapper.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        for ours, theirs in zip(wrapper.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_logs_have_the_loss_and_its_parts_which_add_up_also_with_weights(self):
        wrapper, x, y = adapted(terms=ALL)
        wrapper.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
        weight = np.linspace(0, 3, len(x)).astype(np.float32)
        validation = (x[:5], y[:5])
        options = {"epochs": 2, "batch_size": 5, "verbose": 0, "validation_data": validation}
        history = wrapper.fit(x, y, sample_weight=weight, **options).history
        assert set(history) == {"loss", "base", *ALL, "accuracy", "val_loss", "val_accuracy"}
        for loss, *parts in zip(*(history[name] for name in ("loss", "base", *ALL)), strict=True):
            assert loss == pytest.approx(sum(parts), rel=1e-5)

    def test_weights_are_shrunk_as_targets_are(self):
        wrapper, x, y = adapted(terms=())
        weight = np.linspace(0, 3, len(x))
        loss = wrapper.train_on_batch(x, y, sample_weight=weight, return_dict=True)["loss"]
        by_class = weight[:, np.newaxis] * np.eye(3)[y]
        # theta's mean is 3/4 at alpha 1: all is drawn by a quarter to the mean.
        by_class = 0.75 * by_class + 0.25 * by_class.mean(axis=0)
        logs = tf.nn.log_softmax(tf.cast(wrapper.model(modified_data(x, y, 1.0).x), tf.float64)).numpy()
        assert loss == pytest.approx(-(by_class * logs).sum(axis=1).mean(), rel=1e-5)

    def test_with_weights_the_step_is_down_the_risk_of_mixtures_to_second_order(self):
        # Of a linear model's squared error, all mixtures enumerated.
        generator = np.random.default_rng(5)
        x, y = generator.normal(size=(6, 2)).astype(np.float32), generator.normal(size=(6, 1)).astype(np.float32)
        weight = np.array([0, 0.5, 1, 2, 4, 7], np.float32)
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
        wrapper = ApproximateMixupModel(model, 1.0, "squared_error", samples=100_000, seed=1)
        wrapper.adapt(x, y)
        wrapper.compile(keras.optimizers.SGD(1.0))
        before = np.concatenate([leaf.ravel() for leaf in model.get_weights()])
        wrapper.train_on_batch(x, y, sample_weight=weight)
        step = before - np.concatenate([leaf.ravel() for leaf in model.get_weights()])
        expected = np.zeros(3)
        means = x.mean(axis=0), weight.mean(), (weight * y[:, 0]).mean()
        for node, share in zip(*np.polynomial.legendre.leggauss(4), strict=True):
            ratio = (3 + node) / 4  # of the sample that has the larger share, uniform in [1/2, 1] at alpha 1
            for i, j in itertools.product(range(6), range(6)):
                mixed, total = (ratio * each[i] + (1 - ratio) * each[j] for each in (x, weight))
                target = ratio * weight[i] * y[i, 0] + (1 - ratio) * weight[j] * y[j, 0]
                delta, omega = (
                    value - (0.75 * each[i] + 0.25 * mean)
                    for value, each, mean in zip((mixed, total), (x, weight), means, strict=False)
                )
                gradient = (total * (np.append(mixed, 1) @ before) - target) * np.append(mixed, 1)
                # The approximation goes to second order, and this is the only part of third.
                gradient -= omega * (delta @ before[:2]) * np.append(delta, 0)
                expected += share / 2 / 36 * gradient
        # Over eight seeds the standard deviation was 0.0006 at most, of a gradient of size 3.
        np.testing.assert_allclose(step, expected, atol=0.004)

    def test_balanced_class_weights_teach_one_half(self):
        y = (np.arange(500) % 10 == 0).astype(np.int64)
        x = np.ones((500, 1), np.float32)
        layer = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
        model = keras.Sequential([keras.layers.Input((1,)), layer])
        wrapper = ApproximateMixupModel(model, 1.0, seed=0)
        wrapper.adapt(x, y)
        wrapper.compile(keras.optimizers.SGD(0.3))
        wrapper.fit(x, y, batch_size=250, epochs=40, class_weight={0: 1.0, 1: 9.0}, verbose=0)
        assert abs(float(tf.nn.softmax(model(x[:1]))[0, 1]) - 0.5) < 0.02

    def test_validation_and_evaluation_are_the_plain_models(self):
        for loss, kind in (
            ("categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
            ("binary_crossentropy", keras.losses.BinaryCrossentropy(from_logits=True)),
        ):
            wrapper, x, y = adapted(loss)
            plain = wrapper.model
            plain.compile(loss=kind)
            expected = plain.evaluate(x, y, verbose=0, return_dict=True)
            weight = np.arange(len(x), dtype=np.float32)
            weighted = plain.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
            assert wrapper.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
            result = wrapper.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
            assert result == pytest.approx(weighted, rel=1e-5)
            np.testing.assert_array_equal(wrapper.predict(x, verbose=0), plain.predict(x, verbose=0))

    def test_metrics_see_the_answers_to_shrunk_inputs_and_targets_as_given(self):
        wrapper, x, y = adapted(terms=("r1_r3",), samples=2)
        wrapper.compile(keras.optimizers.SGD(0.0), metrics=[keras.metrics.SparseCategoricalAccuracy(name="right")])
        logs = wrapper.train_on_batch(x, y, return_dict=True)
        answers = wrapper.model.predict(modified_data(x, y, 1.0).x.astype("f4"), verbose=0)
        assert float(logs["right"]) == pytest.approx((answers.argmax(axis=1) == y).mean())

    def test_one_hot_soft_and_integer_targets_train_alike(self):
        losses = []
        for encode in (lambda y: y, lambda y: y[:, np.newaxis], lambda y: np.eye(3, dtype=np.float32)[y]):
            wrapper, x, y = adapted()
            losses.append(float(wrapper.train_on_batch(x, encode(y), return_dict=True)["loss"]))
        assert losses[0] == losses[1] == pytest.approx(losses[2], rel=1e-6)

    def test_dropout_and_uint8_images_in_named_inputs_train(self):
        inputs = {"image": keras.Input((4, 4, 1), name="image"), "row": keras.Input((2,), name="row")}
        flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(inputs["image"]))
        both = keras.layers.Dropout(0.3)(keras.layers.Concatenate()([flat, inputs["row"]]))
        model = keras.Model(inputs, keras.layers.Dense(3)(both))
        generator = np.random.default_rng(0)
        x = {"image": generator.integers(0, 255, (20, 4, 4, 1)).astype("u1"), "row": generator.normal(size=(20, 2))}
        y = generator.integers(0, 3, 20)
        wrapper = ApproximateMixupModel(model, 0.5, terms=ALL, seed=0)
        wrapper.adapt(x, y)
        wrapper.compile("adam")
        history = wrapper.fit(x, y, epochs=2, batch_size=8, verbose=0, validation_split=0.2).history
        assert np.isfinite([history["loss"], history["val_loss"]]).all()

    @pytest.mark.parametrize("kind", ("BatchNormalization", "LayerNormalization", "LSTM"))
    @pytest.mark.representatives("kind", ["BatchNormalization"])
    def test_differences_train_what_exact_derivatives_cannot(self, kind):
        layers = [keras.layers.Reshape((4, 2)), keras.layers.LSTM(3)] if kind == "LSTM" else []
        model = network(layers=layers or [getattr(keras.layers, kind)()])
        wrapper, x, y = adapted(model=model, derivatives="differences", samples=400)
        wrapper.compile(keras.optimizers.SGD(0.0), jit_compile=True)
        logs = wrapper.train_on_batch(x, y, return_dict=True)
        assert np.isfinite(float(logs["loss"]))
        if kind != "BatchNormalization":  # which in training is another function than the one that is analysed
            risk = approximate_mixup_risk(model, x, y, 1.0, "categorical_crossentropy")
            # 4800 perturbations of a skewed square: the relative standard error is about 2 / sqrt(4800) = 3 %.
            assert float(logs["r1_r3"]) == pytest.approx(risk.r1 + risk.r3, rel=0.2)

    def test_the_three_point_line_and_two_moons_train(self):
        line = np.array([[0.0], [0.5], [1.0]], np.float32), np.array([0, 1, 0])
        angle = np.linspace(0, np.pi, 50)
        first = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        moons = np.concatenate([first, [1, 0.5] - first]).astype(np.float32), np.arange(100) // 50
        for (x, y), outputs, loss in ((line, 2, "categorical_crossentropy"), (moons, 1, "binary_crossentropy")):
            keras.utils.set_random_seed(0)
            layers = [keras.layers.Input(x.shape[1:]), keras.layers.Dense(32, activation="tanh")]
            wrapper = ApproximateMixupModel(
                keras.Sequential([*layers, keras.layers.Dense(outputs)]), 0.2, loss, seed=0
            )
            wrapper.adapt(x, y)
            wrapper.compile(keras.optimizers.Adam(0.03))
            dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(100, seed=0).repeat().batch(50)
            wrapper.fit(dataset, steps_per_epoch=300, shuffle=False, verbose=0)
            answers = wrapper.predict(x, verbose=0)
            right = (answers[:, -1] > (0 if outputs == 1 else answers[:, 0])) == y
            assert right.mean() > (0.99 if outputs == 2 else 0.95)
            # Trained on the approximation, the mixup risk itself must have become smaller than that of a constant.
            assert mixup_risk(wrapper.model, x, y, 0.2, loss, nodes=16) < np.log(2) * 0.95


class TestSaving:
    def test_keras_files_go_on_training_in_another_process(self, tmp_path, elsewhere):
        wrapper, x, y = adapted(terms=("r1_r3", "r2"), samples=2, rate=0.1)
        wrapper.train_on_batch(x, y)
        wrapper.save(str(tmp_path / "model.keras"))
        wrapper.reset_metrics()
        expected = float(wrapper.train_on_batch(x, y, return_dict=True)["loss"])
        np.savez(tmp_path / "arrays.npz", x=x, y=y, loss=expected, answer=wrapper.predict(x, verbose=0))
        code = """
import sys, warnings
warnings.filterwarnings("error", category=UserWarning, module="keras")
import numpy as np, keras
import kmix_tf.models.approximate.model
wrapper = keras.models.load_model(sys.argv[1] + "/model.keras")
arrays = np.load(sys.argv[1] + "/arrays.npz")
wrapper.reset_metrics()
loss = float(wrapper.train_on_batch(arrays["x"], arrays["y"], return_dict=True)["loss"])
np.testing.assert_allclose(loss, arrays["loss"], atol=1e-6)
np.testing.assert_allclose(wrapper.predict(arrays["x"], verbose=0), arrays["answer"], atol=1e-5)
assert (wrapper.alpha, wrapper.terms, wrapper.samples, wrapper.seed) == (1.0, ("r1_r3", "r2"), 2, 3)
"""
        elsewhere(code, tmp_path)

    def test_an_export_is_the_plain_model_and_runs_with_tensorflow_alone(self, tmp_path, elsewhere):
        wrapper, x, y = adapted()
        wrapper.train_on_batch(x, y)
        wrapper.export(str(tmp_path / "served"))
        np.savez(tmp_path / "arrays.npz", x=x, answer=wrapper.model.predict(x, verbose=0))
        code = """
import sys, numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1] + "/served")
arrays = np.load(sys.argv[1] + "/arrays.npz")
for size in (1, 5):
    np.testing.assert_allclose(served.serve(arrays["x"][:size]), arrays["answer"][:size], atol=1e-6)
assert "kmix_tf" not in sys.modules
"""
        elsewhere(code, tmp_path)

    def test_it_can_be_saved_before_adapt(self, tmp_path):
        ApproximateMixupModel(network(), 1.0).save(str(tmp_path / "model.keras"))
        again = keras.models.load_model(str(tmp_path / "model.keras"))
        x, y = samples()
        again.adapt(x, y)
        again.compile("sgd")
        assert np.isfinite(again.fit(x, y, verbose=0).history["loss"])

    def test_replicas_draw_differently(self, elsewhere):
        code = """
import numpy as np, keras, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kmix_tf.models.approximate.model import ApproximateMixupModel
from kmix_tf.models.approximate.perturbation import step_seed
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
seeds = strategy.experimental_local_results(strategy.run(tf.function(lambda: step_seed(3, 5))))
assert seeds[0].numpy().tolist() != seeds[1].numpy().tolist()
x, y = np.random.default_rng(0).normal(size=(16, 2)).astype("f4"), np.arange(16) % 2
with strategy.scope():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])
    wrapper = ApproximateMixupModel(model, 1.0, seed=0)
    wrapper.adapt(x, y)
    wrapper.compile("sgd")
history = wrapper.fit(x, y, batch_size=8, epochs=2, verbose=0).history
assert np.isfinite(history["loss"]).all() and int(np.array(wrapper._step)) == 4
np.testing.assert_allclose(history["loss"], np.add(history["base"], history["r1_r3"]), rtol=1e-4)
"""
        elsewhere(code)


class TestRefusals:
    def test_fit_before_adapt_but_not_predict(self):
        x, y = samples()
        wrapper = ApproximateMixupModel(network(), 1.0)
        wrapper.compile("sgd")
        assert np.isfinite(wrapper.evaluate(x, y, verbose=0)) and wrapper.predict(x, verbose=0).shape == (12, 3)
        with pytest.raises(ValueError, match=r"ApproximateMixupModel: adapt\(dataset\) must come before fit"):
            wrapper.fit(x, y, verbose=0)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"alpha": -1}, r"ApproximateMixupModel: alpha must be >= 0 and finite. Received: alpha=-1."),
            ({"alpha": float("inf")}, "alpha must be >= 0"),
            ({"loss": "mse"}, "ApproximateMixupModel: loss must be one of 'categorical_crossentropy'"),
            ({"terms": "r2"}, "terms must be a sequence of different ones of 'r1_r3', 'r2', 'r4'"),
            ({"terms": ("r1",)}, "terms must be a sequence"),
            ({"terms": ("r2", "r2")}, "terms must be a sequence"),
            ({"samples": 0}, "samples must be an integer >= 1"),
            ({"seed": -1}, "seed must be an integer >= 0"),
            ({"derivatives": "forward"}, "derivatives must be one of 'exact', 'differences'"),
            ({"model": "model.keras"}, "model must be a Keras model"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises((TypeError, ValueError), match=message):
            ApproximateMixupModel(**{"model": network(), "alpha": 1.0, **arguments})

    @pytest.mark.parametrize("kind", ("BatchNormalization", "LayerNormalization", "GroupNormalization"))
    def test_layers_whose_second_derivatives_tensorflow_gets_wrong(self, kind):
        layer = keras.layers.GroupNormalization(2) if kind == "GroupNormalization" else getattr(keras.layers, kind)()
        with pytest.raises(ValueError, match=f"derivatives='exact' cannot be used with {kind}.*'differences'"):
            ApproximateMixupModel(network(layers=[layer]), 1.0)
        ApproximateMixupModel(network(layers=[layer]), 1.0, terms=())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x * np.nan, y), "finite features"),
            (lambda x, y: (x, y + 1), r"labels must be in \[0, 3\).*Received: labels from 1 to 3"),
            (lambda x, y: (x, np.eye(4)[y]), r"y must be \(n, 3\)"),
            (lambda x, y: (x, y.astype(float)), r"y must be \(n, 3\)"),
            (lambda x, y: (x, 2 * np.eye(3)[y]), "soft labels must be in"),
            (lambda x, y: (x[:0], y[:0]), "at least one sample"),
        ],
    )
    def test_bad_data(self, change, message):
        with pytest.raises(ValueError, match=message):
            ApproximateMixupModel(network(), 1.0, "categorical_crossentropy").adapt(*change(*samples()))

    def test_a_dataset_without_targets(self):
        with pytest.raises(ValueError, match=r"adapt needs a dataset of batches \(x, y\)"):
            ApproximateMixupModel(network(), 1.0).adapt(tf.data.Dataset.from_tensor_slices(samples()[0]).batch(4))

    @pytest.mark.parametrize("jit_compile", (False, True))
    def test_a_label_outside_the_classes_stops_or_shows_as_nan(self, jit_compile):
        wrapper, x, y = adapted()
        wrapper.compile("sgd", jit_compile=jit_compile)
        if jit_compile:
            assert np.isnan(float(wrapper.test_on_batch(x, y + 1)))
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in \[0, 3\)"):
                wrapper.test_on_batch(x, y + 1)

    def test_a_model_of_several_axes(self):
        model = keras.Sequential([keras.layers.Input((4, 2)), keras.layers.Dense(3)])
        with pytest.raises(ValueError, match=r"the model must have one output \(batch, outputs\)"):
            ApproximateMixupModel(model, 1.0).adapt(np.zeros((3, 4, 2), np.float32), [0, 1, 2])
