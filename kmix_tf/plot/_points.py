"""What plots of points and pairs are given, checked before anything is drawn."""

from typing import Any

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import RELABEL, as_numbers, real_array, require_finite


def in_plane(name: str, values: Any) -> np.ndarray:
    """Points of the plane, float64 `(n, 2)`, n >= 1, finite."""
    points = as_numbers(name, values)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise _checks.problem(f"{name} must be (n, 2), n >= 1. Received: {name} of shape {points.shape}.")
    require_finite(name, points)
    return points


def labels_of(y: Any, count: int) -> np.ndarray:
    """Finite numbers, float64 `(count,)`."""
    y = as_numbers("y", y, RELABEL)
    if y.shape != (count,):
        raise _checks.problem(f"y must be ({count},), one for each of x. Received: y of shape {y.shape}.")
    require_finite("y", y)
    return y


def rows_of(name: str, rows: Any, count: int, size: int) -> np.ndarray:
    """`count` >= 1 indices in [0, size)."""
    indices = real_array(name, rows)
    if indices.shape != (count,) or indices.dtype.kind not in "iu":
        raise _checks.problem(
            f"{name} must be ({count},), integers in [0, {size}). "
            f"Received: {name} of dtype {indices.dtype} and shape {indices.shape}."
        )
    if indices.min() < 0 or indices.max() >= size:
        raise _checks.problem(
            f"{name} must be in [0, {size}). Received: {name} from {indices.min()} to {indices.max()}."
        )
    return indices
