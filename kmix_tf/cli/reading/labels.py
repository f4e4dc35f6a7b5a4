"""Targets become classes 0, 1, ..., or an error that says why they are none."""

import decimal
import re
from typing import NamedTuple

import numpy as np

from kmix_tf.cli.terminal import CannotSay, UserError

# Below this many different values, every one may be a class, however few samples there are.
_FEW = 20
# Larger whole numbers are not told apart by floats.
_LARGEST = 2.0**53
# More classes than this make a line of code too long to copy.
_LISTED = 20
# `007` and `1_0` are no way to write 7 and 10. Infinity and NaN are numbers, so that they are refused as such.
_DIGITS = r"(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.I | re.A)
_WHOLE = re.compile(r"[+-]?[0-9]+", re.A)
# Longer ones Python may refuse to read.
_LONGEST = 400


class Classes(NamedTuple):
    """y: int `(n,)`, from 0. names: the labels as they were found, `(classes,)`, in their order."""

    y: np.ndarray
    names: np.ndarray


def encode(labels: np.ndarray, target: str, known: list[str] | None = None) -> Classes:
    """Labels `(n,)`, numbers or strings, or one-hot rows, as classes.

    Args:
        known: all classes there are, if these are only some of the labels; strings.
    """
    if known is not None and len(known) > 1:
        names = np.array(sorted(known))
        return Classes(np.searchsorted(names, labels), names)
    labels = _one_label_each(np.asarray(labels), target)
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels, target)
    names, y = np.unique(labels, return_inverse=True)
    if len(names) == 1:
        raise _of_one_class(target, len(labels), names[0])
    if len(names) > max(_FEW, len(labels) // 2):
        raise CannotSay(
            f"{target} must hold classes: the audit is about classes. Received: {len(names)} different values in "
            f"{len(labels)} samples, e.g. {names[0]!s}, which looks like an identifier or a measurement."
        )
    return Classes(y.reshape(-1).astype(np.int64), names)


def refuse_one_class(labels: np.ndarray, target: str) -> None:
    """What `encode` refuses as well, where labels are known before the samples are read: that may take minutes."""
    if labels.ndim == 1 and labels.dtype.kind in "iubU" and len(labels) > 1 and (labels == labels[0]).all():
        raise _of_one_class(target, len(labels), labels[0])


def _of_one_class(target: str, samples: int, name: object) -> CannotSay:
    return CannotSay(
        f"{target}: all {samples} samples are of class {name!s}. Mixing within one class changes no label, so "
        "there is nothing to audit; bring at least two classes."
    )


def _one_label_each(labels: np.ndarray, target: str) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{target} must hold numbers or strings. Received: bytes that are no UTF-8.") from error
    if labels.dtype.kind not in "fiubU":
        raise UserError(f"{target} must hold numbers or strings. Received: dtype {labels.dtype}.")
    if labels.ndim == 1:
        return labels
    if labels.ndim == 2 and labels.dtype.kind != "U":
        hot = labels.astype(np.float64)
        if np.isin(hot, (0, 1)).all() and (hot.sum(axis=1) == 1).all():
            return hot.argmax(axis=1)
    raise UserError(
        f"{target} must hold one class a sample: integers or strings (n,), or one-hot rows (n, classes). "
        f"Received: shape {labels.shape}, dtype {labels.dtype}."
    )


def _whole_numbers(labels: np.ndarray, target: str) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(labels))
    if len(bad):
        raise UserError(f"{target} must be finite. Received: {labels[bad[0]]} at sample {bad[0]}.")
    broken = np.flatnonzero(labels != np.round(labels))
    if len(broken):
        raise CannotSay(
            f"{target} must hold classes. Received: {labels[broken[0]]:g} at sample {broken[0]}. Leave --task to "
            "have it taken for a number to predict, or cut it into bins first, for instance with np.digitize."
        )
    if float(np.abs(labels).max()) > _LARGEST:
        raise UserError(f"{target} must hold classes. Received: {labels[np.abs(labels).argmax()]:g}.")
    return labels.astype(np.int64)


