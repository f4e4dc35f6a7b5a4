"""Labels of blocks by swaps of two labels at a time, each the best there is: a minimum cut."""

from typing import NamedTuple

import numpy as np

from kmix_tf.blend.comixup.two_labels import best_choices, edges_along

# What counts as less: more than float64 rounds sums of a few hundred costs near 1.
LESS = 1e-10


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
    for below, above in edges_along(axes):
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
        choices = best_choices(problems.more, problems.apart)
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
    first, second = _worth_a_look(labels, len(grid.own))
    around = np.moveaxis(_around(np.eye(len(grid.own))[labels]), -1, 0)
    near = grid.own + np.tensordot(grid.between, around, axes=1)
    is_second = labels == _wide(second, labels.ndim)
    taken = is_second | (labels == _wide(first, labels.ndim))
    price = _wide(grid.between[first, second], labels.ndim)
    # Without what neighbours that take part cost now: they may change, too.
    more = taken * (near[second] - near[first] + price * (around[second] - around[first]))
    edges = edges_along(labels.ndim)
    apart = [price * (taken[:, *below] & taken[:, *above]) for below, above in edges]
    blocks = tuple(range(1, more.ndim))
    saved = (is_second * more - np.minimum(more, 0)).sum(axis=blocks)
    for each, (below, above) in zip(apart, edges, strict=True):
        saved += (each * (labels[below] != labels[above])).sum(axis=blocks)
    promising = saved > LESS
    swaps = _Swaps(taken[promising], more[promising], [each[promising] for each in apart])
    return np.stack([first, second], axis=1)[promising], swaps


def _worth_a_look(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Every two labels, of which one is there; if both are, once."""
    there = np.bincount(labels.ravel(), minlength=count) > 0
    pairs = there[:, np.newaxis] & np.where(there, np.triu(np.ones((count, count), bool), 1), True)
    first, second = np.nonzero(pairs)
    return first, second


def _around(one_hot: np.ndarray) -> np.ndarray:
    """How many neighbours of each block have each label: float64 `(*blocks, labels)`."""
    around = np.zeros_like(one_hot)
    for below, above in edges_along(one_hot.ndim - 1):
        around[below] += one_hot[above]
        around[above] += one_hot[below]
    return around


def _columns(pairs: np.ndarray, axes: int) -> tuple[np.ndarray, np.ndarray]:
    return _wide(pairs[:, 0], axes), _wide(pairs[:, 1], axes)


def _wide(values: np.ndarray, axes: int) -> np.ndarray:
    return np.asarray(values).reshape(-1, *[1] * axes)
