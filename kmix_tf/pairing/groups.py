"""Facing groups of k, and who in them is matched with whom.

The rows of a batch stand in a given order on a circle, which is cut into groups of k. Each group faces the next one:
position p faces position p + k. Whatever the size of the batch, every row is faced once: a remainder of r rows faces
as many of the first group, and the last full group faces the remainder and the rest of the first. The last group is
filled up with padding. Groups of two batches face their like instead.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf._graph import row_size


def group_size(size: Any, k: int, cyclic: bool) -> tuple[Any, Any]:
    """How large groups are, and how many positions further on the facing ones begin.

    Groups of one batch are at most half of it, so that none faces itself; of two batches, at most the whole.
    """
    most, least = (max, min) if isinstance(size, int) else (tf.maximum, tf.minimum)
    largest = most(1, least(k, size // 2 if cyclic else size))
    return largest, least(largest, size) if cyclic else 0


def _size_of(order: tf.Tensor) -> Any:
    """How many rows there are: a number where that is known beforehand, so that what follows from it is one, too."""
    return tf.size(order) if order.shape[0] is None else order.shape[0]


def _up_to(size: Any) -> Any:
    return np.arange(size, dtype=np.int32) if isinstance(size, int) else tf.range(size)


def _not_zero(size: Any) -> Any:
    return max(size, 1) if isinstance(size, int) else tf.maximum(size, 1)


def matched_rows(order: tf.Tensor, columns: tf.Tensor | None, *, k: int, cyclic: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Partner and group of each row, int32 `(size,)` both.

    Args:
        order: the row at each position, int32 `(size,)`.
        columns: int32 `(groups, k)`: the facing position that each position is matched with, counted within its
            group; None for groups of one.
    """
    size = _size_of(order)
    group = position = _up_to(size)
    facing = position + int(cyclic)
    if columns is not None:
        largest, shift = group_size(size, k, cyclic)
        group = position // largest
        facing = group * largest + shift + tf.gather(tf.reshape(columns, [-1]), position)
    partner = tf.gather(order, facing % _not_zero(size))
    position_of_row = tf.math.invert_permutation(order)
    return tf.gather(partner, position_of_row), tf.gather(group, position_of_row)


class FacingGroups(NamedTuple):
    """Groups and those that face them, cut out of rows that were taken in order.

    rows: int32, which rows to take: groups one after another, the last filled up with rows from the beginning. count,
    size: of groups. cyclic: whether each faces the next one of the same batch, or its like in another. last: where,
    counted in rows, the group begins that faces the last one.
    """

    rows: tf.Tensor
    count: Any
    size: Any
    cyclic: bool
    last: Any

    def own(self, taken: tf.Tensor) -> tf.Tensor:
        """What was taken, `(rows, ...)`, as the groups: `(groups, k, features)`."""
        # The shape of rows without any numbers does not tell how many there are.
        features = row_size(taken) or tf.reduce_prod(tf.shape(taken)[1:])
        return tf.reshape(taken, tf.stack([self.count, self.size, features]))

    def facing(self, taken: tf.Tensor) -> tf.Tensor:
        """The groups that face them, likewise."""
        own = self.own(taken)
        return tf.concat([own[1:], self._facing_the_last(taken, own)], 0) if self.cyclic else own

    def products(self, taken: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """Inner products of both sides, `(groups, k, k)`, without a copy of what faces the groups.

        taken: of one batch. others: of the other, or the same.
        """
        own = self.own(taken)
        if not self.cyclic:
            return tf.matmul(own, self.own(others), transpose_b=True)
        rest = tf.matmul(own[:-1], own[1:], transpose_b=True)
        if isinstance(self.last, int) and (self.count, self.last) == (2, 0):  # Each of two groups faces the other.
            return tf.concat([rest, tf.linalg.matrix_transpose(rest)], 0)
        last = tf.matmul(own[-1:], self._facing_the_last(taken, own), transpose_b=True)
        return tf.concat([rest, last], 0)

    def _facing_the_last(self, taken: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        return tf.reshape(taken[self.last : self.last + self.size], tf.shape(own[:1]))


def facing_groups(order: tf.Tensor, k: int, cyclic: bool) -> FacingGroups:
    """The groups of rows in an order, int32 `(size,)`; of one batch where they are cyclic, else of two."""
    size = _size_of(order)
    largest, _ = group_size(size, k, cyclic)
    count = (size + largest - 1) // largest
    last = count * largest % _not_zero(size)
    is_full = isinstance(size, int) and last == 0
    rows = order if is_full else tf.gather(order, _up_to(count * largest) % _not_zero(size))
    return FacingGroups(rows, count, largest, cyclic, last)
