"""Facing groups of k, and who in them is matched with whom.

The rows of a batch stand in a given order on a circle, which is cut into groups of k. Each group faces the next one:
position p faces position p + k. Whatever the size of the batch, every row is faced once: a remainder of r rows faces
as many of the first group, and the last full group faces the remainder and the rest of the first. The last group is
filled up with padding. Groups of two batches face their like instead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf._graph import row_size


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


class FacingGroups(NamedTuple):
    """Groups and those that face them, cut out of rows that were taken in order.

    rows: int32, which rows to take: groups one after another, the last filled up with rows from the beginning. count,
    size: of groups. cyclic: whether each faces the next one of the same batch, or its like in another. last: where,
    counted in rows, the group begins that faces the last one.
    """

    rows: tf.Tensor
    count: tf.Tensor
    size: tf.Tensor
    cyclic: bool
    last: tf.Tensor

    def own(self, taken: tf.Tensor) -> tf.Tensor:
        """What was taken, `(rows, ...)`, as the groups: `(groups, k, features)`."""
        # The shape of rows without any numbers does not tell how many there are.
        features = row_size(taken) or tf.reduce_prod(tf.shape(taken)[1:])
        return tf.reshape(taken, tf.stack([self.count, self.size, features]))

    def facing(self, taken: tf.Tensor) -> tf.Tensor:
        """The groups that face them, likewise."""
        own = self.own(taken)
        return tf.concat([own[1:], self._facing_the_last(taken, own)], 0) if self.cyclic else own

    def compared(self, taken: tf.Tensor, others: tf.Tensor, compare: Callable) -> tf.Tensor:
        """What `compare` makes of both sides, `(groups, k, k)`, without a copy of what faces the groups.

        taken: of one batch. others: of the other, or the same.
        """
        own = self.own(taken)
        if not self.cyclic:
            return compare(own, self.own(others))
        return tf.concat([compare(own[:-1], own[1:]), compare(own[-1:], self._facing_the_last(taken, own))], 0)

    def _facing_the_last(self, taken: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        return tf.reshape(taken[self.last : self.last + self.size], tf.shape(own[:1]))


def facing_groups(order: tf.Tensor, k: int, cyclic: bool) -> FacingGroups:
    """The groups of rows in an order, int32 `(size,)`; of one batch where they are cyclic, else of two."""
    size = tf.size(order)
    largest, _ = group_size(size, k, cyclic)
    count = (size + largest - 1) // largest
    whole = tf.maximum(size, 1)
    rows = tf.gather(order, tf.range(count * largest) % whole)
    return FacingGroups(rows, count, largest, cyclic, count * largest % whole)
