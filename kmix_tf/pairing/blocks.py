"""Cutting batches into k-groups: which rows of one batch may be matched with which rows of another.

Rows stand at positions in a given order, and positions are cut into groups of k, of which the last may be smaller.
Each group of the first batch faces a group of equal size in the second; a matching pairs the two.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf._fusion import compiled


class Blocks(NamedTuple):
    """Facing groups of k.

    circle: int32 `(positions + shift,)`, rows. Position p of the first batch is row `circle[p]`, and the one that
    faces it in the second batch is row `circle[p + shift]`, both cut into groups of k. Positions from `size` on are
    padding and repeat other rows.
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
        return tf.reshape(values, tf.concat([[self.positions // self.k, self.k], tf.shape(values)[1:]], axis=0))


def cut_into_blocks(order: tf.Tensor, k: int, cyclic: bool) -> Blocks:
    """Cuts the rows of a batch, int32 `(size,)` in a given order, into groups of k.

    Cyclic blocks are for one batch: its rows stand in a circle, and position p faces position p + k. Groups are at
    most half the batch, so none faces itself. Whatever the size, every row is faced exactly once: a remainder of r
    rows faces r rows of the first group, and the last full group faces the remainder and the rest of the first.

    Otherwise groups face their like in a second batch, and are at most the whole batch.
    """
    size = tf.size(order)
    k = tf.maximum(1, tf.minimum(k, size // 2 if cyclic else size))
    shift = tf.minimum(k, size) if cyclic else tf.constant(0)
    positions = (size + k - 1) // k * k
    circle = tf.gather(order, tf.range(positions + shift) % tf.maximum(size, 1))
    return Blocks(circle, shift, k, size)


def forbid_padding(cost: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """Makes an optimal assignment of `cost` `(blocks, k, k)`, >= 0, match real positions with real ones only.

    Padding is matched with padding for nothing and with the rest for more than any real match costs. Trading two
    such forbidden matches for a real and a free one always pays, so the real part stays optimal and exact.
    """
    real = blocks.cut(tf.range(blocks.positions) < blocks.size)
    forbidden = 1 + 2 * tf.reduce_max(cost, axis=[1, 2], keepdims=True)
    row, column = real[:, :, tf.newaxis], real[:, tf.newaxis, :]
    return tf.where(row & column, cost, tf.where(row ^ column, forbidden, tf.zeros_like(forbidden)))


@compiled
def matched_rows(order: tf.Tensor, columns: tf.Tensor, **cutting: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Partner and group of each row, int32 `(size,)` both.

    `columns` is int32 `(blocks, k)`: the facing position each position is matched with, counted within its group.
    A partner is a row of the second batch for each row of the first.
    """
    blocks = cut_into_blocks(order, **cutting)
    group = tf.range(blocks.positions) // blocks.k
    partner = tf.gather(blocks.circle, group * blocks.k + tf.reshape(columns, [-1]) + blocks.shift)
    position_of_row = tf.math.invert_permutation(order)
    return tf.gather(partner, position_of_row), tf.gather(group, position_of_row)
