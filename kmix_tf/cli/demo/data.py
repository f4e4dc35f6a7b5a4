"""The demo's data: bundled digits or a person's own arrays, split anew for each seed."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _extras
from kmix_tf.cli.reading.arrays import open_npz
from kmix_tf.cli.terminal import UserError

# Of x: volumes with channels. TensorFlow has no kernels for many more.
_MOST_AXES = 5
# Sums of squares of much larger numbers are infinite in float32.
_LARGEST = 1e15
# Of float32, a few times over.
_ROUNDING = 1e-6


class Data(NamedTuple):
    """x: float32 `(n, ...)`. y: int32 `(n,)`, classes from 0. classes: the original labels. name: what it is."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    name: str


class Split(NamedTuple):
    """Training data, some of whose labels may have been made wrong, and test data with true labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_digits() -> Data:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels, scaled to [0, 1]."""
    datasets = _extras.require("sklearn.datasets", "cli", "the demo's bundled data")
    digits = datasets.load_digits()
    x = (digits.images / 16).astype(np.float32)[..., np.newaxis]
    return Data(x, digits.target.astype(np.int32), digits.target_names, "scikit-learn's handwritten digits")


def load_file(path: str) -> Data:
    """Arrays `x` `(n, ...)` and `y` `(n,)` of an .npz file. Labels may be any integers or strings."""
    file = pathlib.Path(path)
    if not file.is_file():
        raise UserError(f"--data: there is no file {path}.")
    try:
        names, arrays = open_npz(file)
    except UserError as error:
        raise UserError(f"--data: {error.message}") from error
    if len(arrays) < 2:
        raise UserError(f"--data: {path} must hold arrays x and y. Received: {names}.")
    return _checked(path, arrays["x"], arrays["y"])


def _checked(path: str, x: np.ndarray, y: np.ndarray) -> Data:
    if y.ndim == 2 and 1 in y.shape:
        y = y.ravel()
    if not 2 <= x.ndim <= _MOST_AXES or y.ndim != 1 or len(x) != len(y):
        raise UserError(
            f"--data: x must be (n, ...), of up to {_MOST_AXES} axes, and y (n,), equally long. Received: x of shape "
            f"{x.shape} and y of {y.shape}."
        )
    if x.size == 0:
        raise UserError(f"--data: x must have samples with features. Received: x of shape {x.shape} in {path}.")
    with np.errstate(over="ignore"):
        values = x.astype(np.float32) if x.dtype.kind in "fiub" else np.array(np.nan)
    # Not so written, NaN would pass.
    if not (np.abs(values) <= _LARGEST).all():
        raise UserError(
            f"--data: x must be finite numbers of size up to {_LARGEST:g}. Received: x of dtype {x.dtype} in {path}."
        )
    are_classes = y.dtype.kind in "iubSU" or (y.dtype.kind == "f" and (np.isfinite(y) & (y == np.round(y))).all())
    if not are_classes:
        raise UserError(
            f"--data: y must be classes, integers or strings. Received: y of dtype {y.dtype}, e.g. {y[0]}."
        )
    classes, y = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise UserError(f"--data: y must have at least two classes. Received: only {classes.tolist()}.")
    if len(classes) > len(x) // 2:
        raise UserError(f"--data: y must be classes. Received: {len(classes)} different values in {len(y)} samples.")
    x = values[..., np.newaxis] if values.ndim == 3 else values
    return Data(x, y.astype(np.int32), classes, pathlib.Path(path).name)


def split(data: Data, training: int, wrong_labels: float, seed: int) -> Split:
    """Draws a training set of a given size; a share of its labels is then replaced by other classes at random.

    Features are shifted and scaled by the training set's mean and spread: a table's by column, images' as a whole.
    Columns that are constant in the training set are left out: they teach nothing, and elsewhere may be anything.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(data.x))
    chosen, held_out = order[:training], order[training:]
    y_train = data.y[chosen].copy()
    wrong = generator.random(training) < wrong_labels
    other = generator.integers(1, len(data.classes), training)
    y_train[wrong] = (y_train[wrong] + other[wrong]) % len(data.classes)
    x_train = data.x[chosen]
    axes = 0 if data.x.ndim == 2 else None
    wide = x_train.astype(np.float64)
    mean, spread = np.asarray(wide.mean(axis=axes)), np.asarray(wide.std(axis=axes))
    # What rounding of equal numbers leaves is no spread.
    varies = spread > _ROUNDING * np.abs(mean)
    if axes is not None:
        if not varies.any():
            raise UserError("--data: x must differ among its samples. Received: columns that are all constant.")
        keep = np.flatnonzero(varies)
        return Split(*_standardised(data, chosen, held_out, y_train, mean[keep], spread[keep], keep))
    return Split(*_standardised(data, chosen, held_out, y_train, mean, spread if varies else 1.0))


def _standardised(
    data: Data,
    chosen: np.ndarray,
    held_out: np.ndarray,
    y_train: np.ndarray,
    mean: Any,
    spread: Any,
    keep: Any = slice(None),
) -> tuple[np.ndarray, ...]:
    scaled = [((data.x[rows][..., keep] - mean) / spread).astype(np.float32) for rows in (chosen, held_out)]
    return scaled[0], y_train, scaled[1], data.y[held_out]
