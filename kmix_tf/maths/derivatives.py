"""A model's output and its derivatives along one direction per sample, in a way that can be trained through."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks

DERIVATIVES = ("exact", "differences")
# How many points differences compare.
POINTS = 3

# Of directions that are perturbations of mixup, themselves a fraction of the data's spread. In float32 the rounding
# of first differences is then 1e-6 of the outputs, that of second ones 1e-4.
_STEP = 1 / 16

# TensorFlow takes the variance about a mean that it holds fixed (tf.nn.moments): right to first order, wrong beyond.
# Batch normalisation does so, too, where it takes the statistics of the batch: not in inference, and not frozen.
INEXACT_IN_INFERENCE = (keras.layers.GroupNormalization, keras.layers.LayerNormalization)
Leaves = list[tf.Tensor]


def refuse_layers(
    model: Any,
    layers: tuple[type[keras.layers.Layer], ...],
    wanted: str = "second derivatives",
    reason: str = "which TensorFlow gets wrong",
    remedy: str = "",
) -> None:
    """Refuses a Keras model with such a layer in it; of other callables nothing is known."""
    for layer in model._flatten_layers() if isinstance(model, keras.layers.Layer) else ():
        if isinstance(layer, layers):
            raise _checks.problem(
                f"{wanted} cannot be used with {type(layer).__name__}, {reason}. "
                f"Received: a model with the layer {layer.name!r}.{remedy}"
            )


def directional_derivatives(
    function: Callable[[Leaves], tf.Tensor], x: Leaves, direction: Leaves, order: int, derivatives: str = "exact"
) -> list[tf.Tensor]:
    """f(x), Df(x)[d] and D^2 f(x)[d, d], as many as `order` + 1, each of the shape of f(x).

    Args:
        function: of feature leaves `(batch, ...)`, to `(batch, outputs)`; asked once.
        x, direction: leaves of equal shapes.
        order: 0, 1 or 2.
        derivatives: "exact", or "differences" for central differences.
    """
    if order == 0:
        return [function(x)]
    return (_exact if derivatives == "exact" else _differences)(function, x, direction, order)


def _exact(function: Callable[[Leaves], tf.Tensor], x: Leaves, direction: Leaves, order: int) -> list[tf.Tensor]:
    """By differentiating twice backwards: g(v) = v^T J is linear in v, and its derivative along d is J d.

    Not by tf.autodiff.ForwardAccumulator: trained through, it gives wrong gradients when it is nested, and in
    recurrent layers in Keras 2, without any sign of it.
    """
    if order == 0:
        return [function(x)]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            values = _exact(function, x, direction, order - 1)
        covector = tf.zeros_like(values[-1])
        outer.watch(covector)
        pulled = inner.gradient(values[-1], x, covector, tf.UnconnectedGradients.ZERO)
    return [*values, outer.gradient(pulled, covector, direction, tf.UnconnectedGradients.ZERO)]


def _differences(
    function: Callable[[Leaves], tf.Tensor], x: Leaves, direction: Leaves, order: int
) -> list[tf.Tensor]:
    """From outputs at x and a step to either side, in one pass: batch normalisation sees all three as one batch.

    So its statistics are those of all three, which are nearly those at x: to first order steps to either side cancel,
    and its moving averages are updated once.
    """
    points = [
        tf.concat([leaf, leaf + _STEP * along, leaf - _STEP * along], axis=0)
        for leaf, along in zip(x, direction, strict=True)
    ]
    here, ahead, behind = tf.split(function(points), POINTS)
    slope = (ahead - behind) / (2 * _STEP)
    return [here, slope, (ahead - 2 * here + behind) / _STEP**2][: order + 1]
