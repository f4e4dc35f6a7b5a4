"""Means and variances over a dataset, in one pass."""

from typing import Any

import numpy as np


class StreamingMoments:
    """The mean and variance of the rows of batches that come one after another, in float64.

    The running mean moves towards each batch's by the batch's share of all weight, so nothing grows with the
    number of samples. `merge` joins the moments of shards. Of nothing, mean and variance are NaN and total is 0.

    Source: Chan, Golub, LeVeque 1979, for joining the variances of two sets.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.mean = np.array(np.nan)
        self.variance = np.array(np.nan)

    def update(self, rows: Any, weights: Any = None) -> None:
        """Adds rows `(batch, ...)`, weighted by `weights` `(batch,)`; all equal by default."""
        rows = np.asarray(rows, dtype=np.float64)
        weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        total = weights.sum()
        if total > 0:
            mean = np.tensordot(weights, rows, axes=(0, 0)) / total
            self._join(mean, np.tensordot(weights, np.square(rows - mean), axes=(0, 0)) / total, total)

    def merge(self, other: "StreamingMoments") -> None:
        """Adds what another has seen."""
        if other.total > 0:
            self._join(other.mean, other.variance, other.total)

    def _join(self, mean: np.ndarray, variance: np.ndarray, total: float) -> None:
        if not self.total:
            self.total, self.mean, self.variance = total, mean, variance
            return
        self.total += total
        share, step = total / self.total, mean - self.mean
        self.mean = self.mean + step * share
        self.variance = self.variance + (variance - self.variance) * share + np.square(step) * share * (1 - share)
