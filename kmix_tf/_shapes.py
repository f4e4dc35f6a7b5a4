"""Shapes that are known beforehand: one constant in a graph, where asking for a shape takes a dozen nodes."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# The number of entries along an axis: an int where it is known, a scalar tensor otherwise.
Size = Any


def size_of(values: tf.Tensor, axis: int) -> Size:
    """How many entries an axis has."""
    size = values.shape[axis]
    return tf.shape(values)[axis] if size is None else size


def sizes_from(values: tf.Tensor, start: int, end: int | None = None) -> list[Size]:
    """How many entries each of these axes has, even where the number of all axes is not known."""
    return [size_of(values, start + axis) for axis in range(len(values.shape[start:end]))]


def reshaped(values: tf.Tensor, sizes: Sequence[Size | None]) -> tf.Tensor:
    """`tf.reshape`. One size may be None: what is left.

    Of no entries at all that could not be told: give all sizes, as scalar tensors where they are not known, wherever
    another one may be 0.
    """
    return tf.reshape(values, [-1 if size is None else size for size in sizes])


def split_axis(values: tf.Tensor, axis: int, counts: Sequence[Size]) -> tf.Tensor:
    """Makes several axes of one, of so many entries each: `(..., n, ...)` -> `(..., *counts, ...)`."""
    sizes = [*values.shape[:axis], *counts, *values.shape[axis + 1 :]]
    if sizes.count(None) <= 1 and all(size is None or (isinstance(size, int) and size) for size in sizes):
        return reshaped(values, sizes)
    shape = tf.shape(values)
    return tf.reshape(values, tf.concat([shape[:axis], tf.stack(list(counts)), shape[axis + 1 :]], 0))
