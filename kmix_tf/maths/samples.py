"""Samples and their targets, as functions of this package take them."""

import contextlib
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks

# What to do about labels that are names, or numbers with wide gaps.
RELABEL = "Take np.unique(y, return_inverse=True)[1] for y."
# The same, where columns say which classes there are.
COLUMNS = "Take the column of each sample's class; np.unique(y, return_inverse=True)[1] where y has all classes."
# The labels from which on classes are taken for names: a matrix (classes, classes), as some results are, is 2 GiB.
_MOST_CLASSES = 2**14
# Numbers in float64 that a result may hold: 2 GiB.
_MOST_NUMBERS = 2**28


class Labelled(NamedTuple):
    """Features `(n, d)` and labels `(n, classes)`, float64; the class of each sample `(n,)`, its largest label."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray


def real_array(name: str, values: Any, remedy: str = "") -> np.ndarray:
    """Real numbers in their own dtype, also bfloat16, a stranger to NumPy; objects in float64.

    Raises:
        ValueError: for anything else, text that spells numbers among it, with the remedy.
    """
    array, problem = _converted(values)
    if problem:
        raise _checks.problem(f"{name} must be real numbers. Received: {name} {problem}.{remedy and ' ' + remedy}")
    return array


def as_numbers(name: str, values: Any, remedy: str = "") -> np.ndarray:
    """Real numbers in float64; raises as `real_array`."""
    return real_array(name, values, remedy).astype(np.float64, copy=False)


def as_list(values: Any) -> list[Any]:
    """One number, or several, as a list."""
    return [values] if np.ndim(values) == 0 else list(values)


def for_model(x: Any, y: Any) -> np.ndarray:
    """Features as models are given them: float64 stays, all else becomes float32.

    Raises:
        ValueError: unless they are finite, at least one, and as many as there are targets.
    """
    numbers = real_array("x", x)
    count = len(np.atleast_1d(real_array("y", y, COLUMNS)))
    x = numbers if np.asarray(x).dtype == np.float64 else numbers.astype(np.float32)
    if x.ndim == 0 or len(x) == 0 or len(x) != count:
        raise _checks.problem(
            f"x and y must hold the same number of samples, at least one. "
            f"Received: x of shape {x.shape} and y of shape {np.shape(y)}."
        )
    require_finite("x", x)
    return x


def require_finite(name: str, values: np.ndarray) -> None:
    """Refuses NaN and infinite values."""
    if not np.isfinite(values).all():
        raise _checks.problem(f"{name} must be finite. Received: {name} with NaN or infinite values.")


def require_memory(numbers: int, what: str, remedy: str) -> None:
    """Refuses results of more than 2 GiB in float64, before they are made."""
    if numbers > _MOST_NUMBERS:
        raise _checks.problem(f"{what}, would take {8 * numbers / 2**30:,.1f} GiB, more than 2 GiB: {remedy}.")


def samples_of(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets in float64, integer classes one-hot.

    Raises:
        ValueError: unless they are finite, equally many and at least one; for integer classes of 16,384 and more.
    """
    x, y = _aligned(x, y)
    y = _one_hot(y) if _are_classes(y) else y.astype(np.float64, copy=False)
    require_finite("y", y)
    return x, y


def labelled(x: Any, y: Any, least: int = 1) -> Labelled:
    """Flattened features, labels that sum to 1, and classes.

    Raises:
        ValueError: for anything else, or fewer than `least` classes among the samples.
    """
    x, y = samples_of(x, y)
    if not x.size:
        raise _checks.problem(f"x must have features. Received: x of shape {x.shape}.")
    if y.ndim != 2 or y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > _checks.SUM_TOLERANCE:
        raise _checks.problem(
            f"y must be integer classes (n,), or one-hot or soft labels (n, classes), all >= 0, rows that "
            f"sum to 1. Received: y of shape {y.shape}, from {y.min():g} to {y.max():g}."
        )
    classes = y.argmax(axis=1)
    present = len(np.unique(classes))
    if present < least:
        raise _checks.problem(f"y must have samples of at least {least} classes. Received: {present}.")
    return Labelled(x.reshape(len(x), -1), y, classes)


