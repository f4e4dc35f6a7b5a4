"""What a mix block computes, as functions of tensors: attention, resizing, and what masks cost."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def attended(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """For each place of the query, the mean of the values, weighted by how its key fits.

    Args:
        query, key: float32 `(n, places, units)`. value: float32 `(n, places)`.

    Returns:
        float32 `(n, places)`: softmax(query key^T / sqrt(units)) value.
    """
    units = tf.cast(tf.shape(query)[-1], query.dtype)
    fit = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / tf.sqrt(units))
    return tf.linalg.matvec(fit, value)


def resized(maps: tf.Tensor, sizes: Sequence[Any], upsampling: str) -> tf.Tensor:
    """Maps with more places along each axis: float32 `(n, *places)` -> `(n, *sizes)`.

    Args:
        sizes: integers or int32 scalars, as many as the maps have axes.
        upsampling: "nearest" or "linear", between the middles of places.
    """
    for axis, size in enumerate(sizes, start=1):
        count = maps.shape[axis] if maps.shape[axis] is not None else tf.shape(maps)[axis]
        moved = tf.tensordot(maps, resizing(count, size, upsampling), [[axis], [1]])
        order = list(range(maps.shape.rank))
        order.insert(axis, order.pop())
        maps = tf.transpose(moved, order)
    return maps


def resizing(count: Any, size: Any, upsampling: str) -> tf.Tensor:
    """How much of each of `count` places is in each of `size`: float32 `(size, count)`, whose rows sum to 1."""
    at = (tf.range(tf.cast(size, tf.float32)) + 0.5) * tf.cast(count, tf.float32) / tf.cast(size, tf.float32)
    if upsampling == "nearest":
        return tf.one_hot(tf.minimum(tf.cast(at, tf.int32), count - 1), count)
    at = tf.clip_by_value(at - 0.5, 0.0, tf.cast(count - 1, tf.float32))
    return tf.maximum(1 - tf.abs(at[:, tf.newaxis] - tf.range(tf.cast(count, tf.float32))), 0)


def scaled_ratio(ratio: tf.Tensor, bend: float) -> tf.Tensor:
    """SAMix' ratio before it scales features: an odd cubic round 1/2 that keeps 0, 1/2 and 1, the straighter the
    larger `bend` is."""
    k = bend + 1
    return (4 / 3 * ratio**3 - 2 * ratio**2 + k * ratio) / (k - 2 / 3)


def area_loss(realised: tf.Tensor, ratio: tf.Tensor, margin: float) -> tf.Tensor:
    """How far masks' means are from the ratios that they were asked for, beyond a margin: float32, a scalar."""
    return tf.reduce_mean(tf.maximum(tf.abs(realised - ratio) - margin, 0))
