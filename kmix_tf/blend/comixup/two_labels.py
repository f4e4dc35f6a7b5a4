"""The best of two labels for each block, of many problems at once: row by row, or as minimum cuts.

A problem says what label 0 costs more than 1 in each block, and what it costs where neighbours differ.
"""

import functools
from collections.abc import Sequence

import numpy as np

from kmix_tf.blend.puzzle.minimum_cut import LARGEST_SUM, RESOLUTION
from kmix_tf.blend.puzzle.on_host import cut_on_host

# Of rows of up to so many blocks, all labellings are gone through: five times as fast as a cut, of 4 x 4 blocks.
MOST_IN_ROW = 5
# Problems are filled up to a multiple of this, so that the networks of cuts are made once for few sizes.
FILL = 8


def best_choices(more: np.ndarray, apart: Sequence[np.ndarray]) -> np.ndarray:
    """The labels of least cost, 0 or 1, int `(problems, *blocks)`.

    Args:
        more: float64 `(problems, *blocks)`, what label 0 costs more than 1. apart: for each axis, float64 >= 0, what
            it costs if the blocks on both sides of a border differ: one less along that axis.
    """
    by_row = more[0, 0].size <= MOST_IN_ROW
    return _row_by_row(more, apart) if by_row else _cut(more, apart)


def edges_along(axes: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each axis, the blocks below and above each border along it."""
    before = [(slice(None),) * axis for axis in range(axes)]
    return [((*skipped, slice(None, -1)), (*skipped, slice(1, None))) for skipped in before]


def _row_by_row(more: np.ndarray, apart: Sequence[np.ndarray]) -> np.ndarray:
    """For each labelling of a row, the best of all rows before it; then back from the best of the last row."""
    problems, rows, *row = more.shape
    labels, differ, within = _labellings(tuple(row))
    own = more.reshape(problems, rows, -1) @ (1.0 - labels).T
    for edges, differences in zip(apart[1:], within, strict=True):
        own += edges.reshape(problems, rows, -1) @ differences.T
    step = apart[0].reshape(problems, rows - 1, labels.shape[1]) @ differ
    step = step.reshape(problems, rows - 1, len(labels), len(labels))
    best, came_from = own[:, 0], []
    for at in range(1, rows):
        total = best[:, :, np.newaxis] + step[:, at - 1]
        came_from.append(total.argmin(axis=1))
        best = total.min(axis=1) + own[:, at]
    last, problem = best.argmin(axis=1), np.arange(problems)
    found = [last]
    for back in reversed(came_from):
        found.append(back[problem, found[-1]])
    return labels[np.stack(found[::-1], axis=1)].reshape(more.shape)


@functools.lru_cache(maxsize=16)
def _labellings(row: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """All labellings of a row, int `(count, blocks)`; where each two of them differ, float64 `(blocks, count^2)`; and
    for each axis of the row, at which borders a labelling has two labels, float64 `(count, borders)`."""
    blocks = int(np.prod(row))
    labels = np.arange(2**blocks)[:, np.newaxis] >> np.arange(blocks) & 1
    differ = (labels[:, np.newaxis] != labels).astype(np.float64).reshape(-1, blocks).T
    shaped = labels.reshape(-1, *row)
    within = [shaped[:, *below] != shaped[:, *above] for below, above in edges_along(len(row))]
    return labels, differ, [each.reshape(len(labels), -1).astype(np.float64) for each in within]


def _cut(more: np.ndarray, apart: Sequence[np.ndarray]) -> np.ndarray:
    """In integers: costs to a part in 2^18 of a block's mean, as far as they go."""
    axes = tuple(range(1, more.ndim))
    total = np.abs(more).sum(axis=axes) + sum(edges.sum(axis=axes) for edges in apart)
    scale = min(RESOLUTION * more[0].size, LARGEST_SUM) / np.maximum(total, np.finfo(float).tiny)
    # What label 0 costs more is a weight below 0 of label 1.
    arrays = [-more[..., np.newaxis], *apart]
    return cut_on_host(*(_whole(each, scale) for each in arrays))[: len(more)]


def _whole(costs: np.ndarray, scale: np.ndarray) -> np.ndarray:
    rounded = np.rint(costs * scale.reshape(-1, *[1] * (costs.ndim - 1))).astype(np.int32)
    return np.pad(rounded, [(0, -len(rounded) % FILL), *[(0, 0)] * (rounded.ndim - 1)])
