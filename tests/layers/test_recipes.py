"""Cutout and label smoothing are not ours: they compose with every mix, in either environment."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import LocalMixupLoss

IS_KERAS_3 = keras.__version__.startswith("3")
RNG = np.random.default_rng(8)
X = RNG.uniform(0.25, 1, size=(8, 4, 6, 1)).astype(np.float32)
Y = RNG.integers(0, 3, 8).astype(np.int32)
ERASED = 0.0  # no pixel of X is so dark
SMOOTHING = 0.3
# Pipelines take long to compile: one mix of each kind, of those that every other test goes through.
IN_PIPELINES = [
    "k-mixup",
    "multi-mix",
    "local",
    "cutmix",
    "fmix",
    "saliencymix",
    "puzzle mix",
    "packed",
    "all at once",
]


def eraser():
    """Keras' layer, or the function of tensorflow-addons, which Keras 2 has no layer for."""
    if IS_KERAS_3:
        layer = keras.layers.RandomErasing((1, 1), (0.4, 0.6), fill_value=ERASED, value_range=(0, 1), seed=1)
        return lambda images: layer(images, training=True)
    from tensorflow_addons.image import random_cutout

    return lambda images: random_cutout(images, mask_size=2, constant_values=ERASED)


def batches():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def call(layer, x, y):
    step = {"step": 7} if layer.schedule is not None else {}
    return layer(x, y, seed=5, **step)


@pytest.mark.parametrize("name", IN_PIPELINES)
@pytest.mark.representatives("name", ["all at once"])
def test_erased_images_are_mixed_like_any_others(name, layers, same):
    layer, erase = layers[name](), eraser()
    erased = batches().map(lambda x, y: (erase(x), y))
    x, y, mixed = next(iter(erased.map(lambda x, y: (x, y, call(layer, x, y)))))
    assert np.any(x == ERASED)
    assert np.all((x == ERASED) | (x == X))
    same(mixed, call(layer, x, y))


@pytest.mark.parametrize("name", IN_PIPELINES)
@pytest.mark.representatives("name", ["all at once"])
def test_mixtures_are_erased_like_any_images(name, layers):
    layer, erase = layers[name](), eraser()
    before, after = next(iter(batches().map(lambda x, y: call(layer, x, y)[0]).map(lambda x: (x, erase(x)))))
    assert before.shape == after.shape
    assert np.any(after == ERASED)
    assert np.all((after == ERASED) | (after == before))


@pytest.mark.usefixtures("plain_and_compiled")
def test_smoothed_losses_are_those_of_mixtures_of_smoothed_labels(every):
    # Smoothing is linear in the labels, and the loss too.
    name, make = every
    if name == "packed classes":
        pytest.skip("Keras' sparse losses have no label smoothing")
    layer = make()
    smoothed = (1 - SMOOTHING) * np.eye(3, dtype=np.float32)[Y] + SMOOTHING / 3

    def loss(targets, label_smoothing):
        entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
        _, y, *weight = call(layer, X, targets)
        logits = np.random.default_rng(1).normal(size=(len(y), 3)).astype(np.float32)
        return float((LocalMixupLoss(entropy) if layer.targets == "packed" else entropy)(y, logits, *weight))

    np.testing.assert_allclose(loss(Y, SMOOTHING), loss(smoothed, 0.0), rtol=1e-5)
    assert abs(loss(Y, SMOOTHING) - loss(Y, 0.0)) > 1e-3
