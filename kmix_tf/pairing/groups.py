"""Facing groups of k, and who in them is matched with whom.

The rows of a batch stand in a given order on a circle, which is cut into groups of k. Each group faces the next one:
position p faces position p + k. Whatever the size of the batch, every row is faced once: a remainder of r rows faces
as many of the first group, and the last full group faces the remainder and the rest of the first. The last group is
filled up with padding. Groups of two batches face their like instead.
"""

from typing import Any

import tensorflow as tf


def group_size(size: tf.Tensor, k: int, cyclic: bool) -> tuple[tf.Tensor, Any]:
    """How large groups are, and how many positions further on the facing ones begin.

    Groups of one batch are at most half of it, so that none faces itself; of two batches, at most the whole.
    """
    largest = tf.maximum(1, tf.minimum(k, size // 2 if cyclic else size))
    return largest, tf.minimum(largest, size) if cyclic else 0


def matched_rows(order: tf.Tensor, columns: tf.Tensor | None, *, k: int, cyclic: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Partner and group of each row, int32 `(size,)` both.

    Args:
        order: the row at each position, int32 `(size,)`.
        columns: int32 `(groups, k)`: the facing position that each position is matched with, counted within its
            group; None for groups of one.
    """
    size = tf.size(order)
    group = position = tf.range(size)
    facing = position + int(cyclic)
    if columns is not None:
        largest, shift = group_size(size, k, cyclic)
        group = position // largest
        facing = group * largest + tf.gather(tf.reshape(columns, [-1]), position) + shift
    partner = tf.gather(order, facing % tf.maximum(size, 1))
    position_of_row = tf.math.invert_permutation(order)
    return tf.gather(partner, position_of_row), tf.gather(group, position_of_row)


def facing_rows(order: tf.Tensor, k: int, cyclic: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, Any]:
    """Rows in the order in which groups need them, each group's own first.

    Returns:
        Rows, int32; how many groups there are, how large they are, and how many rows further on those that face them
        begin. The last group is filled up with rows from the beginning, and so is what faces it.
    """
    size = tf.size(order)
    largest, shift = group_size(size, k, cyclic)
    groups = (size + largest - 1) // largest
    return tf.gather(order, tf.range(groups * largest + shift) % tf.maximum(size, 1)), groups, largest, shift
