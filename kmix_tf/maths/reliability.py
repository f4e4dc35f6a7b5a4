"""Confidence and accuracy in bins of confidence."""

from typing import NamedTuple

import numpy as np


class ReliabilityCurve(NamedTuple):
    """Per bin of confidence, float64 `(bins,)`: mean confidence, accuracy, and how many samples are in it, or weigh.

    Where a bin is empty, confidence and accuracy are NaN.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
