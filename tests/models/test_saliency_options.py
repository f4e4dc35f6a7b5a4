"""MixModel asks for saliency in some steps alone, or of smaller images: by hand, step by step."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import Blended, KMixupLayer, MixLayer, MixModel, SaliencyMixLayer
from kmix_tf._compat import IS_KERAS_3
from kmix_tf.models.salient import salient_axes
from kmix_tf.saliency import SpectralResidualSaliency

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 6, 4, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 12)
LABELS = np.eye(3, dtype=np.float32)[Y]
RATE = 0.5
ENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)


class SalienceAsRatio:
    """A blend whose mask is what it is told: any error in the saliency shows in the mixture."""

    uses_saliency = True
    saliency, axes = None, 2

    def saliency_of(self, features, targets):
        raise AssertionError("it is told")

    def __call__(self, first, second, partner, ratio, seed, saliency=None):
        of_first, of_second = saliency
        share = of_first / (of_first + tf.gather(of_second, partner) + 1e-12)
        x = [share[..., tf.newaxis] * first[0] + (1 - share[..., tf.newaxis]) * tf.gather(second[0], partner)]
        return Blended(x, ratio)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
class Counting(keras.layers.Layer):
    """Counts how often it is asked as in inference."""

    def build(self, shape):
        self.asked = self.add_weight(name="asked", shape=(), initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, x, training=None):
        if not training:
            self.asked.assign(self.asked + 1)
        return x


def network(size=None, counting=False):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    parts = [
        layers.Conv2D(4, 3, padding="same", activation="tanh"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]
    return keras.Sequential([layers.Input((size, size, 2)), *([Counting()] if counting else []), *parts])


def layer():
    return MixLayer(blend=SalienceAsRatio(), num_classes=3)


def compiled(mixing, **options):
    mixing.compile(keras.optimizers.SGD(RATE), ENTROPY, **options)
    return mixing


def fit(mixing, epochs):
    data = tf.data.Dataset.from_tensors((X, Y))
    return mixing.fit(data, epochs=epochs, verbose=0)


def values(variables):
    return [variable.value if IS_KERAS_3 else variable for variable in variables]


def asked(model, x):
    with tf.GradientTape() as tape:
        tape.watch(x := tf.convert_to_tensor(x))
        loss = ENTROPY(LABELS, model(x, training=False))
    return np.sqrt(np.square(tape.gradient(loss, x)).sum(axis=-1))


def trained_by_hand(saliencies):
    """The weights after so many steps, each with the saliency that a function of the model says."""
    model, mix = network(), layer()
    draws = MixModel(network(), mix, seed=1)._counter
    for saliency in saliencies:
        x, y = mix(X, Y, seed=draws.next()[1], saliency=saliency(model))
        with tf.GradientTape() as tape:
            loss = ENTROPY(y, model(x, training=True))
        weights = values(model.trainable_variables)
        for weight, slope in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(RATE * slope)
    return model.get_weights()


def by_gradient(model):
    return asked(model, X)


def by_themselves(model):
    return SpectralResidualSaliency()([tf.constant(X)])


def of_smaller(model):
    """Means of 2 x 2 places; linear between their middles."""
    found = asked(model, X.reshape(12, 3, 2, 2, 2, 2).mean(axis=(2, 4)))
    return np.stack([interpolated(interpolated(each, 6).T, 4).T for each in found]).astype(np.float32)


def interpolated(rows, size):
    middles = np.arange(size // 2) * 2 + 0.5
    return np.stack([np.interp(np.arange(size), middles, column) for column in rows.T], axis=1)


def assert_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_the_first_of_every_few_steps_the_model_is_asked_and_else_the_images(jit_compile):
    mixing = compiled(MixModel(network(), layer(), seed=1, saliency_every=3), jit_compile=jit_compile)
    fit(mixing, 4)
    turns = [by_gradient, by_themselves, by_themselves, by_gradient]
    assert_same(mixing.model.get_weights(), trained_by_hand(turns))
    # The two kinds of saliency are told apart by this.
    others = trained_by_hand([by_gradient] * 4)
    assert max(np.abs(a - b).max() for a, b in zip(mixing.model.get_weights(), others, strict=True)) > 1e-3


def test_a_pass_is_saved_in_all_other_steps():
    model = network(counting=True)
    mixing = compiled(MixModel(model, layer(), seed=1, saliency_every=2), jit_compile=False)
    before = float(tf.convert_to_tensor(model.layers[0].asked))
    fit(mixing, 5)
    assert float(tf.convert_to_tensor(model.layers[0].asked)) - before == 3


def test_training_that_is_resumed_goes_on_in_turn(tmp_path):
    mix = SaliencyMixLayer(num_classes=3)
    whole = compiled(MixModel(network(), mix, seed=1, saliency_every=2, saliency_shrink=2))
    fit(whole, 4)
    part = compiled(MixModel(network(), mix, seed=1, saliency_every=2, saliency_shrink=2))
    fit(part, 1)
    part.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.saliency_every, loaded.saliency_shrink) == (2, 2)
    fit(loaded, 3)
    assert_same(loaded.model.get_weights(), whole.model.get_weights())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_of_smaller_images_it_is_interpolated(jit_compile):
    mixing = compiled(MixModel(network(), layer(), seed=1, saliency_shrink=2), jit_compile=jit_compile)
    fit(mixing, 2)
    assert_same(mixing.model.get_weights(), trained_by_hand([of_smaller] * 2))
    others = trained_by_hand([by_gradient] * 2)
    assert max(np.abs(a - b).max() for a, b in zip(mixing.model.get_weights(), others, strict=True)) > 1e-3


def test_steps_run_eagerly_take_turns_too():
    mixing = compiled(MixModel(network(), layer(), seed=1, saliency_every=2), run_eagerly=True)
    fit(mixing, 2)
    assert_same(mixing.model.get_weights(), trained_by_hand([by_gradient, by_themselves]))


def test_logs_are_those_of_the_mixtures_whoever_is_asked():
    mixing = MixModel(network(), SaliencyMixLayer(num_classes=3, alpha=0.0), seed=1, saliency_every=2)
    mixing.compile(keras.optimizers.SGD(0.0), ENTROPY, metrics=["accuracy"])
    logs = fit(mixing, 3).history
    logits = mixing.model(X).numpy()
    np.testing.assert_allclose(logs["accuracy"], [np.mean(logits.argmax(-1) == Y)] * 3, rtol=1e-6)
    np.testing.assert_allclose(logs["loss"], [float(ENTROPY(LABELS, logits))] * 3, rtol=1e-5)


# Logical devices must be made before TensorFlow starts.
REPLICAS = """
import json, keras, numpy as np, tensorflow as tf
from kmix_tf import MixModel, SaliencyMixLayer
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(8, 4, 4, 2)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 8)]
kernel = rng.normal(size=(2, 3)).astype("float32")

