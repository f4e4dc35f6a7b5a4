"""How to bring labels into the form that layers take: integers from 0, or floats one-hot."""

import numpy as np

# More classes than this make a line too long to copy.
_LISTED = 20


def preparation(labels: np.ndarray, names: np.ndarray, kind: str) -> str | None:
    """A line of Python after which `num_classes=len(names)` fits the labels; None if it fits as they are.

    Args:
        labels: as they were read, `(n,)`, `(n, 1)` or one-hot `(n, classes)`. names: of classes, in order, as found.
        kind: of the source.
    """
    is_hot = labels.ndim == 2 and labels.shape[1] > 1
    wanted = np.arange(labels.shape[1] if is_hot else len(names))
    are_places = kind != "images" and names.dtype.kind != "U" and np.array_equal(names, wanted)
    if are_places and labels.dtype.kind in ("f" if is_hot else "iub"):
        return None
    if kind == "images":
        return "# y: subfolders that hold images, numbered from 0 in the order of their names"
    return _mapped(names, is_hot, are_places) if kind == "tf.data" else _array(is_hot, labels.ndim)


def _array(is_hot: bool, rank: int) -> str:
    y = "y.argmax(axis=1)" if is_hot else "y" if rank == 1 else "y.ravel()"
    return f"classes, y = np.unique({y}, return_inverse=True)"


def _mapped(names: np.ndarray, is_hot: bool, are_places: bool) -> str:
    """Samples or batches of them."""
    if is_hot:
        kept = "y" if are_places else f"tf.gather(y, {names.tolist()}, axis=-1)"
        y, before = f"tf.cast({kept}, tf.float32)", ""
    elif are_places:
        y, before = "tf.cast(y, tf.int64)", ""
    else:
        found, before = _classes(names)
        y = f"tf.argmax(tf.cast(y[..., tf.newaxis] == tf.constant({found}, y.dtype), tf.int32), axis=-1)"
    return f"{before}dataset = dataset.map(lambda x, y: (x, {y}))"


def _classes(names: np.ndarray) -> tuple[str, str]:
    if len(names) <= _LISTED:
        return repr(names.tolist()), ""
    return "classes", "classes = np.unique(np.concatenate([np.ravel(y) for _, y in dataset])).tolist(); "
