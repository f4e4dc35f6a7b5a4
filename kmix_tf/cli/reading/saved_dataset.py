"""A dataset saved with `tf.data.Dataset.save`."""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from kmix_tf.cli.reading.source import Block, Source, first_line, rows_of_a_block
from kmix_tf.cli.terminal import UserError

SPEC = "dataset_spec.pb"
# Elements whose labels are looked at, where shapes do not tell whether they are batches.
_LOOKED_AT = 100
# So many batches of shuffled labels 0 and 1 have exactly one 1 each less than once in a million times: at best, in
# batches of two, half of them do.
_ENOUGH = 20


def read_saved(path: pathlib.Path) -> Source:
    """Elements `(x, y)` of a saved dataset, batched or not."""
    try:
        dataset = tf.data.Dataset.load(str(path))
    except (tf.errors.OpError, DecodeError, ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    spec = dataset.element_spec
    if not (isinstance(spec, tuple) and [type(part) for part in spec] == 2 * [tf.TensorSpec]):
        raise UserError(
            f"{path}: elements must be pairs (x, y) of tensors. Received: {spec}. Map them to pairs first."
        )
    x, y = spec
    if not (x.dtype.is_floating or x.dtype.is_integer or x.dtype.is_bool):
        raise UserError(f"{path}: x must be numbers. Received: x of dtype {x.dtype.name}.")
    if x.shape.rank is None or y.shape.rank is None:
        raise UserError(f"{path}: the ranks of x and y must be known. Received: {spec}.")
    elements, batched = int(dataset.cardinality()), _is_batched(path, dataset)
    if not batched:
        dataset = dataset.batch(min(1024, rows_of_a_block(x.shape.num_elements() or 1)))
    return Source(path.name, "tf.data", _blocks(path, dataset, elements, batched))


def _is_batched(path: pathlib.Path, dataset: tf.data.Dataset) -> bool:
    """Whether an element is a batch: of labels `(batch,)`, or one-hot rows `(batch, classes)`."""
    x, y = dataset.element_spec
    if y.shape.rank == 0 or x.shape.rank == 0:
        return False
    if y.shape.rank > 1 or None in (x.shape[0], y.shape[0]):
        return True
    # Images ten high, and labels of ten classes: only labels tell that they are no batch of ten.
    return x.shape[0] == y.shape[0] and not (y.dtype != tf.string and _are_one_hot(path, dataset))


def _are_one_hot(path: pathlib.Path, dataset: tf.data.Dataset) -> bool:
    """Whether labels are one-hot rows, though they might be batches of labels 0 and 1; few integers may be either."""
    places, seen = set(), 0
    try:
        # In data ordered by class, one-hot rows have their 1 in one place for long.
        for y in dataset.map(lambda x, y: y).as_numpy_iterator():
            y = y.astype(np.float64)
            if not np.isin(y, (0, 1)).all() or y.sum() != 1:
                return False
            places.add(int(y.argmax()))
            seen += 1
            if seen >= _LOOKED_AT and len(places) > 1:
                break
    except tf.errors.OpError as error:
        raise _unreadable(path, error) from error
    # Floats are what one-hot rows are made of, and what labels 0 and 1 hardly ever are.
    if seen and not dataset.element_spec[1].dtype.is_floating and (seen < _ENOUGH or len(places) == 1):
        raise UserError(
            f"{path}: elements must tell whether they are samples or batches. Received: {dataset.element_spec}, with "
            f"one 1 in each of {seen} y, which may be a one-hot label or a batch of labels. Save them in batches "
            "with a smaller last one: dataset.batch(64) if these are samples, dataset.unbatch().batch(64) if batches."
        )
    return True


def _blocks(path: pathlib.Path, dataset: tf.data.Dataset, elements: int, batched: bool) -> Iterator[Block]:
    read = 0
    try:
        for x, y in dataset.as_numpy_iterator():
            read += 1 if batched else len(x)
            if len(x) != len(y):
                raise UserError(f"{path}: x and y of a batch must be equally long. Received: {len(x)} and {len(y)}.")
            x = x.astype(np.float32) if x.dtype.kind == "V" else x  # bfloat16, which NumPy does not know
            yield Block(x, np.char.decode(y.astype(bytes), "utf-8") if y.dtype.kind == "O" else y)
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if read < elements:
        # TensorFlow takes the end of a file cut short for the end of the data.
        raise UserError(
            f"{path}: the saved dataset is cut short. Received: {read} of {elements} elements or batches."
        )


def _unreadable(path: pathlib.Path, error: Exception) -> UserError:
    return UserError(f"{path} is no saved tf.data dataset that can be read ({first_line(error)}).")
