"""What a layer learns from data before it mixes: the scales of columns, and the alpha of k-mixup."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.maths.distance import pair_distances
from kmix_tf.maths.moments import StreamingMoments
from kmix_tf.maths.theta import alpha_for_cost
from kmix_tf.pairing import Pairing, RandomPairing

_EMPTY = "adapt needs at least one sample. Received: an empty dataset."


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
        raise _checks.problem(f"{_EMPTY}")
    return [_inverse_deviations(moment).tolist() for moment in moments]


def _inverse_deviations(moment: StreamingMoments) -> np.ndarray:
    """1 / standard deviation; 1 for columns whose only variation is the rounding of their mean."""
    deviation = np.sqrt(moment.variance)
    varies = deviation > 1e-13 * np.abs(moment.mean)
    return np.where(varies, 1 / np.where(varies, deviation, 1), 1.0)


def matched_alpha(
    batches: Iterable[tuple[list[tf.Tensor], Any]], pair: Callable[..., Pairing], alpha: float
) -> float:
    """The alpha with which pairs perturb as much as plain mixup's do with `alpha`, on the batches they will meet.

    Args:
        batches: the leaves to measure on, and the targets.
        pair: pairs such leaves, given a seed and targets.

    Source: k-mixup, Algorithm 1, in closed form, with the matching costs of the batches themselves.
    """
    costs, size = np.zeros(2), 0
    for number, (leaves, targets) in enumerate(batches):
        rows = int(leaves[0].shape[0])
        if not rows:
            continue
        # One seed for both: the groups are the same, and so is everything where the pairing is random.
        seed = tf.constant([0, number])
        for which, pairing in enumerate((RandomPairing()(leaves, seed), pair(leaves, seed, targets))):
            costs[which] += rows * np.square(pair_distances(leaves, leaves, pairing.partner).numpy()).mean()
        size += rows
    if not size:
        raise _checks.problem(f"{_EMPTY}")
    return alpha_for_cost(alpha, *(costs / size))


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
