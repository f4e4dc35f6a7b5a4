"""Batches that every arm sees alike, before they are mixed."""

from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf.pipeline import mix


def batches(
    x: np.ndarray, y: np.ndarray, size: int, seed: int, layer: Any = None, sample_weight: np.ndarray | None = None
) -> tf.data.Dataset:
    """Shuffled batches without end; with the same seed the same ones, whatever the layer makes of them.

    Sets TensorFlow's global seed.

    Args:
        x, y: arrays `(n, ...)`; all n go round before one comes again.
        size: of a batch; at most n. What is left of a round is dropped, so that all batches are equally long.
        seed: of the order and of the mixtures, an integer >= 0.
        layer: mixes them, `(x, y)` to `(x, y)` or `(x, y, sample_weight)`. None: they stay as they are.
        sample_weight: `(n,)`, which batches then have as a third part, or None.
    """
    parts = tuple(map(tf.constant, (x, y) if sample_weight is None else (x, y, sample_weight)))
    size = min(size, len(x))
    rows = tf.data.Dataset.counter().map(lambda number: _round(len(x), size, seed, number)).unbatch()
    dataset = rows.map(lambda chosen: tuple(tf.gather(part, chosen) for part in parts))
    # What `mix` draws depends on TensorFlow's global seed besides its own.
    tf.random.set_seed(seed)
    if layer is not None:
        dataset = dataset.apply(mix(layer, seed=seed))
    return dataset.prefetch(4)


def _round(count: int, size: int, seed: int, number: tf.Tensor) -> tf.Tensor:
    """The rows of a round's batches, `(batches, size)`.

    Not by `Dataset.shuffle`, whose order depends on TensorFlow's global seed besides its own.
    """
    order = tf.argsort(tf.random.stateless_uniform([count], [tf.constant(seed, tf.int64), number]))
    return tf.reshape(order[: count // size * size], [-1, size])
