"""The nearest sample of one's own class and of another, in blocks."""

from typing import NamedTuple

import numpy as np

# Rows of the distance matrix held at once: 20 MB at 10,000 samples.
_ROWS = 512


class Neighbors(NamedTuple):
    """Of each sample the nearest other one of its class and of the other classes: places `(n,)`, distances `(n,)`.

    A sample that is alone in its class has an infinite distance to its own.
    """

    same: np.ndarray
    same_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray


def nearest(x: np.ndarray, y: np.ndarray, points: np.ndarray | None = None) -> Neighbors:
    """Finds neighbours among `x` `(n, d)`, float32 and centred, with classes `y` `(n,)`.

    Neighbours are chosen in float32, whose matrix product is fast; their distances are then measured directly.

    Args:
        points: rows of x to look from, `(m,)`; default all.
    """
    points = np.arange(len(x)) if points is None else points
    squares = np.einsum("nd,nd->n", x, x)
    same, other = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    for start in range(0, len(points), _ROWS):
        rows = points[start : start + _ROWS]
        # The samples' own squares are the same for all of a row.
        closeness = squares - 2 * (x[rows] @ x.T)
        closeness[np.arange(len(rows)), rows] = np.inf
        is_same = y[rows, np.newaxis] == y
        for places, masked in ((same, ~is_same), (other, is_same)):
            places[start : start + len(rows)] = np.where(masked, np.inf, closeness).argmin(axis=1)
    lonely = np.bincount(y)[y[points]] == 1
    same_distance = np.where(lonely, np.inf, distances(x, points, same))
    return Neighbors(same, same_distance, other, distances(x, points, other))


def distances(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances of pairs of rows, float64 `(m,)`, without a copy of all of x."""
    found = np.empty(len(first))
    for start in range(0, len(first), _ROWS):
        part = slice(start, start + _ROWS)
        found[part] = np.linalg.norm(x[first[part]].astype(np.float64) - x[second[part]], axis=1)
    return found
