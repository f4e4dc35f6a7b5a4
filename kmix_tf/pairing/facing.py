"""Facing groups of k: who they are, what it costs to match them, and who is whose partner then.

The rows of a batch stand in a given order on a circle, which is cut into groups of k. Each group faces the next one:
position p faces position p + k. Whatever the size of the batch, every row is faced once: a remainder of r rows faces
as many of the first group, and the last full group faces the remainder and the rest of the first. The last group is
filled up with padding. Groups of two batches face their like instead.

Costs are distances of all pairs of two groups, by one batched matrix product. Of many features, what takes time is to
read them: they are picked in order, multiplied as they are, and looked at again only where rounding would show.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf._graph import fused, is_for_xla, row_size, size_of_rows

COSTS = ("sqeuclidean", "euclidean")

# Sums of products within neither overflow float32 nor consist of its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33

# So few features are compared in float64, at no cost that shows: a table may hold a sentinel such as -9999, or narrow
# clusters far apart, and float32 products round relative to the largest distance, not to that of neighbours.
_FEW = 256

# Sums of products in float32 are off by about 2^-23 of themselves. What tells pairs apart is to be so much more, so
# that a thousandth of it is lost at most.
_TOLD_APART = 2.0**-12

# Rows of many numbers are multiplied in so many parts at most, of so many numbers at least.
_MOST_PARTS, _PART = 8, 2**15

Leaves = Sequence[tf.Tensor]


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
        features = taken.shape[1:].num_elements() or tf.reduce_prod(tf.shape(taken)[1:])
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


def facing_cost(
    order: tf.Tensor, first: Leaves, second: Leaves, cost: str, reduce: bool = True, *, k: int, cyclic: bool
) -> tf.Tensor:
    """Costs for an assignment between the groups of `first` and those of `second` that face them.

    Args:
        order: the row at each position, int32 `(size,)`.
        first, second: features `(batch, ...)`; the same list for one batch.
        cost: "sqeuclidean" or "euclidean".
        reduce: False keeps the distances themselves, for "euclidean" only.
        k, cyclic: the size of groups, and whether they are of one batch.

    Returns:
        `(groups, k, k)`, >= 0. The squared or plain distances but for a positive factor and, where `reduce`, a
        constant for each row and each column, which change no permutation's rank. Padding is matched with padding.

    For squared distances, minus the inner products will do. Rows and columns are shifted so that the least entry of
    each is 0, which leaves the solver less than half of its work.
    """
    dtype, squared = _dtype_of_distances(first), cost == "sqeuclidean"
    # One batch is handed over once, so that its points are made once.
    leaves = first, [] if second is first else second

    def reduced(unit: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        if unit is None:
            costs = _raw_cost(*leaves, order, k=k, cyclic=cyclic)
        else:
            costs = _COMPARISONS[cost](*_points(*leaves, order, tf.cast(unit, dtype), k=k, cyclic=cyclic))
        return _reduced(order, costs, reduce=reduce, squared=squared, is_raw=unit is None)

    plain, is_sound = reduced(None if squared and dtype == tf.float32 else tf.ones([], dtype))
    # What overflows, vanishes or lies far from the origin is seldom. It is taken again, measured from a point of the
    # data in units of the largest value.
    return tf.cond(is_sound, lambda: plain, lambda: reduced(_largest_magnitude([*first, *second]))[0])


def _dtype_of_distances(leaves: Leaves) -> tf.DType:
    # Not to be asked inside a compiled function, where shapes that have varied once are no longer static.
    size = size_of_rows(leaves)
    is_few = size is not None and size <= _FEW
    return tf.float64 if is_few or tf.float64 in [leaf.dtype for leaf in leaves] else tf.float32


def _raw_cost(first: Leaves, second: Leaves, order: tf.Tensor, *, k: int, cyclic: bool) -> tf.Tensor:
    """Minus the inner products of features as they are, in float32; `second` is empty for one batch.

    In plain ops: of one batch, both sides are the same rows, where a compiled function would give copies.
    Large images are read in parts of so many columns, each multiplied and forgotten before the next: a copy of all
    takes as long as their products.
    """
    groups = facing_groups(order, k, cyclic)
    products: list[tf.Tensor] = []
    for ours, theirs in zip(first, second or first, strict=True):
        for part in range(_parts_of(ours)):
            with tf.control_dependencies(products[-1:]):
                points = _part_of(ours, groups.rows, part)
                others = _part_of(theirs, groups.rows, part) if second else points
                products.append(groups.products(points, others))
    return -(products[0] if len(products) == 1 else tf.add_n(products))


def _parts_of(leaf: tf.Tensor) -> int:
    size = 0 if is_for_xla() else row_size(leaf) or 0
    return max(n for n in range(1, _MOST_PARTS + 1) if n == 1 or (size % n == 0 and size >= n * _PART))


def _part_of(leaf: tf.Tensor, rows: tf.Tensor, part: int) -> tf.Tensor:
    """Some columns of these rows, float32. Rows are picked before the cast: uint8 images are a quarter of that."""
    count = _parts_of(leaf)
    if count > 1:
        leaf, rows = tf.reshape(leaf, [-1, (row_size(leaf) or 0) // count]), rows * count + part
    return tf.cast(tf.gather(leaf, rows), tf.float32)


@fused(features=2)
def _points(
    first: Leaves, second: Leaves, order: tf.Tensor, unit: tf.Tensor, *, k: int, cyclic: bool
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Both sides of facing groups, `(groups, k, features)` of each leaf, measured from a sample in `unit`.

    They have the unit's dtype. Centring changes no distance, but makes rounding relative to the spread of the data
    instead of its distance from the origin; any point among the data serves. All in one compiled function: within a
    branch, XLA must see where a slice's size comes from.
    """
    groups = facing_groups(order, k, cyclic)

    def centred(leaf: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(leaf, groups.rows), unit.dtype) / unit - tf.cast(like[:1], unit.dtype) / unit

    ours = [centred(leaf, leaf) for leaf in first]
    theirs = [centred(leaf, like) for leaf, like in zip(second, first, strict=True)] if second else ours
    return [groups.own(points) for points in ours], [groups.facing(points) for points in theirs]


