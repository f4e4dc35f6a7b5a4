"""Targets of a sample in a few words."""

from collections.abc import Sequence

import numpy as np

# Entries of a target that are named, and how far soft labels may be from a sum of 1.
_MOST = 3
_TOLERANCE = 1e-2


def named(targets: dict[str, np.ndarray], row: int, names: Sequence[str] | None = None) -> str:
    """All targets of a row, soft labels with their shares; maps are left out.

    Args:
        names: of classes; None: their numbers.
    """
    return ", ".join(filter(None, (_words(values[row], names) for values in targets.values())))


def numbered(targets: dict[str, np.ndarray], row: int) -> str:
    """The first target of a row in as few digits as can be, for a picture: of soft labels the largest class."""
    for values in targets.values():
        target = np.asarray(values[row])
        if target.ndim == 1 and target.size > 1 and _is_soft(target):
            return str(target.argmax())
        return _words(target, None).replace(" ", "")
    return ""


def _words(target: np.ndarray, names: Sequence[str] | None) -> str:
    target = np.asarray(target)
    if target.ndim > 1:
        return ""
    if target.size == 1:
        value = target.reshape(())[()]
        return _class(int(value), names) if target.dtype.kind in "iub" else f"{value:.3g}"
    if _is_soft(target):
        largest = np.argsort(-target, kind="stable")[:_MOST]
        if target[largest[0]] > 1 - _TOLERANCE:
            return _class(int(largest[0]), names)
        return " + ".join(f"{target[at]:.2f} {_class(int(at), names)}" for at in largest if target[at] > 0)
    if np.isin(target, (0, 1)).all():
        return ",".join(_class(int(at), names) for at in np.flatnonzero(target)[:_MOST])
    return ",".join(f"{value:.3g}" for value in target[:_MOST])


def _is_soft(target: np.ndarray) -> bool:
    return bool((target >= 0).all() and abs(float(target.sum()) - 1) <= _TOLERANCE)


def _class(number: int, names: Sequence[str] | None) -> str:
    return names[number] if names is not None and 0 <= number < len(names) else str(number)
