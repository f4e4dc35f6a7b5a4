"""Isotonic regression of binary labels on probabilities."""

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import expit

from kmix_tf import _checks
from kmix_tf.models.calibrating.links import BINARY
from kmix_tf.models.calibrating.maps import Isotonic
from kmix_tf.models.calibrating.rows import Rows

# Corners that a map may have. Of more, means over so many parts of equally many samples are taken first.
_CORNERS = 64


def fit_isotonic(rows: Rows, logits: np.ndarray) -> Isotonic:
    """For each unit, the function of the least squared error among those that never fall.

    Raises:
        ValueError: for other than binary labels, or a unit whose held-out labels are all alike.
    """
    if rows.law != BINARY:
        raise _checks.problem(
            "method='isotonic' is for binary labels: one unit, or output='multilabel_...'. Received: an output of "
            f"{'regression' if logits.shape[1] == 1 else f'{logits.shape[1]} units'}. Take method='temperature', or "
            "method='vector' for a number of each class."
        )
    alike = [unit for unit in range(logits.shape[1]) if np.ptp(rows.targets[:, unit]) == 0]
    if alike:
        raise _checks.problem(
            f"method='isotonic' needs held-out labels of both kinds. Received: labels of unit {alike[0]} that are "
            f"all {rows.targets[0, alike[0]]:g}."
        )
    probability = expit(logits.astype(np.float64))
    units = [_corners(probability[:, u], rows.targets[:, u], rows.weights) for u in range(logits.shape[1])]
    return Isotonic(*zip(*units, strict=True))


def _corners(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[list[float], list[float]]:
    x, y, weight = _grouped(x, y, weight)
    found = isotonic_regression(y, weights=weight)
    if len(found.blocks) - 1 > _CORNERS // 2:
        parts = (np.cumsum(weight) - weight / 2) / weight.sum() * (_CORNERS // 2)
        x, y, weight = _grouped(x, y, weight, parts.astype(int))
        found = isotonic_regression(y, weights=weight)
    first, last = found.blocks[:-1], found.blocks[1:] - 1
    # Certainty is not to be had of finitely many samples: as if there were one more of each label.
    margin = 1 / (weight.sum() + 2)
    level = np.clip(found.x[first], margin, 1 - margin)
    corners = [(x[place], value) for pair in zip(first, last, level, strict=True) for place, value in _ends(*pair)]
    return [each[0] for each in corners], [each[1] for each in corners]


def _ends(first: int, last: int, value: float) -> list[tuple[int, float]]:
    return [(first, value)] if first == last else [(first, value), (last, value)]


def _grouped(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, group: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of those with equal x, or of the same group, in the order of x; and their weights."""
    _, index = np.unique(x if group is None else group, return_inverse=True)
    total = np.bincount(index, weight)
    return np.bincount(index, weight * x) / total, np.bincount(index, weight * y) / total, total