def labels_as_written(labels: np.ndarray, target: str) -> tuple[np.ndarray, list[str]]:
    """A table's labels as int64 or float64 if all are written as numbers are, else as they were; and notes.

    Args:
        labels: strings `(n,)`.
    """
    names = np.unique(labels).tolist()
    if not all(_NUMBER.fullmatch(name) for name in names):
        # What a reader that turns into numbers what it can would take for others.
        note = f"{target} holds labels that are not written as numbers are, so all count as names: read them as text."
        return labels, [note] if all(map(is_number, names)) else []
    if any(len(name) > _LONGEST or not _reads(decimal.Decimal, name) for name in names):
        return labels, [f"{target} holds numbers of more digits than computers count with, so they count as names."]
    if all(_WHOLE.fullmatch(name) and abs(int(name)) < 2**63 for name in names):
        return labels.astype(np.int64), _several(names, target)
    if len({float(name) for name in names}) < len({decimal.Decimal(name) for name in names}):
        return labels, [f"{target} holds numbers of more digits than floats have, so they count as names."]
    return labels.astype(np.float64), _several(names, target)


def _several(names: list[str], target: str) -> list[str]:
    ways: dict[decimal.Decimal, list[str]] = {}
    for name in names:
        ways.setdefault(decimal.Decimal(name), []).append(name)
    alike = [" and ".join(found) for found in ways.values() if len(found) > 1]
    return [f"{target} has classes written in several ways, which count as one: {', '.join(alike)}."] if alike else []


def is_number(name: str) -> bool:
    """Whether Python makes a number of it, which is less strict than how numbers are written."""
    return _reads(float, name)


def _reads(kind: type, name: str) -> bool:
    try:
        kind(name)
    except (ValueError, decimal.InvalidOperation):
        return False
    return True


def preparation(labels: np.ndarray, names: np.ndarray, kind: str) -> str | None:
    """A line of Python after which labels are what layers take: integers from 0, or floats one-hot.

    Args:
        labels: as they were read, `(n,)`, `(n, 1)` or one-hot `(n, classes)`. names: of classes, in order, as found.
        kind: of the source.

    Returns:
        The line, or None if `num_classes=len(names)` fits the labels as they are.
    """
    is_hot = labels.ndim == 2 and labels.shape[1] > 1
    wanted = np.arange(labels.shape[1] if is_hot else len(names))
    are_places = kind != "images" and names.dtype.kind != "U" and np.array_equal(names, wanted)
    if are_places and labels.dtype.kind in ("f" if is_hot else "iub"):
        return None
    if kind == "images":
        return "# y: subfolders that hold images, numbered from 0 in the order of their names"
    if kind == "tf.data":
        return _mapped(names, is_hot, are_places)
    y = "y.argmax(axis=1)" if is_hot else "y" if labels.ndim == 1 else "y.ravel()"
    return f"classes, y = np.unique({y}, return_inverse=True)"


def _mapped(names: np.ndarray, is_hot: bool, are_places: bool) -> str:
    """Of samples or batches of them."""
    before = ""
    if is_hot:
        kept = "y" if are_places else f"tf.gather(y, {names.tolist()}, axis=-1)"
        y = f"tf.cast({kept}, tf.float32)"
    elif are_places:
        y = "tf.cast(y, tf.int64)"
    else:
        found = repr(names.tolist())
        if len(names) > _LISTED:
            found = "classes"
            before = "classes = np.unique(np.concatenate([np.ravel(y) for _, y in dataset])).tolist(); "
        y = f"tf.argmax(tf.cast(y[..., tf.newaxis] == tf.constant({found}, y.dtype), tf.int32), axis=-1)"
    return f"{before}dataset = dataset.map(lambda x, y: (x, {y}))"
