"""Where a callback takes samples from, without a trace in what training draws."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks

# (x, y, sample_weight), None for what there is not; given the number of the epoch.
Source = Callable[[int], tuple[Any, Any, Any]]

# A dataset that holds more than this in memory would take seconds to copy.
_MOST_BYTES = 128 * 2**20

# Ops whose seeds go on from one iterator to the next, the same without, and how many inputs that has.
_SHARING_SEEDS = {
    "ShuffleDatasetV3": ("ShuffleDataset", 4),
    "ShuffleAndRepeatDatasetV2": ("ShuffleAndRepeatDataset", 5),
    "RandomDatasetV2": ("RandomDataset", 2),
}

_GIVE = (
    "a tf.data.Dataset of unmixed batches, a keras.utils.PyDataset, or arrays (x, y) or (x, y, sample_weight) of "
    "which batches are taken"
)


def source_of(data: Any, batch_size: int, seed: int, limit: int | None = None) -> Source:
    """Batches of a dataset or of arrays: of arrays other rows in each epoch, of a dataset its first batch.

    Args:
        batch_size, seed: for arrays. limit: of how many of their rows; None: of all.

    Raises:
        TypeError: for what can be gone through but once, such as a generator.
    """
    if isinstance(data, tf.data.Dataset):
        return _kept(_first_batch(data))
    if _is_py_dataset(data):
        return _kept(data[0])
    parts = _three(data)
    leaves = tf.nest.flatten(parts[0])
    if not all(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves):
        _checks.refuse("dataset", _GIVE, data, TypeError)
    return _rows_of(parts, len(leaves[0]) if limit is None else min(limit, len(leaves[0])), batch_size, seed)


def _kept(batch: Any) -> Source:
    parts = _three(batch)
    return lambda epoch: parts


def _rows_of(parts: tuple[Any, Any, Any], count: int, batch_size: int, seed: int) -> Source:
    def batch(epoch: int) -> tuple[Any, Any, Any]:
        rows = np.random.default_rng([seed, epoch]).choice(count, min(batch_size, count), replace=False)
        x, y, weight = (None if part is None else tf.nest.map_structure(_taking(rows), part) for part in parts)
        return x, y, weight

    return batch


def _taking(rows: np.ndarray) -> Callable[[Any], Any]:
    def take(leaf: Any) -> Any:
        if isinstance(leaf, (tf.Tensor, tf.RaggedTensor)):
            return tf.gather(leaf, rows)
        return np.asarray(leaf)[rows]

    return take


def _three(batch: Any) -> tuple[Any, Any, Any]:
    x, y, sample_weight = (*batch, None, None)[:3] if isinstance(batch, tuple) else (batch, None, None)
    return x, y, sample_weight


def _is_py_dataset(data: Any) -> bool:
    kinds = tuple(getattr(keras.utils, name) for name in ("PyDataset", "Sequence") if hasattr(keras.utils, name))
    return isinstance(data, kinds)


def _first_batch(dataset: tf.data.Dataset) -> Any:
    for batch in _apart(dataset).take(1):
        return batch
    raise _checks.problem("dataset must have a batch. Received: an empty dataset.")


def _apart(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """A dataset of the same elements whose iterators do not move the seeds of the other one's.

    An iterator more would change the orders in which a dataset shuffled with a seed comes in later epochs, and so
    the model that is trained.
    """
    if _bytes_in_memory(dataset) > _MOST_BYTES:
        return dataset
    try:
        graph = tf.raw_ops.DatasetToGraphV2(
            input_dataset=tf.data.experimental.to_variant(dataset), external_state_policy=1
        )
        copy = tf.raw_ops.DatasetFromGraph(graph_def=_with_own_seeds(graph.numpy()))
    except (tf.errors.OpError, ValueError):
        return dataset  # It cannot be copied: it holds what lives in this process alone, or too much.
    return tf.data.experimental.from_variant(copy, dataset.element_spec)


def _with_own_seeds(serialized: bytes) -> bytes:
    graph = tf.compat.v1.GraphDef.FromString(serialized)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        if node.op in _SHARING_SEEDS:
            node.op, inputs = _SHARING_SEEDS[node.op]
            del node.input[inputs:]
            node.attr.pop("rerandomize_each_iteration", None)
    return graph.SerializeToString()


def _bytes_in_memory(dataset: Any) -> int:
    """How much data a dataset and those it is made of hold; 0 where they do not say."""
    own = sum(leaf.dtype.size * int(np.prod(leaf.shape)) for leaf in getattr(dataset, "_tensors", ()))
    inputs = dataset._inputs() if hasattr(dataset, "_inputs") else ()
    return own + sum(map(_bytes_in_memory, inputs))
