"""The copy of a model that follows it slowly, which is asked for features and teaches the block."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register


@register
class MomentumSchedule:
    """How slowly the copy of `AutoMixModel` follows the model: from a momentum to a larger one, by half a cosine.

    Args:
        steps: of the whole training, an integer >= 1; after them, the momentum stays.
        start, end: momenta in [0, 1], by default 0.999 and 0.999999.
        hold: the part of all steps, in [0, 1], during which it stays at the start; default 0.1. Then it goes on where
            the cosine is by then, as in the published code.

    Raises:
        ValueError: for other numbers.

    Source: Liu et al., *AutoMix* (2022), as the published settings for CIFAR-100 have it.

    Example:
        >>> momentum = MomentumSchedule(steps=1000)
        >>> [round(float(momentum(step)), 6) for step in (0, 99, 1000)]
        [0.999, 0.999, 0.999999]
    """

    @_checks.speaks
    def __init__(self, steps: int, start: float = 0.999, end: float = 0.999999, hold: float = 0.1):
        self.steps = _checks.integer("steps", steps, minimum=1)
        self.start = _checks.probability("start", start)
        self.end = _checks.probability("end", end)
        self.hold = _checks.probability("hold", hold)

    def __call__(self, step: Any) -> tf.Tensor:
        """The momentum, a float64 scalar, at a step counted from 0."""
        part = tf.minimum(tf.cast(step, tf.float64) / self.steps, 1)
        falling = (tf.cos(math.pi * part) + 1) / 2
        momentum = self.end - (self.end - self.start) * falling
        return tf.where(part < self.hold, tf.constant(self.start, tf.float64), momentum)

    def get_config(self) -> dict[str, Any]:
        return {"steps": self.steps, "start": self.start, "end": self.end, "hold": self.hold}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MomentumSchedule":
        return cls(**config)


def checked_momentum(momentum: Any) -> float | Callable:
    """A number in [0, 1], or a callable of the step.

    Raises:
        ValueError: for anything else.
    """
    return momentum if callable(momentum) else _checks.probability("momentum", momentum)


def copy_of(model: keras.Model) -> keras.Model:
    """A functional model of the same weights, that shares none of them.

    Raises:
        ValueError: for one that Keras cannot make anew, in Keras' words.
    """
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise _checks.problem(
            f"model must be one that Keras can copy, layer by layer. Received: {model.name!r}, of which it says: "
            f"{error}"
        ) from error
    for layer in copy._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # What it divides by is no weight.
    return copy


def follow(copies: Sequence[Any], weights: Sequence[Any], momentum: Any) -> None:
    """Moves each copy to momentum x copy + (1 - momentum) x weight; integers become those of the weights."""
    for copy, weight in zip(copies, weights, strict=True):
        here, there = tf.convert_to_tensor(copy), tf.convert_to_tensor(weight)
        if here.dtype.is_floating:
            there = here + tf.cast(1 - momentum, here.dtype) * (there - here)
        copy.assign(there)
