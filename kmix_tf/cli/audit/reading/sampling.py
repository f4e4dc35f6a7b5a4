"""A uniform sample of a stream: with one seed the same rows, however the stream is cut into blocks."""

import numpy as np


class Reservoir:
    """Keeps `limit` of the rows it is shown, each subset of them equally likely.

    Every row draws a key; the rows of the least keys stay. So a stream of unknown length needs the memory of the
    sample alone, and no class is favoured.
    """

    def __init__(self, limit: int, seed: int):
        self._limit = limit
        self._generator = np.random.default_rng(seed)
        self._seen = 0
        self._keys = np.empty(0)
        self._index = np.empty(0, np.int64)
        self._rows: np.ndarray | None = None

    def add(self, x: np.ndarray) -> None:
        """Shows it the next rows `(rows, ...)`."""
        keys = np.concatenate([self._keys, self._generator.random(len(x))])
        index = np.concatenate([self._index, np.arange(self._seen, self._seen + len(x))])
        self._seen += len(x)
        kept = np.sort(np.argsort(keys, kind="stable")[: self._limit])
        held = len(self._keys)
        stays, comes = kept[kept < held], kept[kept >= held]
        self._replace(stays, x, comes - held, held)
        order = self._places(stays, len(comes), held)
        self._keys, self._index = (self._placed(values, stays, comes, order) for values in (keys, index))

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows kept, `(m, ...)`, and their places in the stream, int64 `(m,)`, in the order of the stream."""
        order = np.argsort(self._index)
        return self._rows[: len(order)][order], self._index[order]

    def _places(self, stays: np.ndarray, coming: int, held: int) -> np.ndarray:
        """Where new rows go: into the places of those that leave, then behind."""
        free = np.setdiff1d(np.arange(held), stays)
        return np.concatenate([free, np.arange(held, held + coming - len(free))]).astype(np.int64)

    def _replace(self, stays: np.ndarray, x: np.ndarray, comes: np.ndarray, held: int) -> None:
        places = self._places(stays, len(comes), held)
        needed = held + len(places) - np.count_nonzero(places < held)
        if self._rows is None:
            self._rows = np.empty((0, *x.shape[1:]), np.result_type(x.dtype, np.float32))
        if needed > len(self._rows):
            size = min(self._limit, max(needed, 2 * len(self._rows)))
            grown = np.empty((size, *x.shape[1:]), self._rows.dtype)
            grown[:held] = self._rows[:held]
            self._rows = grown
        self._rows[places] = x[comes]

    @staticmethod
    def _placed(values: np.ndarray, stays: np.ndarray, comes: np.ndarray, places: np.ndarray) -> np.ndarray:
        placed = np.empty(len(stays) + len(comes), values.dtype)
        placed[stays] = values[stays]
        placed[places] = values[comes]
        return placed
