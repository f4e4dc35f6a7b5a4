"""How good predictions are: error, loss, and how far their confidences are from the truth."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from kmix_tf.maths.reliability import ReliabilityCurve
from kmix_tf.models.calibrating.fits import losses
from kmix_tf.models.calibrating.links import BINARY, REGRESSION
from kmix_tf.models.calibrating.rows import Rows

# Numbers in float64 that a block may hold.
_BLOCK = 2**20


class Scores(NamedTuple):
    """Means over samples, floats.

    error: the share of wrong classes (or labels), or for regression the mean squared error. loss: cross-entropy
    (binary for single units and labels), or for regression the mean squared error again. calibration_error: the
    expected calibration error, with bins of equal width. calibration_floor: what the calibration error of a model
    that is calibrated perfectly would be on so many samples with such confidences, for chance alone; places of one
    map count as if they were independent. brier: the mean squared distance of probabilities from labels, summed over
    classes. The last three are None for regression, which has no confidences. Where models return probabilities,
    those below 1e-7 count as 1e-7, as in Keras' losses.
    """

    error: float
    loss: float
    calibration_error: float | None
    calibration_floor: float | None
    brier: float | None


class Scored(NamedTuple):
    """curve: what scores are made of, or None for regression. losses: of each sample, `(samples,)`."""

    scores: Scores
    curve: ReliabilityCurve | None
    losses: np.ndarray


def scored(rows: Rows, logits: np.ndarray, bins: int) -> Scored:
    """What answers, `(n, units)` in the space of logits, are worth; at least one row."""
    sums = _Sums(rows.law, bins)
    size = max(1, _BLOCK // logits.shape[1])
    each = [sums.add(rows, logits, slice(start, start + size)) for start in range(0, len(logits), size)]
    return Scored(sums.scores(), sums.curve(), rows.of_samples(np.concatenate(each)))


class _Sums:
    """Weighted sums from which scores follow."""

    def __init__(self, law: str, bins: int):
        self._law = law
        self._total = self._error = self._loss = self._brier = 0.0
        # Of each bin: weight, weighted confidence and hits, and the variance of hits if confidences are true.
        self._bins = np.zeros((4, bins))

    def add(self, rows: Rows, logits: np.ndarray, part: slice) -> np.ndarray:
        """Adds a block; returns the losses of its rows."""
        values, targets = logits[part].astype(np.float64), rows.targets[part].astype(np.float64)
        loss = losses(self._law, values, targets)
        weights = np.broadcast_to(rows.weights[part][:, np.newaxis], loss.shape)
        self._total += weights.sum()
        self._loss += (loss * weights).sum()
        if self._law == REGRESSION:
            return loss.mean(axis=1)
        hit, confidence, distance = (_binary if self._law == BINARY else _classes)(values, targets)
        self._error += ((1.0 - hit) * weights).sum()
        self._brier += (distance * weights).sum()
        self._add_to_bins(hit, confidence, weights)
        return loss.mean(axis=1)

    def scores(self) -> Scores:
        loss = float(self._loss / self._total)
        if self._law == REGRESSION:
            return Scores(loss, loss, None, None, None)
        gap = np.abs(self._bins[1] - self._bins[2]).sum() / self._total
        # Of a bin of many samples, hits are normal about their mean; this is a normal's mean distance from it.
        floor = np.sqrt(2 / np.pi * self._bins[3]).sum() / self._total
        return Scores(
            float(self._error / self._total), loss, float(gap), float(floor), float(self._brier / self._total)
        )

    def curve(self) -> ReliabilityCurve | None:
        if self._law == REGRESSION:
            return None
        weight, confidence, hits, _ = self._bins
        with np.errstate(invalid="ignore"):
            return ReliabilityCurve(confidence / weight, hits / weight, weight)

    def _add_to_bins(self, hit: np.ndarray, confidence: np.ndarray, weights: np.ndarray) -> None:
        count = self._bins.shape[1]
        # The same edges as in kmix_tf.analysis.reliability_curve.
        index = np.clip(np.ceil(np.round(confidence * count, 12)).astype(int) - 1, 0, count - 1).ravel()
        chance = weights * confidence * (1 - confidence)
        for row, values in zip(self._bins, (1.0, confidence, hit, chance), strict=True):
            row += np.bincount(index, np.ravel(values * weights), minlength=count)


def _classes(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hit, confidence and squared distance of each row, `(n, 1)`."""
    likely = softmax(logits, axis=1)
    hit = logits.argmax(axis=1) == targets.argmax(axis=1)
    distance = np.square(likely - targets).sum(axis=1, keepdims=True)
    return hit[:, np.newaxis], likely.max(axis=1, keepdims=True), distance


def _binary(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of each label, `(n, units)`; of the two classes that it tells apart."""
    likely = expit(logits)
    hit = (likely > 0.5) == (targets > 0.5)
    return hit, np.maximum(likely, 1 - likely), 2 * np.square(likely - targets)
