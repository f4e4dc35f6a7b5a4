"""What all loaders share: what they return, how it is checked and scaled, and the error where there is no data."""

import pathlib
from typing import NamedTuple

import numpy as np

from kmix_tf.paired import DataNotFound


class Data(NamedTuple):
    """A data set: images `(n, height, width, channels)` of uint8 or float, or tables `(n, columns)` of float32.

    Labels are int32 `(n,)`, in 0 ... classes - 1.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    name: str


def not_found(name, tried, advice):
    """The error: the data set, each place that was tried, and what to do."""
    places = "\n".join(f"  - {each}" for each in tried)
    return DataNotFound(f"{name}: the data set was not found. Tried:\n{places}\n{advice}")


def checked(data, shape):
    """`data` with labels as int32, if it is what it says.

    shape: of one sample.

    Raises:
        ValueError: samples of another shape, none, or not as many as labels; labels out of range.
    """
    _check_part(data.name, "training", data.x_train, data.y_train, shape, data.classes)
    _check_part(data.name, "test", data.x_test, data.y_test, shape, data.classes)
    return data._replace(y_train=_labels(data.y_train), y_test=_labels(data.y_test))


def _check_part(name, part, x, y, shape, classes):
    y = np.ravel(y)
    if x.shape[1:] != shape:
        raise ValueError(f"{name}: {part} samples must be of shape {shape}. Received: {x.shape[1:]}.")
    if not len(x) or len(x) != len(y):
        raise ValueError(f"{name}: as many {part} samples as labels, and some. Received: {len(x)} and {len(y)}.")
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(f"{name}: {part} labels must be in 0 ... {classes - 1}. Received: {y.min()} ... {y.max()}.")


def _labels(y):
    return np.ravel(y).astype(np.int32)


def folders(data_dir, names, inside=("",)):
    """The folders of `data_dir` that may hold a data set: those of its names, and itself if it is named so.

    Files of MNIST and Fashion-MNIST have equal names and sizes: only the folder's name tells them apart.
    """
    root = pathlib.Path(data_dir).expanduser().resolve()
    # Also when what was given is the folder inside, such as MNIST/raw.
    itself = [each for each in (root, root.parent) if each.name in names]
    return [base / part for base in [*(root / name for name in names), *itself] for part in inside]


def scaled(data, how="standard"):
    """`data` as float32: "standard" has mean 0 and standard deviation 1 in training, "unit" lies in [0, 1] there.

    Images are standardised by channel, and "unit" takes the least and greatest value of all pixels; tables are scaled
    by column. Test samples are scaled as training ones are, and may lie out of [0, 1]. What is constant becomes 0.
    """
    if how not in ("standard", "unit"):
        raise ValueError(f"scaled: how must be 'standard' or 'unit'. Received: how={how!r}.")
    shift, size = (_standard if how == "standard" else _unit)(data.x_train)
    size = np.where(size > 0, size, 1)
    x_train, x_test = (_applied(x, shift, size) for x in (data.x_train, data.x_test))
    return data._replace(x_train=x_train, x_test=x_test)


def _applied(x, shift, size):
    x = x.astype(np.float32)
    x -= np.float32(shift)
    x /= np.float32(size)
    return x


def _unit(x):
    axes = 0 if x.ndim == 2 else None
    least = x.min(axis=axes).astype(np.float64)
    return least, x.max(axis=axes) - least


def _standard(x):
    if x.dtype == np.uint8:
        return np.transpose([_moments_of_bytes(x[..., channel]) for channel in range(x.shape[-1])])
    axes = tuple(range(x.ndim - 1)) if x.ndim > 2 else 0
    return x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)


def _moments_of_bytes(x):
    """Mean and deviation by counting: 50,000 images as float64 would take more than a gigabyte."""
    counts = np.bincount(np.ravel(x), minlength=256)
    values = np.arange(256.0)
    mean = counts @ values / x.size
    return mean, np.sqrt(counts @ (values - mean) ** 2 / x.size)
