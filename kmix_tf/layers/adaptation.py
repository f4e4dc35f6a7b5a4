"""What a layer learns from data before it mixes: the scales of columns, and the alpha of k-mixup."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf._moments import StreamingMoments
from kmix_tf.analysis.matching import alpha_for_cost
from kmix_tf.metric import pair_distances
from kmix_tf.pairing import RandomPairing


class Adaptation:
    """What `adapt` has learnt. An object of its own, because Keras 2 wraps the dictionaries that are set on a layer.

    scales: for each leaf that distances are measured on, the factors of its last axis; or None. alpha: or None.
    """

    def __init__(self, scales: list[list[float]] | None = None, alpha: float | None = None):
        self.scales = scales
        self.alpha = alpha

    def get_config(self) -> dict[str, Any] | None:
        return None if self.scales is None and self.alpha is None else {"scales": self.scales, "alpha": self.alpha}


def column_scales(batches: Iterable[list[tf.Tensor]]) -> list[list[float]]:
    """The factors that bring each column, an entry of a leaf's last axis, to standard deviation 1.

    In one pass, with float64 moments. Columns that never vary keep their scale.

    Args:
        batches: lists of the leaves to measure on, `(batch, ...)`.

    Raises:
        ValueError: if there is no sample.
    """
    moments = None
    for leaves in batches:
        moments = moments or [StreamingMoments() for _ in leaves]
        for moment, leaf in zip(moments, leaves, strict=True):
            rows = np.asarray(tf.cast(leaf, tf.float64))
            moment.update(rows.reshape(-1, rows.shape[-1] if rows.ndim > 1 else 1))
    if moments is None or not all(moment.total for moment in moments):
        raise ValueError("adapt needs at least one sample. Received: an empty dataset.")
    deviations = [np.sqrt(moment.variance) for moment in moments]
    return [np.where(each > 0, 1 / np.where(each > 0, each, 1), 1.0).tolist() for each in deviations]


def matched_alpha(batches: Iterable[list[tf.Tensor]], pairing: Callable, alpha: float) -> float:
    """The alpha with which a pairing perturbs as much as plain mixup does with `alpha`, on the batches it will meet.

    Source: k-mixup, Algorithm 1, in closed form, with the matching costs of the batches themselves.
    """
    costs, size = np.zeros(2), 0
    for number, leaves in enumerate(batches):
        rows = int(leaves[0].shape[0])
        for which, candidate in enumerate((RandomPairing(), pairing)):
            partner = candidate(leaves, (number, which)).partner
            squares = np.square(pair_distances(leaves, leaves, partner).numpy())
            costs[which] += rows * squares.mean()
        size += rows
    return alpha_for_cost(alpha, *(costs / max(size, 1)))


def with_progress(dataset: tf.data.Dataset, title: str) -> Iterator[Any]:
    """The dataset's elements; with a bar, where a person is watching."""
    if not sys.stdout.isatty():
        yield from dataset
        return
    total = int(dataset.cardinality())
    print(title)
    bar = keras.utils.Progbar(total if total > 0 else None, unit_name="batch")
    for element in dataset:
        yield element
        bar.add(1)
