"""How far a classifier's confidence is from how often it is right."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks


class ReliabilityCurve(NamedTuple):
    """Per bin of confidence, float64 `(bins,)`: mean confidence and accuracy (NaN in empty bins), and counts."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability_curve(y: Any, probabilities: Any, bins: int = 10) -> ReliabilityCurve:
    """Sorts predictions into bins of equal width by confidence, the probability of the class predicted.

    Args:
        y: integer classes `(n,)`, or one-hot `(n, classes)`.
        probabilities: `(n, classes)`, rows of probabilities that sum to 1.
        bins: an integer >= 1. Bin b holds confidences in (b / bins, (b + 1) / bins].

    Returns:
        `ReliabilityCurve(confidence, accuracy, count)`.

    Raises:
        ValueError: if shapes do not fit, there is no sample, or rows are no probabilities.

    Example:
        >>> curve = reliability_curve([0, 1], [[0.9, 0.1], [0.65, 0.35]])
        >>> curve.count.astype(int).tolist()
        [0, 0, 0, 0, 0, 0, 1, 0, 1, 0]
    """
    classes, probabilities = _classified("reliability_curve", y, probabilities)
    bins = _checks.integer("reliability_curve", "bins", bins, minimum=1)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == classes
    # Rounding up puts a confidence on an edge into the lower bin; 12 digits forgive a last-bit excess over it.
    index = np.clip(np.ceil(np.round(confidence * bins, 12)).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins).astype(float)
    with np.errstate(invalid="ignore"):
        means = (np.bincount(index, values, minlength=bins) / count for values in (confidence, correct))
        return ReliabilityCurve(*means, count)


def expected_calibration_error(y: Any, probabilities: Any, bins: int = 10) -> float:
    """Mean distance between confidence and accuracy over bins of confidence, weighted by their share of samples.

    Args, raises: as `reliability_curve`.

    Returns:
        A float in [0, 1]; 0 is calibrated.

    Source: On Mixup Regularization, Figure 4 (ECE), after Guo et al. 2017.

    Example:
        >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.65, 0.35]]), 3)
        0.375
    """
    curve = reliability_curve(y, probabilities, bins)
    filled = curve.count > 0
    gaps = np.abs(curve.confidence - curve.accuracy)[filled]
    return float(gaps @ curve.count[filled] / curve.count.sum())


def _classified(owner: str, y: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    y, probabilities = np.asarray(y), np.asarray(probabilities, dtype=np.float64)
    if y.ndim == 2:
        y = y.argmax(axis=1)
    if y.ndim != 1 or probabilities.ndim != 2 or len(y) != len(probabilities) or len(y) == 0:
        raise ValueError(
            f"{owner}: y must be (n,) or (n, classes) and probabilities (n, classes), n >= 1. "
            f"Received: y of shape {y.shape} and probabilities of shape {probabilities.shape}."
        )
    totals = probabilities.sum(axis=1)
    if not (np.abs(totals - 1) < 1e-3).all() or probabilities.min() < -1e-6:
        raise ValueError(
            f"{owner}: rows of probabilities must be >= 0 and sum to 1; take a softmax of logits first. "
            f"Received: entries from {probabilities.min():g}, sums from {totals.min():g} to {totals.max():g}."
        )
    return y.astype(int), probabilities
