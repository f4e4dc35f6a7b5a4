"""The small network that a trial trains."""

from typing import Any

import keras
import numpy as np

from kmix_tf import _checks
from kmix_tf.models.endings import SIGMOID, SOFTMAX, endings

# A rate at which the small network learns in some hundred steps.
RATE = 2e-3
# Pixels of a side below which convolutions no longer halve it.
_SIDE = 8


def small_network(shape: tuple[int, ...], units: int) -> keras.Model:
    """64-64 dense layers; before them, for images, strided convolutions down to eight pixels. Ends linearly."""
    layers = [keras.layers.Input(shape)]
    if len(shape) == 3:
        layers += _convolutions(min(shape[:2]))
    layers += [keras.layers.Flatten()]
    layers += [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    return keras.Sequential([*layers, keras.layers.Dense(units)])


def _convolutions(side: int) -> list[keras.layers.Layer]:
    made, width = [], 16
    while True:
        made.append(keras.layers.Conv2D(width, 3, strides=2, padding="same", activation="relu"))
        side, width = (side + 1) // 2, 32
        if side <= _SIDE:
            return made


def require_linear_ending(model: Any, shape: tuple[int, ...], units: int) -> None:
    """Refuses a network that takes or gives other shapes, or ends in probabilities, which the losses take for logits.

    Raises:
        TypeError: for what is no Keras model. ValueError: for one that does not fit.
    """
    if not isinstance(model, keras.Model):
        _checks.refuse("model_fn", "a function that returns a Keras model", model, TypeError)
    ends = endings(model)
    if ends and ends[0].activation in (SOFTMAX, SIGMOID):
        raise _checks.problem(f"model_fn must return a model that ends linearly. Received: {ends[0].activation}.")
    try:
        given = tuple(model(np.zeros((2, *shape), np.float32), training=False).shape)
    except Exception as error:
        raise _checks.problem(
            f"model_fn must return a model that takes x of shape {shape}. Received: {error}"
        ) from error
    if given != (2, units):
        raise _checks.problem(f"model_fn must return a model that gives (n, {units}). Received: {given} of two rows.")
