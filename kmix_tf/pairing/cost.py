"""The cost of matching: pairwise distances by one batched matrix product."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from kmix_tf._fusion import fused

COSTS = ("sqeuclidean", "euclidean")

# Sums of products within neither overflow float32 nor consist of its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33

Points = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def matching_cost(points: Points, unit: Callable[[], tf.Tensor], cost: str) -> tf.Tensor:
    """Costs for an assignment between the points of facing groups.

    Args:
        points: takes a unit of length, and gives the two sides in it, `(blocks, k, features)` each.
        unit: the unit to use when squares in the data's own unit overflow or underflow.
        cost: "sqeuclidean" or "euclidean".

    Returns:
        `(blocks, k, k)`. For "euclidean" the distances; for "sqeuclidean" minus the inner products, which differ
        from half the squared distances by a constant for each row and each column, so that every permutation
        keeps its rank. A common positive factor is dropped.
    """
    product = _inner(*points(tf.ones([])))
    magnitude = tf.reduce_sum(tf.abs(product))  # NaN or infinity anywhere makes it so, and fails both bounds.
    is_safe = (magnitude > _SMALLEST) & (magnitude < _LARGEST)
    if cost == "sqeuclidean":
        return -tf.cond(is_safe, lambda: product, lambda: _inner(*points(unit())))
    return tf.cond(is_safe, lambda: _distance(*points(tf.ones([]))), lambda: _distance(*points(unit())))


def centred_rows(leaves: Sequence[tf.Tensor], rows: tf.Tensor, centre: Sequence[tf.Tensor], unit: tf.Tensor):
    """Rows of the leaves, flattened and side by side, measured from `centre` in `unit`: `(len(rows), features)`.

    Centring changes no distance, but makes rounding relative to the spread of the data instead of its distance
    from the origin; any point among the data serves. float64 if a leaf is, otherwise float32.
    """
    dtype = tf.float64 if tf.float64 in [leaf.dtype for leaf in leaves] else tf.float32
    columns = [
        _centred(leaf, rows, row, tf.cast(unit, dtype)) for leaf, row in zip(leaves, centre, strict=True)
    ]
    return columns[0] if len(columns) == 1 else tf.concat(columns, axis=1)


def largest_magnitude(leaves: Sequence[tf.Tensor]) -> tf.Tensor:
    """The largest absolute value in the leaves, float64, or 1 if all are 0."""
    largest = tf.reduce_max([tf.reduce_max(tf.abs(tf.cast(leaf, tf.float64))) for leaf in leaves])
    return tf.where(largest > 0, largest, 1.0)


@fused
def _centred(leaf: tf.Tensor, rows: tf.Tensor, centre: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    # Rows are picked before the cast: uint8 images are a quarter of their float32 selves.
    shift = tf.cast(centre, unit.dtype) / unit
    moved = tf.cast(tf.gather(leaf, rows), unit.dtype) / unit - shift
    return tf.reshape(moved, [tf.size(rows), tf.reduce_prod(tf.shape(leaf)[1:])])


def _inner(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return tf.matmul(first, second, transpose_b=True)


def _distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    squares_first = tf.reduce_sum(tf.square(first), axis=2)[:, :, tf.newaxis]
    squares_second = tf.reduce_sum(tf.square(second), axis=2)[:, tf.newaxis, :]
    return tf.sqrt(tf.maximum(squares_first + squares_second - 2 * _inner(first, second), 0.0))
