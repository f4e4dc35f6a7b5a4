"""Cutting batches into k-groups: which rows of one batch may be matched with which rows of another.

Rows stand at positions, and positions are cut into groups of k, of which the last may be smaller. Each group of
the first batch faces a group of equal size in the second; a matching pairs the two.
"""

from typing import NamedTuple

import tensorflow as tf


class Blocks(NamedTuple):
    """Facing groups of k.

    circle: int32 `(blocks * k + shift,)`, rows. Position p of the first batch is row `circle[p]`, and the one
    facing it in the second batch is row `circle[p + shift]`, both cut into groups of k. Positions from `size`
    on are padding and repeat other rows.
    """

    circle: tf.Tensor
    shift: tf.Tensor
    k: tf.Tensor
    size: tf.Tensor

    @property
    def positions(self) -> tf.Tensor:
        """How many positions there are, padding included: a multiple of k."""
        return tf.size(self.circle) - self.shift

    def cut(self, values: tf.Tensor) -> tf.Tensor:
        """Cuts `(positions, ...)` into `(blocks, k, ...)`."""
        return tf.reshape(
            values, tf.concat([[self.positions // self.k, self.k], tf.shape(values)[1:]], axis=0)
        )


def group_size(size: tf.Tensor, k: int) -> tf.Tensor:
    """k, or half the batch when the batch is smaller than 2k, so that there are two disjoint groups."""
    return tf.maximum(1, tf.minimum(k, size // 2))


def cyclic_blocks(order: tf.Tensor, k: int) -> Blocks:
    """Groups of one batch, each facing the next one round a circle of its shuffled rows.

    The target of position p is position p + k of the circle. Whatever the batch size, every row is a target
    exactly once, and since k is at most half the batch no group faces itself: the remainder of r rows faces r
    rows of the first group, and the last full group faces the remainder and the rest of the first group.
    """
    size = tf.size(order)
    k = group_size(size, k)
    length = tf.where(size > 0, _round_up(size, k) + k, 0)
    circle = tf.gather(order, tf.range(length) % tf.maximum(size, 1))
    return Blocks(circle, tf.minimum(k, length), k, size)


def aligned_blocks(size: tf.Tensor, k: int) -> Blocks:
    """Groups of two independent batches of equal size, in the order in which their rows come."""
    k = tf.maximum(1, tf.minimum(k, size))
    rows = tf.range(_round_up(size, k)) % tf.maximum(size, 1)
    return Blocks(rows, tf.constant(0), k, size)


def matched_rows(blocks: Blocks, columns: tf.Tensor) -> tf.Tensor:
    """Partner of each row: `columns` is int32 `(blocks, k)`, the facing position each position is matched with,
    counted within its group; the result int32 `(size,)`, a row of the second batch for each of the first."""
    starts = tf.range(blocks.positions // blocks.k)[:, tf.newaxis] * blocks.k
    targets = tf.reshape(columns + starts, [-1]) + blocks.shift
    return _in_row_order(blocks, tf.gather(blocks.circle, targets))


def group_of_rows(blocks: Blocks) -> tf.Tensor:
    """Number of the group each row of the first batch is in: int32 `(size,)`."""
    return _in_row_order(blocks, tf.range(blocks.positions) // blocks.k)


def forbid_padding(cost: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """Makes an optimal assignment of `cost` `(blocks, k, k)` match real positions with real ones only.

    Padding is matched with padding for nothing and with the rest for more than any real match costs. Trading
    two such forbidden matches for a real and a free one always pays, so the real part stays optimal and exact.
    """
    real = blocks.cut(tf.range(blocks.positions) < blocks.size)
    cost -= tf.reduce_min(cost, axis=[1, 2], keepdims=True)
    forbidden = 1 + 2 * tf.reduce_max(cost, axis=[1, 2], keepdims=True)
    row, column = real[:, :, tf.newaxis], real[:, tf.newaxis, :]
    return tf.where(row & column, cost, tf.where(row ^ column, forbidden, tf.zeros_like(forbidden)))


def _in_row_order(blocks: Blocks, values: tf.Tensor) -> tf.Tensor:
    """Puts one value a position into the order of the rows, and drops the padding."""
    positions = tf.math.invert_permutation(blocks.circle[: blocks.size])
    return tf.gather(values, positions)


def _round_up(size: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
    return (size + k - 1) // k * k