def numbered(x: Any, y: Any, least: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flattened features, classes from 0 without gaps, and what these are called: integers or columns of y.

    As `labelled`, which it asks of labels that are no integers; of integers, which may be large, it makes no matrix.
    """
    whole = real_array("y", y, RELABEL)
    if _are_classes(whole) and len(whole):
        _require_classes(whole)
        # One class for all: what is wrong with x is said there.
        x = labelled(x, np.zeros(len(whole), int)).x
        classes = whole.astype(int) if whole.dtype == bool else whole
    else:
        x, _, classes = labelled(x, y)
    kinds, classes = np.unique(classes, return_inverse=True)
    if len(kinds) < least:
        raise _checks.problem(f"y must have samples of at least {least} classes. Received: {len(kinds)}.")
    return x, classes, kinds


def classed(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features in float64, and classes as int64 `(n,)` from 0, without gaps.

    Raises:
        ValueError: unless they are finite, equally many, integer or one-hot, and of two classes at least.
    """
    x, y = _aligned(x, y)
    if x.size == 0:
        raise _checks.problem(f"x must have features. Received: x of shape {x.shape}.")
    require_finite("y", y.astype(np.float64))
    if _are_classes(y):
        # Classes may be named by large numbers, of which no one-hot matrix should be made.
        _require_classes(y)
    elif y.ndim != 2 or not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
        raise _checks.problem(
            f"y must be integer classes (n,) or one-hot (n, classes). Received: other numbers, of shape {y.shape}."
        )
    kinds, classes = np.unique(y if y.ndim == 1 else y.argmax(axis=1), return_inverse=True)
    if len(kinds) < 2:
        raise _checks.problem("y must hold two classes at least. Received: y of one class only.")
    return x, classes


def _converted(values: Any) -> tuple[np.ndarray, str]:
    """An array, and what is wrong with it."""
    try:
        array = np.asarray(values)
    except ValueError:
        return np.empty(0), "with rows of several lengths"
    kind = array.dtype.kind
    if kind in "biuf":
        return array, ""
    first = "".join(f", such as {value!r}" for value in array.reshape(-1)[:1].tolist())
    if kind not in "USMmc" and not (kind == "O" and any(isinstance(value, (str, bytes)) for value in array.flat)):
        with contextlib.suppress(TypeError, ValueError):
            numbers = array.astype(np.float64)
            return (numbers if kind == "O" else array), ""
    return array, f"of dtype {array.dtype}{first}"


def _aligned(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features in float64, finite, and as many targets as they are, in their own dtype."""
    x, y = as_numbers("x", x), real_array("y", y, RELABEL)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise _checks.problem(
            f"x must be (n, ...) and y (n,) or (n, ...), n >= 1. "
            f"Received: x of shape {x.shape} and y of shape {y.shape}."
        )
    require_finite("x", x)
    return x, y


def _are_classes(y: np.ndarray) -> bool:
    return y.ndim == 1 and y.dtype.kind in "iub"


def _require_classes(y: np.ndarray) -> None:
    if y.min() < 0:
        raise _checks.problem(f"integer classes must be >= 0. Received: classes from {y.min()}.")


def _one_hot(y: np.ndarray) -> np.ndarray:
    """float64 `(n, max(y) + 1)`."""
    _require_classes(y)
    most = int(y.max())
    if most >= _MOST_CLASSES:
        raise _checks.problem(
            f"integer classes must be < {_MOST_CLASSES}, since there are max(y) + 1 of them. "
            f"Received: classes up to {most}. {RELABEL}"
        )
    hot = np.zeros((len(y), most + 1))
    hot[np.arange(len(y)), y.astype(np.int64)] = 1
    return hot