def steps(strategy, **options):
    with strategy.scope():
        means, dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, use_bias=False)
        model = keras.Sequential([keras.Input((None, None, 2)), means, dense])
        model.set_weights([kernel])
        trained = MixModel(model, SaliencyMixLayer(alpha=0.0), seed=0, **options) if options else model
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        trained.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"], jit_compile=False)
    logs = trained.fit(tf.data.Dataset.from_tensors((x, y)), epochs=3, verbose=0).history
    return [model.get_weights()[0].tolist(), logs["accuracy"]]

one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
print(json.dumps([steps(one), steps(two, saliency_every=2, saliency_shrink=2)]))
"""


def test_on_two_replicas_as_well(elsewhere):
    # Of batches that alpha = 0 leaves as they are, so that steps are plain ones.
    plain, ours = json.loads(elsewhere(REPLICAS).splitlines()[-1])
    np.testing.assert_allclose(ours[0], plain[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours[1], plain[1])


@pytest.mark.parametrize("option", ["saliency_every", "saliency_shrink"])
def test_where_it_would_change_nothing_or_too_much_it_is_refused(option):
    salient = SaliencyMixLayer(num_classes=3)
    with pytest.raises(ValueError, match=f"MixModel: {option} must be an integer >= 1. Received: {option}=0"):
        MixModel(network(), salient, **{option: 0})
    with pytest.raises(ValueError, match=f"MixModel: {option} must be 1 for LinearBlend, .* Received: {option}=2"):
        MixModel(network(), KMixupLayer(2, num_classes=3), **{option: 2})
    with pytest.raises(ValueError, match=f"MixModel: {option} must be 1 with a clean_weight, .*Received: {option}=2"):
        MixModel(network(), salient, clean_weight=1.0, **{option: 2})
    MixModel(network(), salient, clean_weight=1.0, **{option: 1})
    MixModel(network(), KMixupLayer(2, num_classes=3), **{option: 1})


def test_a_model_of_one_size_is_not_asked_of_smaller_images():
    message = r"MixModel: saliency_shrink must be 1 for a model that takes images of one size, here \(None, 6, 6, 2\)"
    with pytest.raises(ValueError, match=message):
        MixModel(network(6), SaliencyMixLayer(num_classes=3), saliency_shrink=2)


def test_the_axes_are_those_of_blends_without_a_source_of_their_own():
    assert salient_axes(SaliencyMixLayer()) == 2
    assert salient_axes(SaliencyMixLayer(saliency=SpectralResidualSaliency())) is None
    assert salient_axes(KMixupLayer(2)) is None