def _reduced(
    order: tf.Tensor, cost: tf.Tensor, *, reduce: bool, squared: bool, is_raw: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Costs with padding forbidden and row and column minima taken off; and whether they are numerically sound.

    In plain ops: on so few numbers, to start a compiled function takes longer.
    """
    # NaN or infinity anywhere makes the sum so, which fails both bounds.
    magnitudes = tf.abs(cost)
    scale = tf.reduce_sum(magnitudes) if squared else tf.square(tf.reduce_sum(magnitudes))
    is_sound = (scale > _SMALLEST) & (scale < _LARGEST)
    if reduce:
        cost -= tf.reduce_min(cost, axis=2, keepdims=True)
        cost -= tf.reduce_min(cost, axis=1, keepdims=True)
    if is_raw:
        is_sound &= _are_told_apart(cost, _TOLD_APART * tf.reduce_mean(magnitudes, axis=[1, 2], keepdims=True))
    return _forbid_padding(cost, tf.size(order)) if _may_have_padding(order, cost) else cost, is_sound


def _are_told_apart(cost: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    """Whether in every group three in four of the reduced costs are more than this, without 2 k - 1 that may be 0.

    Of every group, and counted: one outlier makes a sum large, and would hide that all others drown in rounding.
    """
    k = tf.shape(cost)[1]
    drowned = tf.math.count_nonzero(cost <= least, axis=[1, 2], dtype=tf.int32) - (2 * k - 1)
    return tf.reduce_all(4 * drowned <= (k - 1) ** 2)


def _may_have_padding(order: tf.Tensor, cost: tf.Tensor) -> bool:
    positions = cost.shape[:2].num_elements()
    return positions is None or positions != order.shape[0]


def _forbid_padding(cost: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Makes an optimal assignment of `cost` `(groups, k, k)`, >= 0, match real positions with real ones only.

    Padding is matched with padding for nothing and with the rest for more than any real match costs. Trading two
    such forbidden matches for a real and a free one always pays, so the real part stays optimal and exact.
    """
    groups, k, _ = tf.unstack(tf.shape(cost), 3)
    real = tf.reshape(tf.range(groups * k) < size, [groups, k])
    forbidden = 1 + 2 * tf.reduce_max(cost, axis=[1, 2], keepdims=True)
    row, column = tf.expand_dims(real, 2), tf.expand_dims(real, 1)
    return tf.where(row & column, cost, tf.where(row ^ column, forbidden, tf.zeros_like(forbidden)))


def _minus_inner_product(first: Leaves, second: Leaves) -> tf.Tensor:
    return -tf.add_n([tf.matmul(ours, theirs, transpose_b=True) for ours, theirs in zip(first, second, strict=True)])


def _distance(first: Leaves, second: Leaves) -> tf.Tensor:
    squares_first, squares_second = (
        tf.add_n([tf.reduce_sum(tf.square(leaf), axis=2) for leaf in side]) for side in (first, second)
    )
    squares = squares_first[:, :, tf.newaxis] + squares_second[:, tf.newaxis, :]
    return tf.sqrt(tf.maximum(squares + 2 * _minus_inner_product(first, second), 0))


_COMPARISONS = {"sqeuclidean": _minus_inner_product, "euclidean": _distance}


def _largest_magnitude(leaves: Leaves) -> tf.Tensor:
    """The power of two below the largest absolute value in the leaves, float64: in its units, no digit is lost.

    But not so extreme that float32 cannot hold its inverse.
    """
    largest = tf.reduce_max([tf.reduce_max(tf.abs(tf.cast(leaf, tf.float64))) for leaf in leaves])
    room = 760 if tf.float64 in [leaf.dtype for leaf in leaves] else 99
    power = tf.floor(tf.math.log(largest) / math.log(2))
    return tf.pow(tf.constant(2, tf.float64), tf.clip_by_value(power, -room, room))
