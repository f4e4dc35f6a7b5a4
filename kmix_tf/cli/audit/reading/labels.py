"""Targets become classes 0, 1, ..., or an error that says why they are none."""

from typing import NamedTuple

import numpy as np

from kmix_tf.cli.audit.errors import AuditError

# Below this many different values, every one may be a class, however few samples there are.
_FEW = 20
# Larger whole numbers are not told apart by floats.
_LARGEST = 2.0**53


class Classes(NamedTuple):
    """y: int `(n,)`, from 0. names: the labels as they were found, `(classes,)`, in their order."""

    y: np.ndarray
    names: np.ndarray


def encode(labels: np.ndarray, target: str, known: list[str] | None = None) -> Classes:
    """Labels `(n,)`, numbers or strings, or one-hot rows, as classes.

    Args:
        known: all classes there are, if these are only some of the labels; strings.

    Raises:
        AuditError: if they are missing, not finite, no classes (regression targets, soft labels) or all the same.
    """
    if known is not None and len(known) > 1:
        names = np.array(sorted(known))
        return Classes(np.searchsorted(names, labels), names)
    labels = _one_label_each(np.asarray(labels), target)
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels, target)
    names, y = np.unique(labels, return_inverse=True)
    if len(names) == 1:
        raise AuditError(
            f"{target}: all {len(labels)} samples are of class {names[0]!s}. Mixing within one class changes no "
            "label, so there is nothing to audit; bring at least two classes."
        )
    if len(names) > max(_FEW, len(labels) // 2):
        raise AuditError(
            f"{target} must hold classes: the audit is about classes. Received: {len(names)} different values in "
            f"{len(labels)} samples, e.g. {names[0]!s}, which looks like an identifier or a measurement."
        )
    return Classes(y.reshape(-1).astype(np.int64), names)


def _one_label_each(labels: np.ndarray, target: str) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        labels = _decoded(labels, target)
    if labels.dtype.kind not in "fiubU":
        raise AuditError(f"{target} must hold numbers or strings. Received: dtype {labels.dtype}.")
    if labels.ndim == 1:
        return labels
    if labels.ndim == 2 and labels.dtype.kind != "U":
        hot = labels.astype(np.float64)
        if np.isin(hot, (0, 1)).all() and (hot.sum(axis=1) == 1).all():
            return hot.argmax(axis=1)
    raise AuditError(
        f"{target} must hold one class a sample: integers or strings (n,), or one-hot rows (n, classes). "
        f"Received: shape {labels.shape}, dtype {labels.dtype}."
    )


def _decoded(labels: np.ndarray, target: str) -> np.ndarray:
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise AuditError(f"{target} must hold numbers or strings. Received: bytes that are no UTF-8.") from error


def _whole_numbers(labels: np.ndarray, target: str) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(labels))
    if len(bad):
        raise AuditError(f"{target} must be finite. Received: {labels[bad[0]]} at sample {bad[0]}.")
    broken = np.flatnonzero(labels != np.round(labels))
    if len(broken):
        raise AuditError(
            f"{target} must hold classes: the audit is about classes, not about regression. Received: "
            f"{labels[broken[0]]:g} at sample {broken[0]}. To look at a regression target, cut it into bins first, "
            "for instance with np.digitize."
        )
    if np.abs(labels).max() > _LARGEST:
        raise AuditError(f"{target} must hold classes. Received: {labels[np.abs(labels).argmax()]:g}.")
    return labels.astype(np.int64)
