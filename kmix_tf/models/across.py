"""Mixing across replicas: each sees the rows of all, mixes them with the seed of all, and keeps its own rows."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks

# What collective operations between processes take; others travel as one of these.
_GATHERED = (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64)
_STRATEGIES = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)


def across(mix: Callable[[Any, Any], Any], data: Any, saliency: tf.Tensor | None) -> Any:
    """The mixtures of this replica's rows, which are mixed with those of all replicas.

    Args:
        mix: of a batch and its saliency; draws alike on all replicas. data, saliency: this replica's, where the first
            axis is that of rows.
    """
    rows = tf.shape(next(leaf for leaf in tf.nest.flatten(data) if leaf is not None))[0]
    sizes = _all(rows[tf.newaxis])
    total, first = tf.reduce_sum(sizes), _rows_before(sizes)
    with _checks.speaking_as("MixModel"):
        whole = tf.nest.map_structure(_all, (data, saliency))
    mixed = mix(*whole)

    def own(leaf: Any) -> Any:
        if leaf is None:
            return None
        # Several interpolations come one after another, each of the whole batch.
        starts = first + total * tf.range(tf.shape(leaf)[0] // tf.maximum(total, 1))
        return tf.gather(leaf, tf.reshape(starts[:, tf.newaxis] + tf.range(rows), [-1]))

    return tf.nest.map_structure(own, mixed)


def require_gathering(strategy: tf.distribute.Strategy, compiled: bool) -> None:
    """Refuses strategies that do not gather, and XLA, which cannot.

    Raises:
        ValueError: saying what does.
    """
    is_many = strategy.num_replicas_in_sync > 1
    is_server = isinstance(strategy, tf.distribute.experimental.ParameterServerStrategy)
    if is_server or (is_many and not isinstance(strategy, _STRATEGIES)):
        raise _checks.problem(
            "across_replicas=True needs replicas that step together: MirroredStrategy or "
            f"MultiWorkerMirroredStrategy. Received: {type(strategy).__name__}. Leave it out, and each replica mixes "
            "its own rows."
        )
    if is_many and compiled:
        raise _checks.problem(
            "across_replicas=True gathers rows from other devices, which XLA cannot compile. Received: "
            "jit_compile=True. Leave out one of the two."
        )


def _all(leaf: Any) -> Any:
    """A leaf's rows on all replicas, in an order that is the same for all leaves and on all replicas."""
    if leaf is None:
        return None
    leaf = tf.convert_to_tensor(leaf)
    if leaf.dtype == tf.string:
        raise _checks.problem(
            "across_replicas=True gathers numbers. Received: strings in the batch. Leave them out of it."
        )
    sent = leaf if leaf.dtype in _GATHERED else tf.cast(leaf, tf.float32 if leaf.dtype.is_floating else tf.int64)
    # A batch as it comes of an iterator is on no device yet, which collective operations refuse.
    return tf.cast(tf.distribute.get_replica_context().all_gather(tf.identity(sent), 0), leaf.dtype)


def _rows_before(sizes: tf.Tensor) -> tf.Tensor:
    """Where this replica's rows begin, among those of all."""
    own = tf.distribute.get_replica_context().replica_id_in_sync_group
    numbers = _all(tf.reshape(tf.cast(own, tf.int32), [1]))
    is_own = tf.cast(tf.equal(numbers, tf.cast(own, tf.int32)), sizes.dtype)
    return tf.reduce_sum(is_own * tf.cumsum(sizes, exclusive=True))
