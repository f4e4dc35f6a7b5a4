"""Layers of networks that people have: normalised, with dropout, ready-made."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.maths.derivatives import POINTS, directional_derivatives
from kmix_tf.models.approximate.noise import one_noise

L = keras.layers
ALL = ("r1_r3", "r2", "r4")
RNG = np.random.default_rng(0)
X, Y = (RNG.normal(size=(12, 4)) + 1).astype(np.float32), RNG.integers(0, 3, 12)


def network(*layers, shape=(4,)):
    keras.utils.set_random_seed(1)
    return keras.Sequential([L.Input(shape), *layers])


def wrapped(model, x=X, y=Y, rate=0.0, **options):
    wrapper = ApproximateMixupModel(model, 1.0, seed=3, **options)
    wrapper.adapt(x, y)
    wrapper.compile(keras.optimizers.SGD(rate))
    return wrapper


def step(wrapper, x=X, y=Y):
    wrapper.reset_metrics()
    logs = wrapper.train_on_batch(x, y, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def with_statistics(norm):
    """Gives a built batch normalisation numbers that are all different."""
    generator = np.random.default_rng(5)
    norm.set_weights([generator.uniform(0.5, 2, weight.shape) for weight in norm.get_weights()])


class TestBatchNormalization:
    def frozen(self):
        norm = L.BatchNormalization()
        model = network(L.Dense(8, activation="tanh"), norm, L.Dense(6, activation="tanh"), L.Dense(3))
        with_statistics(norm)
        norm.trainable = False
        return model, norm

    def test_frozen_it_is_affine_and_trains_exactly_as_the_dense_layer_that_it_amounts_to(self):
        model, norm = self.frozen()
        folded = network(L.Dense(8, activation="tanh"), L.Dense(6, activation="tanh"), L.Dense(3))
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        (first, bias, *_), (kernel, shift, *last) = (
            model.layers[0].get_weights(),
            (
                *model.layers[2].get_weights(),
                *model.layers[3].get_weights(),
            ),
        )
        folded.set_weights(
            [first, bias, scale[:, np.newaxis] * kernel, shift + (beta - mean * scale) @ kernel, *last]
        )
        ours, theirs = (wrapped(each, terms=ALL, rate=0.5) for each in (model, folded))
        assert step(ours) == pytest.approx(step(theirs), rel=1e-4)
        # Of the layers outside, whose gradients go through all derivatives.
        for one, other in ((0, 0), (3, 2)):
            for mine, other_s in zip(
                model.layers[one].get_weights(), folded.layers[other].get_weights(), strict=True
            ):
                np.testing.assert_allclose(mine, other_s, atol=2e-5)
        np.testing.assert_array_equal(norm.get_weights()[2], mean)

    def test_frozen_convolutions_with_shortcuts_are_those_of_differences(self):
        # Of such blocks, TensorFlow once had no second derivatives: tensorflow issues 18996 and 27043.
        inputs = keras.Input((6, 6, 2))
        x = L.Conv2D(4, 3, padding="same")(inputs)
        inner = L.Activation("tanh")(L.BatchNormalization()(x))
        x = L.Add()([x, L.Conv2D(4, 3, padding="same", use_bias=False)(inner)])
        outputs = L.Dense(3)(L.GlobalAveragePooling2D()(L.Activation("tanh")(L.BatchNormalization()(x))))
        model = keras.Model(inputs, outputs)
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                with_statistics(layer)
                layer.trainable = False
        x = RNG.normal(size=(12, 6, 6, 2)).astype(np.float32)
        exact, by_differences = (
            step(wrapped(model, x, terms=ALL, derivatives=each), x) for each in ("exact", "differences")
        )
        assert exact == pytest.approx(by_differences, rel=1e-2)
        assert abs(exact["r1_r3"]) > 1e-4 and abs(exact["r2"]) > 1e-4

    def test_unfrozen_after_it_was_wrapped_it_is_refused_in_the_step(self):
        model, norm = self.frozen()
        wrapper = wrapped(model)
        norm.trainable = True
        wrapper.compile("sgd")
        with pytest.raises(ValueError, match=r"cannot be used with BatchNormalization in training.*trainable=False"):
            step(wrapper)

    def test_in_a_subclassed_model_it_is_refused_in_the_step(self):
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.norm, self.dense = L.BatchNormalization(), L.Dense(3)

            def call(self, x, training=None):
                return self.dense(self.norm(x, training=training))

        wrapper = wrapped(Own())
        with pytest.raises(ValueError, match="ApproximateMixupModel: derivatives='exact' cannot be used with Batch"):
            step(wrapper)

    def test_called_for_inference_within_a_model_it_is_judged_by_whether_the_model_trains_it(self):
        # In Keras 3, the call of the model overrules what training=False says there (its issue 20285).
        inner = network(L.BatchNormalization())
        inputs = keras.Input((4,))
        model = keras.Model(inputs, L.Dense(3)(inner(inputs, training=False)))
        before = np.array(inner.layers[-1].get_weights()[2])
        model(X, training=True)
        if np.array_equal(before, inner.layers[-1].get_weights()[2]):
            assert np.isfinite(step(wrapped(model))["loss"])
        else:
            with pytest.raises(ValueError, match="BatchNormalization in training"):
                ApproximateMixupModel(model, 1.0)

    @pytest.mark.parametrize("jit_compile", (False, True))
    def test_by_differences_its_averages_move_once_a_step_and_to_the_shrunk_batch(self, jit_compile):
        norm = L.BatchNormalization(momentum=0.9)
        wrapper = wrapped(network(norm, L.Dense(3)), derivatives="differences")
        wrapper.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
        step(wrapper)
        _, _, mean, variance = norm.get_weights()
        shrunk = X.mean(axis=0) + 0.75 * (X - X.mean(axis=0))  # theta's mean is 3/4 at alpha 1
        np.testing.assert_allclose(mean, 0.1 * shrunk.mean(axis=0), rtol=1e-4)
        # Steps to either side are 1/16 of perturbations: their squares add less than a hundredth.
        np.testing.assert_allclose(variance, 0.9 + 0.1 * shrunk.var(axis=0), rtol=2e-3)

    def test_by_differences_its_derivatives_are_those_with_the_statistics_of_the_batch_held(self):
        layers = [L.Dense(8, activation="tanh"), L.BatchNormalization(), L.Dense(5, activation="tanh"), L.Dense(3)]
        model = network(*layers)
        in_training = step(wrapped(model, derivatives="differences"))
        shrunk = X.mean(axis=0) + 0.75 * (X - X.mean(axis=0))
        hidden = model.layers[0](shrunk).numpy()
        gamma, beta, *_ = layers[1].get_weights()
        layers[1].set_weights([gamma, beta, hidden.mean(axis=0), hidden.var(axis=0)])
        layers[1].trainable = False
        held = step(wrapped(model))
        assert in_training["r1_r3"] == pytest.approx(held["r1_r3"], rel=0.02)


NOISES = {
    "Dropout": lambda: L.Dropout(0.5),
    "GaussianDropout": lambda: L.GaussianDropout(0.5),
    "GaussianNoise": lambda: L.GaussianNoise(0.5),
    "SpatialDropout1D": lambda: L.SpatialDropout1D(0.5),
    "noise_shape": lambda: L.Dropout(0.5, noise_shape=(None, 1, 1)),
    "in a model": lambda: network(L.Dropout(0.5), L.Dense(4), shape=(6, 4)),
    "by steps": lambda: L.TimeDistributed(L.Dropout(0.5)),
}


class Attending(L.Layer):
    """Attention of a sequence to itself, with dropout of what is attended to."""

    def __init__(self):
        super().__init__()
        self.attention = L.MultiHeadAttention(2, 3, dropout=0.5)

    def call(self, x, training=None):
        return self.attention(x, x, training=training)


NOISES["attention"] = Attending
SEQUENCES = RNG.normal(size=(5, 6, 4)).astype(np.float32)


def noisy(model, points):
    with one_noise(model, points, POINTS):
        return model(points, training=True)


class TestNoise:
    @pytest.mark.parametrize("name", NOISES)
    def test_it_is_the_same_at_all_points_and_differs_between_rows_and_calls(self, name):
        model = network(NOISES[name](), L.Flatten(), shape=(6, 4))
        same = tf.constant(np.tile(SEQUENCES[:1], (5, 1, 1)))
        found = []
        for _ in range(2):
            here, ahead, behind = tf.split(noisy(model, tf.concat([same] * 3, axis=0)), 3)
            np.testing.assert_array_equal(here, ahead)
            np.testing.assert_array_equal(here, behind)
            found.append(here.numpy())
        assert not np.array_equal(*found)
        assert len(np.unique(found[0], axis=0)) > 1
        # Without it, and in inference, layers are themselves again.
        assert model(SEQUENCES[:4], training=True).shape == (4, 24)
        assert not any("call" in vars(layer) for layer in model._flatten_layers())
        np.testing.assert_array_equal(noisy_in_inference(model, SEQUENCES[:3]), model(SEQUENCES[:3]))

    def test_differences_are_the_exact_derivatives_given_the_same_mask(self):
        first, second = L.Dense(16, activation="tanh"), L.Dense(3, activation="tanh")
        inputs = keras.Input((4,))
        dropped = L.Dropout(0.5)(first(inputs))
        model = keras.Model(inputs, L.Concatenate()([dropped, second(dropped)]))
        x, direction = tf.constant(X), tf.constant(0.3 * RNG.normal(size=X.shape).astype(np.float32))
        values = directional_derivatives(
            lambda leaves: noisy(model, leaves[0]), [x], [direction], 2, derivatives="differences"
        )
        mask = values[0][:, :16] / first(x)
        assert set(np.unique(np.round(mask, 4))) == {0, 2}
        exact = directional_derivatives(lambda leaves: second(mask * first(leaves[0])), [x], [direction], 2)
        for ours, theirs, atol in zip(values, exact, (1e-5, 1e-3, 5e-3), strict=True):
            np.testing.assert_allclose(ours[:, 16:], theirs, atol=atol)
        assert np.abs(exact[1]).max() > 0.2 and np.abs(exact[2]).max() > 0.2

    @pytest.mark.parametrize("jit_compile", (False, True))
    def test_masks_change_from_step_to_step(self, jit_compile):
        wrapper = wrapped(network(L.Dense(20), L.Dropout(0.5), L.Dense(3)), derivatives="differences")
        wrapper.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
        # The base is that of the shrunk data, which are the same in each step.
        assert len({step(wrapper)["base"] for _ in range(4)}) == 4

    @pytest.mark.parametrize("samples", (1, 3))
    def test_beside_batch_normalisation_in_training_it_makes_no_differences(self, samples):
        layers = [L.Dense(8, activation="tanh"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(3)]
        wrapper = wrapped(network(*layers), derivatives="differences", samples=samples, rate=0.1)
        losses = [step(wrapper)["loss"] for _ in range(60)]
        # Differences of masks would be divided by the step of 1/16: the term was then above 100 here.
        assert np.isfinite(losses).all() and max(losses) < 10
        assert np.mean(losses[-10:]) < np.mean(losses[:10])

    @pytest.mark.parametrize(
        ("name", "make"),
        [
            ("AlphaDropout", lambda: [L.AlphaDropout(0.5)]),
            ("RandomFlip", lambda: [L.Reshape((2, 2, 1)), L.RandomFlip(), L.Flatten()]),
            ("LSTM", lambda: [L.Reshape((2, 2)), L.LSTM(3, dropout=0.2)]),
            ("GRU", lambda: [L.Reshape((2, 2)), L.GRU(3, recurrent_dropout=0.2)]),
        ],
    )
    def test_what_cannot_be_held_is_refused_by_name(self, name, make):
        with pytest.raises(ValueError, match=f"derivatives='differences' cannot be used with {name}.*Dropout"):
            ApproximateMixupModel(network(*make(), L.Dense(3)), 1.0, derivatives="differences")
        ApproximateMixupModel(network(*make(), L.Dense(3)), 1.0, derivatives="differences", terms=())

    def test_rates_of_0_and_layers_that_draw_nothing_are_not(self):
        layers = [L.Reshape((2, 2)), L.LSTM(3), L.AlphaDropout(0.0), L.Dense(3)]
        assert np.isfinite(step(wrapped(network(*layers), derivatives="differences"))["loss"])

    @pytest.mark.skipif(not IS_KERAS_3, reason="layers of Keras 2 do not say that they draw")
    def test_a_layer_of_ones_own_that_draws_is_refused(self):
        class Own(L.Layer):
            def __init__(self):
                super().__init__()
                self.seeds = keras.random.SeedGenerator(0)

            def call(self, x):
                return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)

        with pytest.raises(ValueError, match="cannot be used with Own"):
            ApproximateMixupModel(network(Own(), L.Dense(3)), 1.0, derivatives="differences")

    def test_a_batch_that_is_not_on_the_first_axis_is_refused(self):
        layers = [L.Reshape((2, 2)), L.Lambda(lambda x: tf.transpose(x, [1, 0, 2]), output_shape=(None, 2))]
        back = L.Lambda(lambda x: tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, 4]), output_shape=(4,))
        model = network(*layers, L.Dropout(0.5), back, L.Dense(3))
        wrapper = wrapped(model, derivatives="differences")
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="the batch on the first axis"):
            step(wrapper)

    @pytest.mark.matrix
    def test_replicas_hold_their_own(self, elsewhere):
        code = """
