"""Matching facing groups of k: their cost, by one batched matrix product, and the assignment of least cost.

The rows of a batch stand in a given order on a circle, which is cut into groups of k. Each group faces the next one:
position p faces position p + k. Whatever the size of the batch, every row is faced once: a remainder of r rows faces
as many of the first group, and the last full group faces the remainder and the rest of the first. The last group is
filled up with padding. Groups of two batches face their like instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf import _checks
from kmix_tf._graph import after, compiled, fused, require
from kmix_tf.pairing.graph_solver import solve_in_graph

COSTS = ("sqeuclidean", "euclidean")
SOLVERS = ("host", "graph")

# Sums of products within neither overflow float32 nor consist of its subnormal numbers.
_SMALLEST, _LARGEST = 1e-25, 1e33

# So few features are compared in float64, at no cost that shows: a table may hold a sentinel such as -9999, or narrow
# clusters far apart, and float32 products round relative to the largest distance, not to that of neighbours.
_FEW = 256

_NOT_FINITE = "cost must be finite. Received: cost with NaN or infinite entries."

Leaves = Sequence[tf.Tensor]


def _group_size(size: tf.Tensor, k: int, cyclic: bool) -> tuple[tf.Tensor, Any]:
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
        largest, shift = _group_size(size, k, cyclic)
        group = position // largest
        facing = group * largest + tf.gather(tf.reshape(columns, [-1]), position) + shift
    partner = tf.gather(order, facing % tf.maximum(size, 1))
    position_of_row = tf.math.invert_permutation(order)
    return tf.gather(partner, position_of_row), tf.gather(group, position_of_row)


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
    dtype = _dtype_of_distances(first)
    # One batch is handed over once, so that its points are made once.
    leaves = first, [] if second is first else second

    def costs(unit: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        sides = _facing_points(*leaves, order, tf.cast(unit, dtype), k=k, cyclic=cyclic)
        return _reduced(order, _COMPARISONS[cost](*sides), reduce=reduce, squared=cost == "sqeuclidean")

    plain, is_safe = costs(tf.ones([], dtype))
    # Squares that overflow or vanish, which are seldom, are taken again in units of the largest value.
    return tf.cond(is_safe, lambda: plain, lambda: costs(_largest_magnitude([*first, *second]))[0])


@fused(features=2)
def _facing_points(
    first: Leaves, second: Leaves, order: tf.Tensor, unit: tf.Tensor, *, k: int, cyclic: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Both sides of each pair of facing groups, `(groups, k, features)`; `second` is empty for one batch.

    All in one compiled function: within a branch, XLA must see where a slice's size comes from.
    """
    size = tf.size(order)
    largest, shift = _group_size(size, k, cyclic)
    groups = (size + largest - 1) // largest
    positions = groups * largest
    rows = tf.gather(order, tf.range(positions + shift) % tf.maximum(size, 1))
    centre = [leaf[:1] for leaf in first]
    ours = _points(rows, first, centre, unit)
    theirs = _points(rows, second, centre, unit) if second else ours
    shape = tf.stack([groups, largest, ours.shape[1] or tf.shape(ours)[1]])
    return tf.reshape(ours[:positions], shape), tf.reshape(theirs[shift:] if cyclic else theirs, shape)


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
        _flat(
            tf.cast(tf.gather(leaf, rows), unit.dtype) / unit - tf.cast(row, unit.dtype) / unit,
            leaf.shape[1:].num_elements(),
        )
        for leaf, row in zip(leaves, centre, strict=True)
    ]
    return columns[0] if len(columns) == 1 else tf.concat(columns, axis=1)


def _flat(leaf: tf.Tensor, size: int | None) -> tf.Tensor:
    """Rows of so many numbers; the shape of rows without any does not tell how many there are."""
    return tf.reshape(leaf, [-1, size] if size else tf.stack([tf.shape(leaf)[0], tf.reduce_prod(tf.shape(leaf)[1:])]))


