"""Labels of a table, which are written: numbers, or names that only look like numbers."""

import decimal
import re

import numpy as np

# `007` and `1_0` are no way to write 7 and 10. Infinity and NaN are numbers, so that they are refused as such.
_DIGITS = r"(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.I | re.A)
# Longer ones Python may refuse to read.
_LONGEST = 400
_WHOLE = re.compile(r"[+-]?[0-9]+", re.A)


def labels_as_written(labels: np.ndarray, target: str) -> tuple[np.ndarray, list[str]]:
    """Labels as int64 or float64 if all are written as numbers are, else as they were; and notes about them.

    Args:
        labels: strings `(n,)`.
    """
    names = np.unique(labels).tolist()
    if not all(_NUMBER.fullmatch(name) for name in names):
        return labels, _named(names, target)
    if any(len(name) > _LONGEST or not _exponent_fits(name) for name in names):
        return labels, [f"{target} holds numbers of more digits than computers count with, so they count as names."]
    if all(_WHOLE.fullmatch(name) and abs(int(name)) < 2**63 for name in names):
        return labels.astype(np.int64), _several(names, target)
    if len({float(name) for name in names}) < len({decimal.Decimal(name) for name in names}):
        return labels, [f"{target} holds numbers of more digits than floats have, so they count as names."]
    return labels.astype(np.float64), _several(names, target)


def _exponent_fits(name: str) -> bool:
    try:
        decimal.Decimal(name)
    except decimal.InvalidOperation:
        return False
    return True


def _named(names: list[str], target: str) -> list[str]:
    """What a reader that turns into numbers what it can would take for others."""
    if not all(map(is_number, names)):
        return []
    return [f"{target} holds labels that are not written as numbers are, so all count as names: read them as text."]


def _several(names: list[str], target: str) -> list[str]:
    ways: dict[decimal.Decimal, list[str]] = {}
    for name in names:
        ways.setdefault(decimal.Decimal(name), []).append(name)
    alike = [" and ".join(found) for found in ways.values() if len(found) > 1]
    return [f"{target} has classes written in several ways, which count as one: {', '.join(alike)}."] if alike else []


def is_number(name: str) -> bool:
    """Whether Python makes a number of it, which is less strict than how numbers are written."""
    try:
        float(name)
    except ValueError:
        return False
    return True