import numpy as np, keras, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kmix_tf import ApproximateMixupModel
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, y = np.random.default_rng(0).normal(size=(16, 2)).astype("f4"), np.arange(16) % 2
with strategy.scope():
    layers = [keras.layers.Input((2,)), keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    wrapper = ApproximateMixupModel(keras.Sequential(layers), 1.0, derivatives="differences", seed=0)
    wrapper.adapt(x, y)
    wrapper.compile(keras.optimizers.SGD(0.0))
history = wrapper.fit(x, y, batch_size=8, epochs=4, verbose=0).history
assert max(np.abs(history["r1_r3"])) < 3, history
assert len(set(history["base"])) == 4
"""
        elsewhere(code)


def noisy_in_inference(model, points):
    with one_noise(model, points, POINTS):
        return model(points, training=False)


class TestReadyMade:
    @pytest.mark.parametrize("name", ("EfficientNetB0", "MobileNetV3Small"))
    @pytest.mark.matrix
    def test_they_take_a_step(self, name):
        keras.utils.set_random_seed(0)
        make = getattr(keras.applications, name)
        model = make(weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None)
        x, y = RNG.uniform(0, 255, (6, 64, 64, 3)).astype(np.float32), np.arange(6) % 10
        with pytest.raises(ValueError, match=r"BatchNormalization in training.*derivatives='differences'"):
            ApproximateMixupModel(model, 1.0)
        wrapper = ApproximateMixupModel(model, 1.0, derivatives="differences", seed=0)
        wrapper.adapt(x, y)
        wrapper.compile(keras.optimizers.SGD(0.01), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        before = [weight.numpy() for weight in model.trainable_variables]
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            logs = step(wrapper, x, y)
        assert np.isfinite(list(logs.values())).all() and set(logs) == {"loss", "base", "r1_r3"}
        changed = [not np.array_equal(*pair) for pair in zip(before, model.trainable_variables, strict=True)]
        assert np.mean(changed) > 0.9

    @pytest.mark.matrix
    def test_frozen_normalisation_and_exact_derivatives(self):
        keras.utils.set_random_seed(0)
        model = keras.applications.MobileNetV3Small(
            weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None
        )
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                layer.trainable = False
        x, y = RNG.uniform(0, 255, (6, 64, 64, 3)).astype(np.float32), np.arange(6) % 10
        assert np.isfinite(step(wrapped(model, x, y, rate=0.01), x, y)["loss"])
