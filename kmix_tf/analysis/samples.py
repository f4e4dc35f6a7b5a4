"""Samples and their targets, as functions of this package take them."""

from typing import Any, NamedTuple

import numpy as np


class Labelled(NamedTuple):
    """Features `(n, d)` and labels `(n, classes)`, float64; the class of each sample `(n,)`, its largest label."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray


def samples_of(owner: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets in float64, integer classes one-hot.

    Raises:
        ValueError: unless they are finite, equally many and at least one.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"{owner}: x must be (n, ...) and y (n,) or (n, ...), n >= 1. "
            f"Received: x of shape {x.shape} and y of shape {y.shape}."
        )
    if y.dtype.kind in "iub" and y.ndim == 1:
        y = y.astype(np.int64)
        if y.min() < 0:
            raise ValueError(f"{owner}: integer classes must be >= 0. Received: classes from {y.min()}.")
        y = np.eye(y.max() + 1)[y]
    y = y.astype(np.float64)
    for name, values in (("x", x), ("y", y)):
        if not np.isfinite(values).all():
            raise ValueError(f"{owner}: {name} must be finite. Received: {name} with NaN or infinite values.")
    return x, y


def labelled(owner: str, x: Any, y: Any, least: int = 1) -> Labelled:
    """Flattened features, labels that sum to 1, and classes.

    Raises:
        ValueError: for anything else, or fewer than `least` classes among the samples.
    """
    x, y = samples_of(owner, x, y)
    if not x.size:
        raise ValueError(f"{owner}: x must have features. Received: x of shape {x.shape}.")
    if y.ndim != 2 or y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            f"{owner}: y must be integer classes (n,), or one-hot or soft labels (n, classes), all >= 0, rows that "
            f"sum to 1. Received: y of shape {y.shape}, from {y.min():g} to {y.max():g}."
        )
    classes = y.argmax(axis=1)
    present = len(np.unique(classes))
    if present < least:
        raise ValueError(f"{owner}: y must have samples of at least {least} classes. Received: {present}.")
    return Labelled(x.reshape(len(x), -1), y, classes)
