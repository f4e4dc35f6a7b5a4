"""Means over batches whose places may differ in number or be absent: images of several sizes, padded sequences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Shape = tuple[int | None, ...]


class PlaceMeans:
    """The weighted mean of rows that come batch after batch, one for each place, or over the places of open axes.

    An axis that is None in a shape is open: the mean runs over it, each element counting as much as its row, and
    keeps it with size 1. Nothing grows with the number of samples; sums are of float64.

    Args:
        shape: of a row, None for open axes.

    Attributes:
        total: the weight that each place has seen, float64, of a shape that broadcasts to the mean's.
    """

    def __init__(self, shape: Shape):
        sizes = [size or 1 for size in shape]
        self.shape = shape
        self.total = np.zeros([1] * len(shape))
        self._mean = np.zeros(sizes)

    @property
    def mean(self) -> np.ndarray:
        """float64 `(...)`, 1 for open axes. A place that nobody has seen has the mean of the others."""
        places = tuple(axis for axis, size in enumerate(self.total.shape) if size > 1)
        others = _averaged(self._mean, self.total, places)[0]
        return np.where(self.total > 0, self._mean, others)

    def update(self, rows: Any, weights: np.ndarray) -> None:
        """Adds rows `(batch, *row)`, weighted by `weights` `(batch,)` or `(batch, *places)`."""
        rows = np.asarray(rows, dtype=np.float64)
        if weights.ndim == 1:
            total = np.full([1] * (rows.ndim - 1), weights.sum())
            if not total.all():
                return
            mean = np.tensordot(weights, rows, axes=(0, 0)) / total
            self._join(*_averaged(mean, total, self._open_axes()))
        else:
            weights = weights.reshape(weights.shape + (1,) * (rows.ndim - weights.ndim))
            axes = (0, *(axis + 1 for axis in self._open_axes()))
            self._join(*(part[0] for part in _averaged(rows, weights, axes)))

    def merge(self, other: "PlaceMeans") -> None:
        """Adds what another of the same shape has seen."""
        self._join(other._mean, other.total)

    def opened(self, shape: Shape) -> "PlaceMeans":
        """The same over the open axes of another shape, which are all of this one's and perhaps more."""
        wider = PlaceMeans(shape)
        wider._join(*_averaged(self._mean, self.total, wider._open_axes()))
        return wider

    def _open_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, size in enumerate(self.shape) if size is None)

    def _join(self, mean: np.ndarray, total: np.ndarray) -> None:
        both = self.total + total
        share = np.divide(total, both, out=np.zeros_like(both), where=both > 0)
        self._mean = self._mean + (mean - self._mean) * share
        self.total = both


def _averaged(values: np.ndarray, weights: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean over axes, which stay with size 1, and its weight; 0 where there is none."""
    if not axes:
        return values, weights
    sizes = [size if axis in axes else weights.shape[axis] for axis, size in enumerate(values.shape)]
    total = np.broadcast_to(weights, sizes).sum(axis=axes, keepdims=True)
    summed = (values * weights).sum(axis=axes, keepdims=True)
    return np.divide(summed, total, out=np.zeros_like(summed), where=total > 0), total


def opened(shape: Sequence[int | None], other: Sequence[int | None]) -> Shape:
    """A shape that is open wherever one of two of the same rank is, or where they differ."""
    return tuple(size if size == another else None for size, another in zip(shape, other, strict=True))


def weights_at(weights: np.ndarray, shape: Sequence[int], is_open: Sequence[bool]) -> np.ndarray:
    """The weights of the places of a leaf; of one that has none of them, the sums over each sample's.

    Args:
        weights: `(batch,)` or `(batch, *places)`. shape: of the leaf, `(batch, ...)`.
        is_open: for each axis of a row. A leaf whose last axis is a place has it open; else it has features there.
    """
    rank = weights.ndim
    if rank == 1:
        return weights
    has_places = tuple(shape[:rank]) == weights.shape and (len(shape) > rank or is_open[rank - 2])
    return weights if has_places else weights.sum(axis=tuple(range(1, rank)))


def present_at(weights: np.ndarray, present: Any) -> np.ndarray:
    """Weights `(batch,)` or `(batch, *places)`, 0 where `present` `(batch, *places)`, boolean or None, is False."""
    if present is None:
        return weights
    present = np.asarray(present)
    rank = max(weights.ndim, present.ndim)
    weights, present = (each.reshape(each.shape + (1,) * (rank - each.ndim)) for each in (weights, present))
    return weights * present
