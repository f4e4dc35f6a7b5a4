"""Minimum cuts of many grids at once by TensorFlow ops alone, compiled by XLA: exact, in integers.

Goldberg and Tarjan's push-relabel method, on all levels of all blocks of all problems in lockstep. The source first
pushes all it can. Then phases follow one another:

1. Breadth-first search finds how many arcs with room are between each level and the sink.
2. A wave of pushes sends what has arrived anywhere along arcs that lead one step nearer, until nothing moves.

It ends when what is left over cannot reach the sink any more: what cannot is on the source's side of a least cut, of
all such sides the largest. A phase leaves levels with anything left over farther from the sink than they were, so
there is an end; 4 to 15 phases are usual.

Arrays are `(levels, *blocks, problems)`: the long axis comes last, along which XLA vectorises.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kmix_tf import _graph

FAR = 2**20


class _Flow(NamedTuple):
    """excess: what has arrived and not gone on. to_sink: what each level can still send there. room: for each
    direction, `(levels, levels, *blocks, problems)`, what the first level can send to the second of its neighbour."""

    excess: tf.Tensor
    to_sink: tf.Tensor
    room: tuple[tf.Tensor, ...]


def cut_in_graph(weight: tf.Tensor, smooth: Sequence[tf.Tensor]) -> tf.Tensor:
    """The labels of least cost, and of these the greatest.

    Args:
        weight: int32 `(problems, *blocks, levels)`; see `CutProblem`.
        smooth: for each axis, int32 `(problems, *edges)`.

    Returns:
        int32 `(problems, *blocks)`, 0 to levels.
    """
    return _cut(weight, list(smooth), levels=weight.shape[-1])


@_graph.compiled
def _cut(weight: tf.Tensor, smooth: list[tf.Tensor], *, levels: int) -> tf.Tensor:
    axes = weight.shape.rank - 2
    weight = tf.transpose(weight, [axes + 1, *range(1, axes + 1), 0])
    edges = [tf.transpose(each, [*range(1, axes + 1), 0]) for each in smooth]
    flow = _Flow(tf.maximum(-weight, 0), tf.maximum(weight, 0), _rooms(edges, levels))
    _, distance, _ = tf.while_loop(
        lambda flow, distance, is_over: ~is_over,
        lambda flow, distance, is_over: _phase(flow),
        (flow, tf.zeros_like(weight), False),
        parallel_iterations=1,
    )
    labels = tf.reduce_sum(tf.cast(distance >= FAR, tf.int32), axis=0)
    return tf.transpose(labels, [axes, *range(axes)])


def _rooms(edges: list[tf.Tensor], levels: int) -> tuple[tf.Tensor, ...]:
    """Each edge both ways, as long as the blocks: forwards and backwards along the first axis, then the next."""
    rooms = []
    for axis, each in enumerate(edges):
        for ends in ([0, 1], [1, 0]):
            padded = tf.pad(each, [ends if other == axis else [0, 0] for other in range(each.shape.rank)])
            rooms.append(tf.broadcast_to(padded, tf.concat([[levels, levels], tf.shape(padded)], 0)))
    return tuple(rooms)


def _neighbours(values: tf.Tensor, direction: int, outside: int, lead: int = 1) -> tf.Tensor:
    """The values of each block's neighbour in a direction; blocks come after `lead` other axes."""
    axis, is_back = lead + direction // 2, direction % 2
    part = [slice(None)] * values.shape.rank
    part[axis] = slice(0, -1) if is_back else slice(1, None)
    ends = [[0, 0] for _ in part]
    ends[axis] = [1, 0] if is_back else [0, 1]
    return tf.pad(values[tuple(part)], ends, constant_values=outside)


def _distances(flow: _Flow) -> tf.Tensor:
    """How many arcs with room lead from each level to the sink; FAR if none do."""

    def nearer(distance: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best = distance
        for direction, room in enumerate(flow.room):
            ahead = _neighbours(distance, direction, FAR)[tf.newaxis]
            best = tf.minimum(best, 1 + tf.reduce_min(tf.where(room > 0, ahead, FAR), axis=1))
        return best, tf.reduce_any(best < distance)

    start = tf.where(flow.to_sink > 0, 1, FAR)
    return tf.while_loop(lambda _, changed: changed, nearer, (start, True), parallel_iterations=1)[0]


def _phase(flow: _Flow) -> tuple[_Flow, tf.Tensor, tf.Tensor]:
    """The distances, a wave along arcs that lead one step nearer to the sink, and whether there was nothing to move.

    In this order, the search stands in the program once.
    """
    distance = _distances(flow)
    reached = distance < FAR
    is_over = ~tf.reduce_any((flow.excess > 0) & reached)
    leads = [
        (distance[:, tf.newaxis] == 1 + _neighbours(distance, direction, FAR)[tf.newaxis]) & reached[:, tf.newaxis]
        for direction in range(len(flow.room))
    ]
    leads = [tf.cast(lead, tf.int32) for lead in leads]
    last = tf.cast(distance == 1, tf.int32)
    flow, _ = tf.while_loop(
        lambda _, moved: moved, lambda flow, _: _pushed(flow, leads, last), (flow, ~is_over), parallel_iterations=1
    )
    return flow, distance, is_over


def _pushed(flow: _Flow, leads: list[tf.Tensor], last: tf.Tensor) -> tuple[_Flow, tf.Tensor]:
    """Every level sends on what it has, to the sink first and then to one neighbour's level after another."""
    sunk = tf.minimum(flow.excess, flow.to_sink * last)
    left, sent = flow.excess - sunk, []
    for room, lead in zip(flow.room, leads, strict=True):
        to_levels = []
        for level in range(room.shape[1]):
            amount = tf.minimum(left, room[:, level] * lead[:, level])
            left -= amount
            to_levels.append(amount)
        sent.append(tf.stack(to_levels, axis=1))
    moved = tf.reduce_any(left < flow.excess)
    # What comes in from a direction was sent there in the opposite one, by level of its own and of the receiver.
    swap = [1, 0, *range(2, sent[0].shape.rank)]
    came = [
        _neighbours(tf.transpose(sent[direction ^ 1], swap), direction, 0, lead=2) for direction in range(len(sent))
    ]
    excess = left + sum(tf.reduce_sum(each, axis=1) for each in came)
    room = tuple(room - out + back for room, out, back in zip(flow.room, sent, came, strict=True))
    return _Flow(excess, flow.to_sink - sunk, room), moved
