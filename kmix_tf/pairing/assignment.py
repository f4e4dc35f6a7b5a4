"""The assignment of least cost: who in a group is matched with whom in the facing one."""

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf.pairing.in_graph import solve_in_graph

SOLVERS = ("host", "graph")

_NOT_FINITE = "cost must be finite. Received: cost with NaN or infinite entries."


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
