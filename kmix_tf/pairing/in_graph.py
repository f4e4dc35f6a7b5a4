"""Assignments without leaving the graph: any number of problems by few compiled programs, few problems at a time."""

from typing import Any

import tensorflow as tf

from kmix_tf import _graph
from kmix_tf.pairing.graph_solver import solve_at_once

# How many problems a compiled program has room for.
_ROOMS = tuple(8 * 4**power for power in range(10))


def solve_in_graph(cost: tf.Tensor) -> tf.Tensor:
    """Finds the permutation of least total cost for each cost matrix, without leaving the graph.

    It runs eagerly, in graphs and in `Dataset.map`, and within functions compiled by XLA; it always compiles itself,
    once for each k, and for few numbers of problems. Arithmetic is in float64.

    Args:
        cost: float tensor `(problems, k, k)`; `cost[p, i, j]` is the cost of giving column j to row i. An entry that
            is not finite counts as dearer than any permutation without such entries.

    Returns:
        int32 `(problems, k)`: the column of each row, a permutation of `range(k)` whatever the costs.

    Source: k-mixup, Section 2 (the optimal sigma). The solver is this package's own, see `graph_solver.py`.

    Example:
        >>> solve_in_graph(tf.constant([[[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]]])).numpy().tolist()
        [[1, 0, 2]]
    """
    columns = _in_parts(cost, tf.shape(cost)[0]) if _graph.is_for_xla() else _compiled_with_room(cost)
    columns.set_shape(cost.shape[:-1])
    return columns


def _compiled_with_room(cost: tf.Tensor) -> tf.Tensor:
    """XLA compiles each shape anew, and the last batch of an epoch has fewer groups: with room for more, one will do.

    What the room holds is never solved. In a graph that knows its number, it is always that, and needs no room.
    """
    known = cost.shape[0]
    count = tf.shape(cost)[0] if known is None else tf.constant(known)
    if known is not None and (not tf.executing_eagerly() or known in _ROOMS):
        return _compiled(cost, count)
    room = _room_for(count if known is None else known)
    return _compiled(tf.pad(cost, [[0, room - count], [0, 0], [0, 0]]), count)[:count]


def _room_for(count: Any) -> Any:
    if isinstance(count, int):
        return next((room for room in _ROOMS if room >= count), count)
    return tf.reduce_min(tf.where(tf.constant(_ROOMS) >= count, _ROOMS, tf.maximum(count, _ROOMS[-1])))


def _in_parts(cost: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The first so many problems, few at a time.

    All at once wait for the one that takes the most steps, and are more than a processor's nearest memory holds: of
    16 problems of 32x32 in four parts, that saved two fifths, of 4 of 64x64 one by one half.
    """
    if _graph.is_for_xla() and _has_accelerator():  # There, steps cost what they do, however many problems take them.
        return solve_at_once(cost)
    problems, k, _ = tf.unstack(tf.shape(cost), 3)
    size = tf.where(k <= 8, 8, tf.where(k <= 32, 4, tf.where(k <= 45, 2, 1)))
    size = tf.maximum(tf.minimum(size, problems), 1)
    parts = tf.maximum((problems + size - 1) // size, 1)
    cost = tf.pad(cost, [[0, parts * size - problems], [0, 0], [0, 0]])
    cost = tf.reshape(cost, tf.stack([parts, size, k, k]))

    def solve_next(part: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_here = tf.reshape(tf.range(parts) == part, [-1, 1, 1])
        solved = tf.where(is_here, solve_at_once(cost[part]), columns)
        return part + 1, tf.ensure_shape(solved, columns.shape)

    _, columns = tf.while_loop(
        lambda part, _: part * size < count,
        solve_next,
        (0, tf.zeros(tf.stack([parts, size, k]), tf.int32)),
        parallel_iterations=1,
    )
    return tf.reshape(columns, tf.stack([parts * size, k]))[:problems]


_compiled = _graph.compiled(_in_parts)


def _has_accelerator() -> bool:
    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU"))
