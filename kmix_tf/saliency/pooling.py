"""Saliency made smoother or coarser."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, fused, require
from kmix_tf._shapes import size_of

# Where a Gaussian ends, in standard deviations: what is left out is 0.3 % of it.
REACH = 3


@_checks.speaks
def smooth(saliency: tf.Tensor, size: float | Sequence[float]) -> tf.Tensor:
    """Smooths saliency by a Gaussian, so that a place counts with its surroundings and not for one noisy pixel.

    At the edges the Gaussian is renormalised: uniform saliency stays as it is.

    Args:
        saliency: float `(batch, *axes)`.
        size: the Gaussian's standard deviation in places, >= 0, or one for each axis; it ends at three of them.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: for other sizes.

    Example:
        >>> smooth(tf.constant([[0.0, 0.0, 1.0, 0.0, 0.0]]), 0.8).numpy().round(2)
        array([[0.03, 0.23, 0.5 , 0.23, 0.03]], dtype=float32)
    """
    saliency = tf.convert_to_tensor(saliency)
    sizes = gaussian_sizes("size", size, saliency.shape.rank - 1)
    return _smooth(saliency, shape=tuple(saliency.shape[1:]), sizes=sizes)


@fused(features=1)
def _smooth(saliency: tf.Tensor, *, shape: tuple, sizes: tuple[float, ...]) -> tf.Tensor:
    saliency = tf.ensure_shape(saliency, [None, *shape])
    weights = tf.ones_like(saliency[:1])
    for axis, size in enumerate(sizes, start=1):
        if size > 0:
            saliency, weights = (
                blurred(values, axis, size, math.ceil(REACH * size)) for values in (saliency, weights)
            )
    return saliency / weights


def blurred(values: tf.Tensor, axis: int, size: Any, radius: int) -> tf.Tensor:
    """Values blurred along an axis by a Gaussian of so many places, as if there were zeros beyond the edges.

    A sum of shifted copies, which XLA makes one pass: convolutions on accelerators round to ten bits.

    Args:
        size: the standard deviation, a number or float scalar; the Gaussian ends at three of them.
        radius: how many places that are at most, a number.
    """
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32) / tf.cast(size, tf.float32)
    # The margin is for sizes that are computed in another way and rounded otherwise.
    kernel = tf.where(tf.abs(offsets) < REACH + 1e-4, tf.exp(-0.5 * tf.square(offsets)), 0)
    kernel = tf.unstack(tf.cast(kernel / tf.reduce_sum(kernel), values.dtype), 2 * radius + 1)
    padded = tf.pad(values, [[radius, radius] if other == axis else [0, 0] for other in range(values.shape.rank)])
    count = size_of(values, axis)
    return tf.add_n([weight * _slice(padded, axis, start, count) for start, weight in enumerate(kernel)])


@_checks.speaks
def pooled(saliency: tf.Tensor, blocks: int | Sequence[int]) -> tf.Tensor:
    """Means of saliency in blocks that tile the image.

    Args:
        saliency: float `(batch, *axes)`.
        blocks: how many blocks there are along each axis, or one number for all; it must divide the axis.

    Returns:
        A tensor `(batch, *blocks)` of the same dtype.

    Raises:
        ValueError: for numbers that do not divide the axes.
        InvalidArgumentError: on the batch, if that shows only then.

    Example:
        >>> pooled(tf.constant([[[1.0, 3.0, 0.0, 0.0], [1.0, 3.0, 0.0, 8.0]]]), [1, 2]).numpy()
        array([[[2., 2.]]], dtype=float32)
    """
    saliency = tf.convert_to_tensor(saliency)
    axes = saliency.shape.rank - 1
    blocks = _per_axis("blocks", blocks, axes)
    blocks = [_checks.integer("blocks", count, minimum=1) for count in blocks]
    shape, checks = [tf.shape(saliency)[0]], []
    for axis, count in enumerate(blocks, start=1):
        size = saliency.shape[axis]
        if size is None:
            size = tf.shape(saliency)[axis]
            message = f"blocks must divide the axes. Received: blocks={count} for axis {axis}."
            checks += require(tf.equal(size % count, 0), message)
        elif size % count:
            _checks.refuse("blocks", f"divisors of the axes, here of {size}", count)
        shape += [count, size // count]
    (saliency,) = after(checks, [saliency])
    return tf.reduce_mean(tf.reshape(saliency, shape), axis=range(2, 2 * axes + 1, 2))


def _slice(values: tf.Tensor, axis: int, start: int, count: tf.Tensor) -> tf.Tensor:
    """So many entries of an axis from a start; the static shape is kept where known."""
    index = [slice(None)] * axis + [slice(start, start + count)]
    return values[tuple(index)]


def gaussian_sizes(name: str, value: Any, axes: int) -> tuple[float, ...]:
    """A standard deviation for each axis, of a number or as many."""
    return tuple(_checks.number(name, size) for size in _per_axis(name, value, axes))


def _per_axis(name: str, value: Any, axes: int) -> Sequence:
    """One value for each axis, of one or as many."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * axes
    if len(values) != axes:
        _checks.refuse(name, f"a number, or one for each of {axes} axes", value)
    return values
