"""Means over a dataset, in one pass."""

from typing import Any

import numpy as np


class StreamingMean:
    """The mean of the rows of batches that come one after another, in float64.

    The running mean moves towards each batch's by the batch's share of all weight, so nothing grows with the
    number of samples. `merge` joins the means of shards.
    """

    def __init__(self):
        self.total = 0.0
        self.mean = None

    def update(self, rows: Any, weights: Any = None) -> None:
        """Adds rows `(batch, ...)`, weighted by `weights` `(batch,)`; all equal by default."""
        rows = np.asarray(rows, dtype=np.float64)
        weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        total = weights.sum()
        if total > 0:
            self._move(np.tensordot(weights, rows, axes=(0, 0)) / total, total)

    def merge(self, other: "StreamingMean") -> None:
        """Adds what another has seen."""
        if other.total > 0:
            self._move(other.mean, other.total)

    def _move(self, mean: np.ndarray, total: float) -> None:
        self.total += total
        self.mean = mean if self.mean is None else self.mean + (mean - self.mean) * (total / self.total)
