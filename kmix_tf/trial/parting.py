"""Into which parts rows go, and how many into each."""

from typing import NamedTuple

import numpy as np

# Shares of the rows.
TEST, VALIDATION = 0.25, 0.15
TRAIN = 1 - TEST - VALIDATION


class Split(NamedTuple):
    """Rows, int64, in order; no row is in two parts."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
