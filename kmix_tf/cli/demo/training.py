"""One small network, trained in one of three ways that differ in the mix alone."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kmix_tf.cli.demo.data import Split
from kmix_tf.layers import KMixupLayer
from kmix_tf.models import RescaledModel
from kmix_tf.pipeline import mix

ALPHA = 1.0
BATCH = 64
# Groups of samples matched with one another; 0 stands for no mixing.
METHODS = {"no mixup": 0, "mixup": 1, "k-mixup, k = 16": 16}


class Trained(NamedTuple):
    """A model trained with mixing and its rescaled twin; None for a model trained without mixing."""

    model: keras.Model
    rescaled: RescaledModel | None


def network(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two dense layers, after two strided convolutions for images at least 16 pixels wide; returns logits."""
    layers = [keras.layers.Input(shape)]
    if len(shape) == 3 and min(shape[:2]) >= 16:
        layers += [keras.layers.Conv2D(width, 3, strides=2, activation="relu") for width in (16, 32)]
    layers += [keras.layers.Flatten()]
    layers += [keras.layers.Dense(128, activation="relu"), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def pipeline(x: np.ndarray, y: np.ndarray, classes: int, k: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches with soft labels, mixed if k >= 1, without end: each start of an iterator costs time."""
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed).batch(BATCH).repeat()
    if k:
        return dataset.apply(mix(KMixupLayer(k, ALPHA, num_classes=classes), seed=seed))
    return dataset.map(lambda x, y: (x, tf.one_hot(y, classes)))


def train(data: Split, classes: int, k: int, seed: int, epochs: int, on_epoch: Callable[[], None]) -> Trained:
    """Trains the network. Everything random in it follows from the seed."""
    keras.utils.set_random_seed(seed)
    model = network(data.x_train.shape[1:], classes)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    dataset = pipeline(data.x_train, data.y_train, classes, k, seed)
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch())
    model.fit(
        dataset.prefetch(tf.data.AUTOTUNE),
        epochs=epochs,
        steps_per_epoch=math.ceil(len(data.x_train) / BATCH),
        verbose=0,
        shuffle=False,
        callbacks=[progress],
    )
    if not k:
        return Trained(model, None)
    rescaled = RescaledModel(model, ALPHA)
    rescaled.adapt(data.x_train, data.y_train)
    return Trained(model, rescaled)
