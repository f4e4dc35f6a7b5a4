"""The cost of matching: pairwise distances by one batched matrix product."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._fusion import fused
from kmix_tf.pairing.blocks import cut_into_blocks, forbid_padding

COSTS = ("sqeuclidean", "euclidean")

# Sums of products within neither overflow float32 nor consist of its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33

Leaves = Sequence[tf.Tensor]


def facing_cost(order: tf.Tensor, first: Leaves, second: Leaves, cost: str, **cutting: Any) -> tf.Tensor:
    """Costs for an assignment between the groups of `first` and those of `second` that face them.

    Args:
        order, cutting: how rows are cut into blocks; see `cut_into_blocks`.
        first, second: features `(batch, ...)`; the same list for one batch.
        cost: "sqeuclidean" or "euclidean".

    Returns:
        `(blocks, k, k)`, >= 0. The squared or plain distances but for a positive factor, and a constant for each
        row and each column, which change no permutation's rank; padding is matched with padding only.

    For squared distances, minus the inner products will do. Rows and columns are shifted so that the least entry of
    each is 0, which leaves the solver less than half of its work.
    """
    compare = {"sqeuclidean": _minus_inner_product, "euclidean": _distance}[cost]
    blocks = cut_into_blocks(order, **cutting)
    centre = [leaf[:1] for leaf in first]

    def in_unit(unit: tf.Tensor) -> tf.Tensor:
        ours = _points(order, first, centre, unit, **cutting)
        theirs = ours if second is first else _points(order, second, centre, unit, **cutting)
        return compare(blocks.cut(ours[: blocks.positions]), blocks.cut(theirs[blocks.shift :]))

    costs, is_safe = _reduced(order, in_unit(tf.ones([])), **cutting)

    def rescaled() -> tf.Tensor:
        return _reduced(order, in_unit(_largest_magnitude([*first, *second])), **cutting)[0]

    return tf.cond(is_safe, lambda: costs, rescaled)


@fused
def _points(order: tf.Tensor, leaves: Leaves, centre: Leaves, unit: tf.Tensor, **cutting: Any) -> tf.Tensor:
    """All leaves, flattened and side by side, in the order of the circle, measured from `centre` in `unit`.

    Centring changes no distance, but makes rounding relative to the spread of the data instead of its distance
    from the origin; any point among the data serves. float64 if a leaf is, otherwise float32.
    """
    dtype = tf.float64 if tf.float64 in [leaf.dtype for leaf in leaves] else tf.float32
    rows = cut_into_blocks(order, **cutting).circle
    unit = tf.cast(unit, dtype)
    columns = [
        # Rows are picked before the cast: uint8 images are a quarter of their float32 selves.
        tf.reshape(
            tf.cast(tf.gather(leaf, rows), dtype) / unit - tf.cast(row, dtype) / unit,
            [tf.size(rows), tf.reduce_prod(tf.shape(leaf)[1:])],
        )
        for leaf, row in zip(leaves, centre, strict=True)
    ]
    return columns[0] if len(columns) == 1 else tf.concat(columns, axis=1)


@fused
def _reduced(order: tf.Tensor, cost: tf.Tensor, **cutting: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Costs with row and column minima taken off and padding forbidden; and whether they are numerically sound."""
    # NaN or infinity anywhere makes the sum so, which fails both bounds.
    magnitude = tf.reduce_sum(tf.abs(cost))
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


def _largest_magnitude(leaves: Leaves) -> tf.Tensor:
    """The largest absolute value in the leaves, float64, or 1 if all are 0."""
    largest = tf.reduce_max([tf.reduce_max(tf.abs(tf.cast(leaf, tf.float64))) for leaf in leaves])
    return tf.where(largest > 0, largest, tf.ones([], tf.float64))
