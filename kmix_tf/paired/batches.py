"""Batches that every arm sees alike, before they are mixed."""

from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf.pipeline import mix


def batches(x: np.ndarray, y: np.ndarray, size: int, seed: int, layer: Any = None) -> tf.data.Dataset:
    """Shuffled batches without end; with the same seed the same ones, whatever the layer makes of them.

    Args:
        x, y: arrays `(n, ...)`; all n go round before one comes again.
        size: of a batch; at most n. What is left of a round is dropped, so that all batches are equally long.
        seed: of the order and of the mixtures, an integer >= 0.
        layer: mixes them, `(x, y)` to `(x, y)` or `(x, y, sample_weight)`. None: they stay as they are.
    """
    x, y = tf.constant(x), tf.constant(y)
    rows = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed, reshuffle_each_iteration=True)
    rows = rows.batch(min(size, len(x)), drop_remainder=True).repeat()
    dataset = rows.map(lambda chosen: (tf.gather(x, chosen), tf.gather(y, chosen)))
    if layer is not None:
        dataset = dataset.apply(mix(layer, seed=seed))
    return dataset.prefetch(4)