@compiled
def _reduced(order: tf.Tensor, cost: tf.Tensor, *, reduce: bool, squared: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Costs with padding forbidden and row and column minima taken off; and whether they are numerically sound."""
    # NaN or infinity anywhere makes the sum so, which fails both bounds.
    magnitude = tf.reduce_sum(tf.abs(cost))
    magnitude = magnitude if squared else tf.square(magnitude)
    if reduce:
        cost -= tf.reduce_min(cost, axis=2, keepdims=True)
        cost -= tf.reduce_min(cost, axis=1, keepdims=True)
    return _forbid_padding(cost, tf.size(order)), (magnitude > _SMALLEST) & (magnitude < _LARGEST)


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
    room = 1e230 if tf.float64 in [leaf.dtype for leaf in leaves] else 1e30
    return tf.clip_by_value(largest, 1 / room, room)


@_checks.speaks
def solve_assignment(cost: Any, solver: str = "host") -> tf.Tensor:
    """Finds the permutation of least total cost for each cost matrix.

    Args:
        cost: float tensor `(..., k, k)`, finite; `cost[..., i, j]` is the cost of giving column j to row i.
        solver: "host" (default): SciPy's exact shortest augmenting paths, called back from the graph.
            It is pure and stateless, so iterators checkpoint; it cannot be compiled by XLA, exported, or run by a
            tf.data service worker of another process. "graph": an exact solver of TensorFlow ops alone, compiled by
            XLA, which can, on accelerators too; on a CPU it is slower.

    Returns:
        int32 `(..., k)`: the column of each row, a permutation of `range(k)`.

    Raises:
        ValueError: for an unknown solver, or a cost that is not a batch of square float matrices.
        InvalidArgumentError: if a cost is NaN or infinite. Under XLA, which drops assertions, such costs count as
            the largest there are.

    Source: k-mixup, Section 2 (the optimal sigma). SciPy's solver is Crouse's.

    Example:
        >>> solve_assignment([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]]).numpy().tolist()
        [1, 0, 2]
    """
    solver = _checks.choice("solver", solver, SOLVERS)
    cost = tf.convert_to_tensor(cost)
    rank = cost.shape.rank
    square = rank is None or (rank >= 2 and cost.shape[-1:].is_compatible_with(cost.shape[-2:-1]))
    if not cost.dtype.is_floating or not square:
        raise _checks.problem(
            "cost must be a float tensor of shape (..., k, k). "
            f"Received: cost of dtype {cost.dtype.name} and shape {cost.shape}."
        )
    return assigned_columns(cost, solver)


def assigned_columns(cost: tf.Tensor, solver: str) -> tf.Tensor:
    """`solve_assignment` of costs that are as they should be."""
    if cost.dtype in (tf.float16, tf.bfloat16):
        cost = tf.cast(cost, tf.float32)
    columns = _call_host(cost) if solver == "host" else _solve_in_graph(cost)
    columns.set_shape(cost.shape[:-1])
    return columns


def _solve_in_graph(cost: tf.Tensor) -> tf.Tensor:
    (cost,) = after(require(tf.reduce_all(tf.math.is_finite(cost)), _NOT_FINITE), [cost])
    shape = tf.shape(cost)
    problems = tf.reshape(cost, tf.stack([tf.reduce_prod(shape[:-2]), shape[-2], shape[-1]]))
    return tf.reshape(solve_in_graph(problems), shape[:-1])


def _call_host(cost: tf.Tensor) -> tf.Tensor:
    try:
        return tf.numpy_function(_assign_on_host, [cost], tf.int32, stateful=False)
    except ValueError as error:  # Eager callbacks raise what they meet; in a graph it becomes this.
        raise tf.errors.InvalidArgumentError(None, None, str(error)) from None


def _assign_on_host(cost: np.ndarray) -> np.ndarray:
    """NumPy in, NumPy out. One function for all layers: each `numpy_function` registers its callee for good."""
    if not np.isfinite(cost).all():
        raise ValueError(f"solve_assignment: {_NOT_FINITE}")
    columns = np.empty(cost.shape[:-1], np.int32)
    for problem in np.ndindex(cost.shape[:-2]):
        columns[problem] = linear_sum_assignment(cost[problem].astype(np.float64))[1]
    return columns
