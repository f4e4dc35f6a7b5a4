"""MNIST and Fashion-MNIST: 60,000 and 10,000 grey images of 28x28 pixels, of 10 classes."""

import keras

from experiments.data.common import Data, checked, folders, not_found
from experiments.data.idx import read_idx

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# Debian's packages of data sets put them there.
DEBIAN = "/usr/share/datasets"


def mnist(data_dir=None):
    """Handwritten digits (LeCun et al., 1998). See `fashion_mnist`."""
    advice = (
        f"Put {', '.join(_FILES)} (or .gz) into a folder named mnist, and name the folder it is in by --data-dir."
    )
    return _load("MNIST", ("mnist", "MNIST"), keras.datasets.mnist.load_data, data_dir, advice)


def fashion_mnist(data_dir=None):
    """Articles of clothing (Xiao, Rasul and Vollgraf, 2017): uint8 `(n, 28, 28, 1)`.

    Args:
        data_dir: a folder that holds one named fashion-mnist, fashion_mnist or FashionMNIST (or is it), which holds
            the four idx files, also as .gz or in raw/. None: Debian's folder if it is there, else keras.datasets.

    Raises:
        DataNotFound: naming what was tried. ValueError: naming the file that is not what it says.
    """
    advice = (
        "Install Debian's package dataset-fashion-mnist, or put the four idx files into a folder named "
        "fashion-mnist, and name the folder it is in by --data-dir."
    )
    names = ("fashion-mnist", "fashion_mnist", "FashionMNIST")
    return _load("Fashion-MNIST", names, keras.datasets.fashion_mnist.load_data, data_dir, advice)


def _load(name, names, fetch, data_dir, advice):
    places = folders(data_dir or DEBIAN, names, ("", "raw"))
    found = next((files for files in map(_files, places) if files), None)
    if found:
        return _of_files(name, found)
    tried = [f"the four idx files in {place}" for place in places]
    if data_dir is not None:
        raise not_found(name, tried, advice)
    try:
        (x_train, y_train), (x_test, y_test) = fetch()
    except Exception as error:  # Keras raises Exception itself where a download fails.
        raise not_found(name, [*tried, f"keras.datasets: {error}"], advice) from error
    return _checked(name, x_train, y_train, x_test, y_test)


def _files(folder):
    """The four files, or None if none is there.

    Raises:
        ValueError: if only some are.
    """
    found = [
        next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None) for name in _FILES
    ]
    missing = [name for name, path in zip(_FILES, found, strict=True) if path is None]
    if 0 < len(missing) < len(_FILES):
        raise ValueError(f"{folder}: holds some of the four idx files. Missing: {', '.join(missing)}.")
    return None if missing else found


def _of_files(name, paths):
    arrays = [read_idx(path) for path in paths]
    for path, array, axes in zip(paths, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != axes:
            raise ValueError(f"{path}: must hold an array of {axes} axes. Received: shape {array.shape}.")
    for images, labels, path in ((arrays[0], arrays[1], paths[1]), (arrays[2], arrays[3], paths[3])):
        if len(images) != len(labels):
            raise ValueError(f"{path}: must hold a label for each of {len(images)} images. Received: {len(labels)}.")
    return _checked(name, *arrays)


def _checked(name, x_train, y_train, x_test, y_test):
    return checked(Data(x_train[..., None], y_train, x_test[..., None], y_test, 10, name), (28, 28, 1))
