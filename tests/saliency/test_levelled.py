"""Saliency of float16 models against the same weights in float32, whatever the loss and the batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.saliency import GradientSaliency, unusable
from kmix_tf.saliency.levelled import is_half

RNG = np.random.default_rng(8)
X = RNG.normal(size=(512, 4, 4, 2)).astype(np.float32)


def network(policy, activation=None, top=None):
    inputs = keras.Input((4, 4, 2))
    hidden = keras.layers.Flatten(dtype=policy)(inputs)
    hidden = keras.layers.Dense(8, activation="tanh", dtype=policy)(hidden)
    return keras.Model(inputs, keras.layers.Dense(3, activation=activation, dtype=top or policy)(hidden))


def half_and_full(gain, activation=None, top=None):
    """Equal weights; the larger the gain, the surer the model."""
    keras.utils.set_random_seed(3)
    half, full = network("mixed_float16", activation, top), network("float32", activation)
    weights = full.get_weights()
    weights[-2] *= gain
    for model in (half, full):
        model.set_weights(weights)
    return half, full


def shares(saliency):
    saliency = np.asarray(saliency, np.float64)
    return saliency / saliency.max(axis=(1, 2), keepdims=True)


def assert_alike(half, full, loss, x):
    # The classes that are predicted: losses are small, and some are zeros in float16.
    y = np.eye(3, dtype=np.float32)[np.argmax(full(x), axis=-1)]
    first, second = (GradientSaliency(model, loss)([tf.constant(x)], [tf.constant(y)]) for model in (half, full))
    assert not unusable(second).numpy().any()
    assert not unusable(first).numpy().any()
    # Three digits, of which differences of logits cost one or two.
    np.testing.assert_allclose(shares(first), shares(second), atol=0.06)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
@pytest.mark.parametrize("batch", [1, 512])
def test_neither_a_reduction_nor_a_large_batch_makes_small_gradients_vanish(batch, reduction):
    half, full = half_and_full(6.0)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=reduction)
    assert_alike(half, full, loss, X[:batch])


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_size_of_a_loss_does_not_matter(scale):
    half, full = half_and_full(1.0)
    assert_alike(half, full, lambda y, p: scale * tf.reduce_sum((y - tf.cast(p, tf.float32)) ** 2), X[:32])


@pytest.mark.parametrize("top", [None, "float32"])
def test_a_softmax_in_the_model_is_differentiated_by_its_logits(top):
    # Gains at which 1 - p is zero in float16.
    half, full = half_and_full(6.0, "softmax", top)
    assert_alike(half, full, keras.losses.CategoricalCrossentropy(), X[:64])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_samples_that_overflow_are_asked_again_with_less(jit_compile):
    half, full = half_and_full(1.0)
    for model in (half, full):
        kernel, *others = model.get_weights()
        # Slopes of some hundred, which the first factor takes beyond 65504; but not where tanh is flat.
        model.set_weights([500 * kernel, *others])
    x = np.concatenate([0.001 * X[:4], X[4:8]])
    y, loss = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 8)], keras.losses.MeanSquaredError()
    source = GradientSaliency(half, loss)
    first = tf.function(lambda x, y: source([x], [y]), jit_compile=jit_compile)(x, y)
    second = GradientSaliency(full, loss)([tf.constant(x)], [tf.constant(y)])
    assert not unusable(first).numpy()[:4].any()
    np.testing.assert_allclose(shares(first[:4]), shares(second[:4]), atol=0.03)


def test_several_outputs_count_as_they_do_in_the_loss():
    keras.utils.set_random_seed(1)
    models, shared = [], None
    for policy in ("mixed_float16", "float32"):
        inputs = keras.Input((4, 4, 2))
        flat = keras.layers.Flatten(dtype=policy)(inputs)
        models.append(keras.Model(inputs, [keras.layers.Dense(size, dtype=policy)(flat) for size in (3, 1)]))
        shared = shared or models[0].get_weights()
        models[-1].set_weights(shared)

    def loss(targets, outputs):
        a, b = (tf.cast(output, tf.float32) for output in outputs)
        return tf.reduce_sum((targets[0] - a) ** 2) + 0.01 * tf.reduce_sum((targets[1] - b) ** 2)

    y = [tf.ones([8, 3]), tf.zeros([8, 1])]
    first, second = (GradientSaliency(model, loss)([tf.constant(X[:8])], y) for model in models)
    np.testing.assert_allclose(shares(first), shares(second), atol=0.03)


def test_float16_is_found_wherever_it_is():
    assert is_half(network("float32", top="mixed_float16"))
    assert is_half(keras.Sequential([keras.Input((4, 4, 2)), network("mixed_float16")]))
    assert not is_half(network("mixed_bfloat16"))
    assert not is_half(network("float32"))
