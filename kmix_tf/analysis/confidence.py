"""How confident a classifier is, of what is right and of what is wrong."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.calibration import reliability_curve


class ConfidenceHistogram(NamedTuple):
    """Shares of all predictions by confidence, float64; right and wrong sum to 1 together.

    edges: `(bins + 1,)`, from 0 to 1. right, wrong: `(bins,)`. mean_confidence, accuracy: floats, of all of them.
    """

    edges: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    mean_confidence: float
    accuracy: float


@_checks.speaks
def confidence_histogram(y: Any, probabilities: Any, bins: int = 10) -> ConfidenceHistogram:
    """Counts predictions by confidence, the probability of the class predicted, those that are right apart.

    Args:
        y, probabilities: as in `reliability_curve`.
        bins: an integer >= 1, of equal width: bin b holds confidences in (b / bins, (b + 1) / bins].

    Returns:
        `ConfidenceHistogram(edges, right, wrong, mean_confidence, accuracy)`. A model is too confident overall where
        its mean confidence is above its accuracy, too modest where it is below.

    Raises:
        ValueError: as `reliability_curve`.

    Source: On Mixup Regularization, Figures 7 and 9; right and wrong apart, and the two means, after Guo et al. 2017,
    Figure 1.

    Example:
        >>> from kmix_tf.analysis import confidence_histogram
        >>> histogram = confidence_histogram([0, 1], [[0.9, 0.1], [0.65, 0.35]], bins=5)
        >>> histogram.right.tolist(), histogram.wrong.tolist()
        ([0.0, 0.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.5, 0.0])
        >>> round(histogram.mean_confidence, 6), histogram.accuracy
        (0.775, 0.5)
    """
    curve = reliability_curve(y, probabilities, bins)
    # Means of empty bins are NaN. Numbers of right predictions are whole, which their quotients are not.
    right = np.rint(np.nan_to_num(curve.accuracy) * curve.count)
    total = curve.count.sum()
    mean = float(np.nan_to_num(curve.confidence) @ curve.count / total)
    edges = np.linspace(0, 1, len(right) + 1)
    return ConfidenceHistogram(edges, right / total, (curve.count - right) / total, mean, float(right.sum() / total))
