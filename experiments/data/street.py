"""SVHN: house numbers, 73,257 and 26,032 coloured images of 32x32 pixels, of 10 classes (Netzer et al., 2011)."""

import numpy as np
import scipy.io

from experiments.data.catalogued import catalogued
from experiments.data.common import Data, checked, folders

_ADVICE = (
    "Put train_32x32.mat and test_32x32.mat into a folder named svhn, and name the folder it is in by --data-dir."
)


def svhn(data_dir=None):
    """Uint8 `(n, 32, 32, 3)`.

    Args:
        data_dir: a folder that holds one named svhn or SVHN (or is it), with train_32x32.mat and test_32x32.mat; or
            that of tensorflow-datasets. None: tensorflow-datasets' usual folder, or a download.

    Raises:
        DataNotFound: naming what was tried. ValueError: naming the file that is not what it says.
        ImportError: without tensorflow-datasets, where no .mat files were found.
    """
    places = folders(data_dir, ("svhn", "SVHN")) if data_dir is not None else []
    place = next((each for each in places if (each / "train_32x32.mat").is_file()), None)
    if place:
        parts = [_of_file(place / f"{part}_32x32.mat") for part in ("train", "test")]
    else:
        tried = [f"train_32x32.mat in {each}" for each in places]
        splits = catalogued("SVHN", "svhn_cropped", ("train", "test"), data_dir, tried, _ADVICE)
        parts = [_arrays(split) for split in splits]
    (x_train, y_train), (x_test, y_test) = parts
    return checked(Data(x_train, y_train, x_test, y_test, 10, "SVHN"), (32, 32, 3))


def _of_file(path):
    try:
        content = scipy.io.loadmat(path)
        x, y = content["X"], np.ravel(content["y"])
    except (ValueError, KeyError, TypeError, OSError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise ValueError(f"{path}: is no file of SVHN, which has X and y: {error}.") from error
    if x.ndim != 4:
        raise ValueError(f"{path}: X must be (32, 32, 3, n). Received: {x.shape}.")
    # The digit 0 is class 10 in the file.
    return np.ascontiguousarray(np.moveaxis(x, -1, 0)), y % 10


def _arrays(split):
    images, labels = zip(*split, strict=True)
    return np.stack(images), np.array(labels)
