"""The cost of matching: pairwise distances by one batched matrix product."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._fusion import compiled, fused
from kmix_tf.pairing.blocks import cut_into_blocks, forbid_padding

COSTS = ("sqeuclidean", "euclidean")

# Sums of products within neither overflow float32 nor consist of its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33

# So few features are compared in float64, at no cost that shows: a table may hold a sentinel such as -9999, or narrow
# clusters far apart, and float32 products round relative to the largest distance, not to that of neighbours.
_FEW = 256

Leaves = Sequence[tf.Tensor]


def facing_cost(
    order: tf.Tensor, first: Leaves, second: Leaves, cost: str, reduce: bool = True, **cutting: Any
) -> tf.Tensor:
    """Costs for an assignment between the groups of `first` and those of `second` that face them.

    Args:
        order, cutting: how rows are cut into blocks; see `cut_into_blocks`.
        first, second: features `(batch, ...)`; the same list for one batch.
        cost: "sqeuclidean" or "euclidean".
        reduce: False keeps the distances themselves, for "euclidean" only.

    Returns:
        `(blocks, k, k)`, >= 0. The squared or plain distances but for a positive factor and, where `reduce`, a
        constant for each row and each column, which change no permutation's rank. Padding is matched with padding.

    For squared distances, minus the inner products will do. Rows and columns are shifted so that the least entry of
    each is 0, which leaves the solver less than half of its work.
    """
    dtype = _dtype_of_distances(first)
    # One batch is handed over once, so that its points are made once.
    leaves = first, [] if second is first else second
    sides = _facing_points(*leaves, order, tf.ones([]), dtype=dtype, **cutting)
    cutting = {**cutting, "reduce": reduce, "cost_name": cost}
    costs, is_safe = _reduced(order, _COMPARISONS[cost](*sides), **cutting)

    def rescaled() -> tf.Tensor:
        return _rescaled_cost(*leaves, order, dtype=dtype, **cutting)

    return tf.cond(is_safe, lambda: costs, rescaled)


@fused(features=2)
def _rescaled_cost(
    first: Leaves, second: Leaves, order: tf.Tensor, *, cost_name: str, dtype: tf.DType, reduce: bool, **cutting: Any
) -> tf.Tensor:
    """For features whose squares overflow or underflow. Seldom run, and therefore one node in the graph."""
    sides = _facing_points(first, second, order, _largest_magnitude([*first, *second]), dtype=dtype, **cutting)
    return _reduced(order, _COMPARISONS[cost_name](*sides), cost_name=cost_name, reduce=reduce, **cutting)[0]


@fused(features=2)
def _facing_points(
    first: Leaves, second: Leaves, order: tf.Tensor, unit: tf.Tensor, *, dtype: tf.DType, **cutting: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Both sides of each pair of facing groups, `(blocks, k, features)`; `second` is empty for one batch.

    All in one compiled function: within a branch, XLA must see where a slice's size comes from.
    """
    blocks = cut_into_blocks(order, **cutting)
    centre = [leaf[:1] for leaf in first]
    ours = _points(blocks.circle, first, centre, tf.cast(unit, dtype))
    theirs = _points(blocks.circle, second, centre, tf.cast(unit, dtype)) if second else ours
    return blocks.cut(ours[: blocks.positions]), blocks.cut(theirs[blocks.shift :])


def _dtype_of_distances(leaves: Leaves) -> tf.DType:
    # Not to be asked inside a compiled function, where shapes that have varied once are no longer static.
    sizes = [leaf.shape[1:].num_elements() for leaf in leaves]
    is_few = None not in sizes and sum(sizes) <= _FEW
    return tf.float64 if is_few or tf.float64 in [leaf.dtype for leaf in leaves] else tf.float32


def _points(rows: tf.Tensor, leaves: Leaves, centre: Leaves, unit: tf.Tensor) -> tf.Tensor:
    """The rows of all leaves, flattened and side by side, measured from `centre` in `unit`, in its dtype.

    Centring changes no distance, but makes rounding relative to the spread of the data instead of its distance
    from the origin; any point among the data serves.
    """
    columns = [
        # Rows are picked before the cast: uint8 images are a quarter of their float32 selves.
        tf.reshape(
            tf.cast(tf.gather(leaf, rows), unit.dtype) / unit - tf.cast(row, unit.dtype) / unit,
            [tf.size(rows), tf.reduce_prod(tf.shape(leaf)[1:])],
        )
        for leaf, row in zip(leaves, centre, strict=True)
    ]
    return columns[0] if len(columns) == 1 else tf.concat(columns, axis=1)


@compiled
def _reduced(
    order: tf.Tensor, cost: tf.Tensor, *, cost_name: str, reduce: bool, **cutting: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Costs with padding forbidden and row and column minima taken off; and whether they are numerically sound."""
    # NaN or infinity anywhere makes the sum so, which fails both bounds.
    magnitude = tf.reduce_sum(tf.abs(cost))
    magnitude = tf.square(magnitude) if cost_name == "euclidean" else magnitude
    if reduce:
        cost -= tf.reduce_min(cost, axis=2, keepdims=True)
        cost -= tf.reduce_min(cost, axis=1, keepdims=True)
    cost = forbid_padding(cost, cut_into_blocks(order, **cutting))
    return cost, (magnitude > _SMALLEST) & (magnitude < _LARGEST)


def _minus_inner_product(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return -tf.matmul(first, second, transpose_b=True)


def _distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    squares_first = tf.reduce_sum(tf.square(first), axis=2)[:, :, tf.newaxis]
    squares_second = tf.reduce_sum(tf.square(second), axis=2)[:, tf.newaxis, :]
    inner = tf.matmul(first, second, transpose_b=True)
    return tf.sqrt(tf.maximum(squares_first + squares_second - 2 * inner, 0))


_COMPARISONS = {"sqeuclidean": _minus_inner_product, "euclidean": _distance}


def _largest_magnitude(leaves: Leaves) -> tf.Tensor:
    """The largest absolute value in the leaves, float64, but not so extreme that float32 cannot hold its inverse."""
    largest = tf.reduce_max([tf.reduce_max(tf.abs(tf.cast(leaf, tf.float64))) for leaf in leaves])
    if tf.float64 in [leaf.dtype for leaf in leaves]:
        return tf.clip_by_value(largest, 1e-230, 1e230)
    return tf.clip_by_value(largest, 1e-30, 1e30)
