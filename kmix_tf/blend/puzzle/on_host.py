"""Minimum cuts of many grids on the host: bounds of all at once, then SciPy's maximum flow for what is left open.

With all neighbours at a bound of the mask, each block's own best label is a better bound, because neighbours want to
be alike. From the least and from the greatest labels there are, a few rounds of this, of all problems at once, settle
most levels: of photographs in 8x8 blocks four in five. Only what is between the bounds becomes a graph.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

# Later rounds settle hardly any level, measured for 2 to 16 blocks a side.
ROUNDS = 10
# Bounds of so many levels at once stay in a processor's cache.
LEVELS_OF_BOUNDS = 2**15
# A call of SciPy's takes a tenth of a millisecond: small problems go together. Measured for 4 to 512 levels each.
LEVELS_OF_A_CALL = 2048


def cut_on_host(weight: np.ndarray, *smooth: np.ndarray) -> np.ndarray:
    """The labels of least cost, and of these the greatest. NumPy in, NumPy out.

    One function for all blends: each `numpy_function` registers its callee for good.

    Args:
        weight: int32 `(problems, *blocks, levels)`; see `CutProblem`.
        smooth: for each axis, int32 `(problems, *edges)`.

    Returns:
        int32 `(problems, *blocks)`, 0 to levels.
    """
    labels = np.empty(weight.shape[:-1], np.int32)
    several = max(1, LEVELS_OF_BOUNDS // max(1, weight[:1].size))
    for start in range(0, len(weight), several):
        part = slice(start, start + several)
        labels[part] = _cut(weight[part], [edges[part] for edges in smooth])
    return labels


def _cut(weight: np.ndarray, smooth: list[np.ndarray]) -> np.ndarray:
    low, high = bounds(weight, smooth)
    for rows in _calls((high - low).reshape(len(low), -1).sum(axis=1)):
        low[rows] += _open_levels(weight[rows], [edges[rows] for edges in smooth], low[rows], high[rows])
    return low


def _calls(levels: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of problems that have open levels, in parts of about `LEVELS_OF_A_CALL` of them."""
    rows = np.flatnonzero(levels)
    if rows.size:
        call = (np.cumsum(levels[rows]) - 1) // LEVELS_OF_A_CALL
        yield from np.split(rows, np.flatnonzero(np.diff(call)) + 1)


def bounds(weight: np.ndarray, smooth: Sequence[np.ndarray], rounds: int = ROUNDS) -> tuple[np.ndarray, np.ndarray]:
    """Labels that are not above, and labels that are not below, those of the greatest least cut.

    A level costs w_t + sum_j s_ij (levels - 2 z_j), with neighbours j at labels z_j: it is 1 where that is not above
    0. In z this grows, so of a lower bound it makes a lower bound, and of an upper one an upper one.

    Returns:
        Two int32 `(problems, *blocks)`.
    """
    levels = weight.shape[-1]
    # The long axis last, along which NumPy is fast.
    cost = np.ascontiguousarray(np.moveaxis(weight, (-1, 0), (0, -1)))
    edges = [np.ascontiguousarray(np.moveaxis(each, 0, -1)) for each in smooth]
    cost = cost + levels * _from_neighbours(edges, np.ones([1, *cost.shape[1:]], np.int32))
    labels = np.zeros([2, *cost.shape[1:]], np.int32)
    labels[1] = levels
    for _ in range(rounds):
        pull = 2 * _from_neighbours(edges, labels)
        better = sum((each <= pull for each in cost), np.zeros_like(labels))
        if np.array_equal(better, labels):
            break
        labels = better
    low, high = np.moveaxis(labels, -1, 1)
    return low.copy(), high


def _from_neighbours(edges: Sequence[np.ndarray], values: np.ndarray) -> np.ndarray:
    """The sum of neighbours' values, each times the edge between: `(any, *blocks, ...)`."""
    total = np.zeros_like(values)
    for axis, each in enumerate(edges, start=1):
        below, above = ends(axis)
        total[below] += each * values[above]
        total[above] += each * values[below]
    return total


def ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What picks the blocks below, and those above, of the edges along an axis."""
    before = (slice(None),) * axis
    return (*before, slice(0, -1)), (*before, slice(1, None))


class _Arcs(NamedTuple):
    """Arcs with room both ways: int32 ends, and capacities."""

    tails: np.ndarray
    heads: np.ndarray
    capacity: np.ndarray


def _open_levels(weight: np.ndarray, smooth: list[np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How many more levels than the lower bound are 1 in the greatest least cut: problems as one graph, of which the
    parts share only source and sink."""
    levels = weight.shape[-1]
    is_open = (np.arange(levels) >= low[..., np.newaxis]) & (np.arange(levels) < high[..., np.newaxis])
    number = np.cumsum(is_open.ravel(), dtype=np.int32).reshape(is_open.shape) - np.int32(1)
    # What neighbours' settled levels cost a level: those at 0 more than those at 1.
    settled = _from_neighbours(smooth, levels - low - high)
    own = (weight + settled[..., np.newaxis])[is_open]
    arcs = [_between(edges, is_open, number, axis) for axis, edges in enumerate(smooth, start=1)]
    arcs.append(_to_ends(own))
    reached = _reach_sink(_graph(arcs, own.size + 2))[:-2]
    more = np.zeros(is_open.shape, bool)
    more[is_open] = ~reached
    return more.sum(axis=-1, dtype=np.int32)


def _between(edges: np.ndarray, is_open: np.ndarray, number: np.ndarray, axis: int) -> _Arcs:
    """Arcs from each open level to each one of the next block along an axis."""
    below, above = ends(axis)
    levels = is_open.shape[-1]
    flat = [each[end].reshape(-1, levels) for each in (is_open, number) for end in (below, above)]
    there = np.flatnonzero(flat[0].any(axis=1) & flat[1].any(axis=1) & (edges.ravel() > 0))
    tails_open, heads_open, tails, heads = (each[there] for each in flat)
    edge, tail, head = np.nonzero(tails_open[:, :, np.newaxis] & heads_open[:, np.newaxis])
    return _Arcs(tails[edge, tail], heads[edge, head], edges.ravel()[there][edge])


def _to_ends(own: np.ndarray) -> _Arcs:
    """Arcs from the source, whose number is that of the levels, and to the sink, the next."""
    nodes = np.flatnonzero(own).astype(np.int32)
    return _Arcs(nodes, own.size + (own[nodes] > 0).astype(np.int32), np.abs(own[nodes]))


def _graph(arcs: Sequence[_Arcs], nodes: int) -> sparse.csr_matrix:
    """The graph with all arcs both ways. Those into the source or out of the sink, too: no flow takes them."""
    tails, heads, capacity = (np.concatenate(each) for each in zip(*arcs, strict=True))
    both = np.concatenate([tails, heads]), np.concatenate([heads, tails])
    return sparse.csr_matrix((np.tile(capacity, 2), both), shape=(nodes, nodes))


def _reach_sink(graph: sparse.csr_matrix) -> np.ndarray:
    """Which nodes can still send something to the sink after a maximum flow, bool: all others are on the source's
    side. The last two nodes are source and sink."""
    nodes = graph.shape[0]
    flow = csgraph.maximum_flow(graph, nodes - 2, nodes - 1).flow
    # As much room as there is for a flow, and what flows the other way.
    backwards = graph + flow
    backwards.eliminate_zeros()
    reach = np.zeros(nodes, bool)
    reach[csgraph.breadth_first_order(backwards, nodes - 1, return_predecessors=False)] = True
    return reach
