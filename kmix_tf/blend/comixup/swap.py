"""Labels of blocks by swaps of two labels at a time, each the best there is: a minimum cut."""

from typing import NamedTuple

import numpy as np

from kmix_tf.blend.puzzle.minimum_cut import LARGEST_SUM, RESOLUTION, cut_on_host

# What counts as less: more than float64 rounds sums of a few hundred costs near 1.
LESS = 1e-10
# Problems are filled up to a multiple of this, so that the solver's networks are made once for few sizes.
FILL = 8


class Grid(NamedTuple):
    """What labels of an output's blocks cost. own: float64 `(labels, *blocks)`. between: float64 `(labels, labels)`,
    >= 0, symmetric, 0 on the diagonal: what two neighbours cost."""

    own: np.ndarray
    between: np.ndarray


def grid_energies(labels: np.ndarray, grid: Grid) -> np.ndarray:
    """What labels, int `(several, *blocks)`, cost: float64 `(several,)`."""
    several, axes = len(labels), labels.ndim - 1
    own = grid.own.reshape(len(grid.own), -1)
    total = own[labels.reshape(several, -1), np.arange(own.shape[1])].sum(axis=1)
    for below, above in _edges(axes):
        total += grid.between[labels[:, *below], labels[:, *above]].reshape(several, -1).sum(axis=1)
    return total


def swapped(labels: np.ndarray, grid: Grid) -> np.ndarray:
    """Labels that no swap makes better: int `(*blocks,)`, of at most the energy they had.

    A swap takes all blocks of two labels, and gives each of them either label. Every round finds the best swap of
    each two labels and makes the best of these.

    Source: Boykov, Veksler and Zabih 2001, *Fast approximate energy minimization via graph cuts*, the swap move; they
    take swaps in turn.

    Example:
        >>> grid = Grid(np.array([[0.0, 0.0, 9.0], [0.5, 2.0, 0.0]]), 1.0 - np.eye(2))
        >>> swapped(np.array([1, 1, 1]), grid).tolist()
        [0, 0, 1]
    """
    best = grid_energies(labels[np.newaxis], grid)[0]
    while True:
        pairs, problems = _promising(labels, grid)
        if not len(pairs):
            return labels
        choices = _cut(problems)
        moved = np.where(problems.taken, np.where(choices > 0, *_columns(pairs, labels.ndim)), labels)
        energies = grid_energies(moved, grid)
        at = int(np.argmin(energies))
        if energies[at] >= best - LESS:
            return labels
        best, labels = energies[at], moved[at]


class _Swaps(NamedTuple):
    """One problem for each two labels: which blocks take part, what the second label costs more than the first
    there, and what it costs where two neighbours that take part differ, for each axis."""

    taken: np.ndarray
    more: np.ndarray
    apart: list[np.ndarray]


def _promising(labels: np.ndarray, grid: Grid) -> tuple[np.ndarray, _Swaps]:
    """The pairs of labels whose best swap may save anything, and their problems."""
    count, blocks = len(grid.own), labels.size
    one_hot = np.eye(count)[labels]
    around = _around(one_hot)
    near = np.moveaxis(around @ grid.between, -1, 0) + grid.own
    present = np.unique(labels)
    first, second = (each.ravel() for each in np.meshgrid(present, np.arange(count), indexing="ij"))
    is_new = (first != second) & ~(np.isin(second, present) & (second < first))
    first, second = first[is_new], second[is_new]
    taken = (labels == _wide(first, labels.ndim)) | (labels == _wide(second, labels.ndim))
    price = _wide(grid.between[first, second], labels.ndim)
    theirs = np.moveaxis(around, -1, 0)
    # Without what neighbours that take part cost now: they may change, too.
    more = (near[second] - price * theirs[first]) - (near[first] - price * theirs[second])
    more = np.where(taken, more, 0.0)
    apart = [price * (taken[:, *below] & taken[:, *above]) for below, above in _edges(labels.ndim)]
    now = np.where(labels == _wide(second, labels.ndim), more, 0.0).reshape(-1, blocks).sum(axis=1)
    for edges, (below, above) in zip(apart, _edges(labels.ndim), strict=True):
        now += (edges * (labels[below] != labels[above])).reshape(len(now), -1).sum(axis=1)
    promising = now - np.minimum(more, 0).reshape(-1, blocks).sum(axis=1) > LESS
    swaps = _Swaps(taken[promising], more[promising], [edges[promising] for edges in apart])
    return np.stack([first, second], axis=1)[promising], swaps


def _cut(problems: _Swaps) -> np.ndarray:
    """Which of the two labels each block takes in the best swap: 1 for the first, 0 for the second."""
    axes = tuple(range(1, problems.more.ndim))
    total = np.abs(problems.more).sum(axis=axes) + sum(edges.sum(axis=axes) for edges in problems.apart)
    # What a first label saves is a weight below 0 of level 1.
    scale = np.minimum(RESOLUTION * problems.more[0].size, LARGEST_SUM) / np.maximum(total, np.finfo(float).tiny)
    arrays = [-problems.more[..., np.newaxis], *problems.apart]
    return cut_on_host(*(_whole(each, scale) for each in arrays))[: len(problems.more)]


def _whole(costs: np.ndarray, scale: np.ndarray) -> np.ndarray:
    rounded = np.rint(costs * _wide(scale, costs.ndim - 1)).astype(np.int32)
    return np.pad(rounded, [(0, -len(rounded) % FILL), *[(0, 0)] * (rounded.ndim - 1)])


def _around(one_hot: np.ndarray) -> np.ndarray:
    """How many neighbours of each block have each label: float64 `(*blocks, labels)`."""
    around = np.zeros_like(one_hot)
    for below, above in _edges(one_hot.ndim - 1):
        around[below] += one_hot[above]
        around[above] += one_hot[below]
    return around


def _edges(axes: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each axis, the blocks below and above each border along it."""
    before = [(slice(None),) * axis for axis in range(axes)]
    return [((*skipped, slice(None, -1)), (*skipped, slice(1, None))) for skipped in before]


def _columns(pairs: np.ndarray, axes: int) -> tuple[np.ndarray, np.ndarray]:
    return _wide(pairs[:, 0], axes), _wide(pairs[:, 1], axes)


def _wide(values: np.ndarray, axes: int) -> np.ndarray:
    return np.asarray(values).reshape(-1, *[1] * axes)
