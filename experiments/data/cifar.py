"""CIFAR-10 and CIFAR-100: 50,000 and 10,000 coloured images of 32x32 pixels (Krizhevsky, 2009)."""

import contextlib
import io
import pathlib
import pickle
import tarfile
import zlib

import keras
import numpy as np

from experiments.data.common import Data, checked, not_found

_TRAIN_10 = [f"data_batch_{number}" for number in range(1, 6)]


def cifar10(data_dir=None):
    """Ten classes: uint8 `(n, 32, 32, 3)`.

    Args:
        data_dir: a folder that holds the folder cifar-10-batches-py or the archive cifar-10-python.tar.gz (or is that
            folder). None: keras.datasets.

    Raises:
        DataNotFound: naming what was tried. ValueError: naming the file that is not what it says.
    """
    names = ("CIFAR-10", "cifar-10-batches-py", "cifar-10-python.tar.gz")
    return _load(*names, _TRAIN_10, ["test_batch"], "labels", 10, keras.datasets.cifar10.load_data, data_dir)


def cifar100(data_dir=None):
    """A hundred classes; as `cifar10`, of cifar-100-python or cifar-100-python.tar.gz."""
    names = ("CIFAR-100", "cifar-100-python", "cifar-100-python.tar.gz")
    return _load(*names, ["train"], ["test"], "fine_labels", 100, keras.datasets.cifar100.load_data, data_dir)


def _load(name, folder, archive, train, test, key, classes, fetch, data_dir):
    if data_dir is None:
        (x_train, y_train), (x_test, y_test) = _fetched(name, folder, archive, fetch)
    else:
        with _opener(name, folder, archive, data_dir) as read:
            (x_train, y_train), (x_test, y_test) = (_joined(read, part, key) for part in (train, test))
    return checked(Data(x_train, y_train, x_test, y_test, classes, name), (32, 32, 3))


def _fetched(name, folder, archive, fetch):
    try:
        return fetch()
    except Exception as error:  # Keras raises Exception itself where a download fails.
        raise not_found(name, [f"keras.datasets: {error}"], _advice(folder, archive)) from error


def _advice(folder, archive):
    return f"Name a folder that holds {archive} or {folder} by --data-dir."


@contextlib.contextmanager
def _opener(name, folder, archive, data_dir):
    """`read(file)`, of the folder or of the archive."""
    root = pathlib.Path(data_dir).expanduser().resolve()
    places = [root / folder, *([root] if root.name == folder else [])]
    place = next((each for each in places if each.is_dir()), None)
    if place:
        yield lambda file: _batch(place / file, (place / file).read_bytes)
    elif (root / archive).is_file():
        with _archive(root / archive) as files:
            yield lambda file: _batch(f"{root / archive}: {folder}/{file}", _member(files, f"{folder}/{file}"))
    else:
        raise not_found(name, [*places, root / archive], _advice(folder, archive))


@contextlib.contextmanager
def _archive(path):
    try:
        with tarfile.open(path, "r:gz") as files:
            yield files
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: is no whole archive: {error}.") from error


def _member(files, name):
    return lambda: files.extractfile(name).read()


def _batch(name, content):
    try:
        return _Unpickler(content()).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, FileNotFoundError) as error:
        raise ValueError(f"{name}: is no batch of CIFAR: {error}.") from error


class _Unpickler(pickle.Unpickler):
    """Reads arrays and plain values only: any other pickle could run what it likes."""

    def __init__(self, content):
        super().__init__(io.BytesIO(content), encoding="bytes")

    def find_class(self, module, name):
        known = {"_reconstruct": np.zeros(1).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.split(".")[0] == "numpy" and name in known:
            return known[name]
        if module in ("_codecs", "codecs") and name == "encode":
            return super().find_class("_codecs", "encode")  # of bytes, in pickles that Python 3 wrote for Python 2
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch")


def _joined(read, files, key):
    """Images and labels of several batches. A batch holds rows of 3,072 bytes, by channel, row and column."""
    batches = [read(file) for file in files]
    for file, batch in zip(files, batches, strict=True):
        _check_batch(file, batch, key)
    x = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x), np.concatenate([batch[key.encode()] for batch in batches])


def _check_batch(file, batch, key):
    if not isinstance(batch, dict) or not {b"data", key.encode()} <= batch.keys():
        raise ValueError(f"{file}: a batch of CIFAR has data and {key}.")
    rows = batch[b"data"]
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape != (len(batch[key.encode()]), 3072):
        raise ValueError(f"{file}: a batch of CIFAR has a row of 3,072 bytes for each label.")
