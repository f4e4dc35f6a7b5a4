"""The nearest sample to each of many points."""

from collections.abc import Callable

import numpy as np

# Numbers that a block of scores, or of vectors, may hold.
_BLOCK = 2**22
# More candidates a row than this show that float32 does not tell distances apart.
_CROWD = 8

Progress = Callable[[int, int], None]


def nearest_rows(
    points: Callable[[slice], np.ndarray],
    count: int,
    x: np.ndarray,
    forbid: Callable[[np.ndarray, slice], None],
    progress: Progress = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest row of x to each of `count` points, and the distance; infinite where all are forbidden.

    Args:
        points: gives a block of them, in the hull of x or near it.
        x: `(n, d)`.
        forbid: sets scores `(block, n)` of what does not count to infinity.
    """
    search = _Search(x)
    index, distance = np.zeros(count, np.int64), np.full(count, np.inf)
    rows = max(1, _BLOCK // max(x.shape))
    for start in range(0, count, rows):
        these = slice(start, min(start + rows, count))

        def forbid_these(scores: np.ndarray, of: slice = these) -> None:
            forbid(scores, of)

        index[these], distance[these] = search.nearest(points(these), forbid_these)
        progress(these.stop, count)
    return index, distance


class _Search:
    """Finds nearest rows by |x|^2 / 2 - <point, x> in float32; those too near to tell apart again in float64."""

    def __init__(self, x: np.ndarray):
        self._x = x
        # Not x.mean, whose sums may overflow.
        self._centre = np.full(len(x), 1 / len(x)) @ x
        self._scale = np.abs(x - self._centre).max() or 1.0
        # A power of two near it, which rounds nothing: squares in this unit neither over- nor underflow.
        self._unit = np.ldexp(1.0, int(np.frexp(self._scale)[1]) - 1)
        self._prepared: dict[type, tuple[np.ndarray, np.ndarray]] = {}

    def nearest(self, points: np.ndarray, forbid: Callable[[np.ndarray], None]) -> tuple[np.ndarray, np.ndarray]:
        row, column = self._candidates(points, forbid, np.float32)
        if len(row) > _CROWD * len(points):
            row, column = self._candidates(points, forbid, np.float64)
        distance = self._distances(points, row, column)
        # Row by row, the nearest first; of equals the one with the lower index.
        order = np.lexsort((distance, row))
        found, starts = np.unique(row[order], return_index=True)
        index, nearest = np.zeros(len(points), np.int64), np.full(len(points), np.inf)
        index[found], nearest[found] = column[order][starts], distance[order][starts]
        return index, nearest

    def _columns(self, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        """Centred rows, and half their squares."""
        if dtype not in self._prepared:
            x = self._centred(self._x, dtype)
            self._prepared[dtype] = x, np.einsum("nd,nd->n", x, x) / 2
        return self._prepared[dtype]

    def _centred(self, rows: np.ndarray, dtype: type) -> np.ndarray:
        return ((rows - self._centre) / self._scale).astype(dtype)

    def _candidates(
        self, points: np.ndarray, forbid: Callable[[np.ndarray], None], dtype: type
    ) -> tuple[np.ndarray, np.ndarray]:
        (x, halves), points = self._columns(dtype), self._centred(points, dtype)
        scores = points @ x.T
        np.subtract(halves, scores, out=scores)
        forbid(scores)
        least = scores.min(axis=1, keepdims=True)
        # What rounding may do to two scores: that of sums of d products in blocks, and of the data to this precision.
        longest = np.sqrt(2 * halves.max())
        size = longest**2 + longest * np.linalg.norm(points, axis=1, keepdims=True)
        error = 2 * np.finfo(dtype).eps * (8 + np.sqrt(x.shape[1])) * size
        row, column = np.nonzero((scores <= least + error) & np.isfinite(least))
        return row, column

    def _distances(self, points: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        squares = np.empty(len(row))
        size = max(1, _BLOCK // points.shape[1])
        for start in range(0, len(row), size):
            these = slice(start, start + size)
            apart = (points[row[these]] - self._x[column[these]]) / self._unit
            squares[these] = np.einsum("md,md->m", apart, apart)
        return self._unit * np.sqrt(squares)
