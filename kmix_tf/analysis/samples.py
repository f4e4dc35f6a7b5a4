"""Samples and their targets, as functions of this package take them."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks


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
    if y.ndim != 2 or y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > _checks.SUM_TOLERANCE:
        raise ValueError(
            f"{owner}: y must be integer classes (n,), or one-hot or soft labels (n, classes), all >= 0, rows that "
            f"sum to 1. Received: y of shape {y.shape}, from {y.min():g} to {y.max():g}."
        )
    classes = y.argmax(axis=1)
    present = len(np.unique(classes))
    if present < least:
        raise ValueError(f"{owner}: y must have samples of at least {least} classes. Received: {present}.")
    return Labelled(x.reshape(len(x), -1), y, classes)


def classed(owner: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features in float64, and classes as int64 `(n,)` from 0, without gaps.

    Raises:
        ValueError: unless they are finite, equally many, integer or one-hot, and of two classes at least.
    """
    y = np.asarray(y)
    if y.ndim == 1 and y.dtype.kind in "iub" and y.size and y.min() >= 0:
        # Classes may be named by large numbers, of which no one-hot matrix should be made.
        y = np.unique(y, return_inverse=True)[1]
    x, y = samples_of(owner, x, y)
    if x.size == 0:
        raise ValueError(f"{owner}: x must have features. Received: x of shape {x.shape}.")
    if y.ndim != 2 or not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
        raise ValueError(
            f"{owner}: y must be integer classes (n,) or one-hot (n, classes). "
            f"Received: other numbers, of shape {y.shape}."
        )
    kinds, classes = np.unique(y.argmax(axis=1), return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"{owner}: y must hold two classes at least. Received: y of one class only.")
    return x, classes
