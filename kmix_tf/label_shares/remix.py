"""Remix: labels of long-tailed data lean to the rarer class."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, require
from kmix_tf.label_shares.base import LabelShareStrategy


@register
class RemixShares(LabelShareStrategy):
    """Remix, for long tails: where a frequent class meets a rare one, the label may be the rare one's alone.

    Inputs are mixed as ever, by the ratio l of sample i and partner j. With n_i and n_j the number of training
    samples of their classes, the share of i in the label is

        0 if n_i / n_j >= kappa and l < tau,
        1 if n_j / n_i >= kappa and 1 - l < tau,
        l otherwise.

    So the label goes whole to the class that is rarer by kappa, unless the frequent one is seen by tau or more.

    Args:
        counts: how many training samples each class has, a list or an array of numbers > 0, one for each class:
            `np.bincount(labels)`. Only their ratios matter.
        kappa: how much rarer a class must be, >= 1, default 3 (the paper's).
        tau: the share of the frequent class from which on the label is mixed as the inputs are, in [0, 1], default
            0.5 (the paper's). 0 changes nothing.

    Targets are one class of each sample: integers, soft labels `(batch, classes)` that sum to 1, of which the largest
    counts; or, for two classes, 0 and 1 of one unit. l is the ratio that the blend realised, of CutMix the area.

    Raises:
        ValueError: for other arguments, for counts that are not as many as there are classes; on a call, for targets
            that are no classes, or are of places, such as maps.
        InvalidArgumentError: on the batch, for soft labels that do not sum to 1, or labels of other classes. Under
            XLA, which drops such checks, their share is NaN.

    Source: Chou et al., *Remix: Rebalanced Mixup* (2020), the equation of lambda_y.

    Example:
        >>> remix = RemixShares(counts=[900, 100])
        >>> frequent, rare = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
        >>> [float(remix(frequent, rare, tf.constant([ratio]))[0]) for ratio in (0.25, 0.75)]
        [0.0, 0.75]
        >>> layer = KMixupLayer(k=1, num_classes=2, label_shares=remix)
    """

    @_checks.speaks
    def __init__(self, counts: Sequence[float], kappa: float = 3.0, tau: float = 0.5):
        self.counts = _checked_counts(counts)
        self.kappa = _checks.number("kappa", kappa, minimum=1.0)
        self.tau = _checks.probability("tau", tau)

    def require_classes(self, count: int) -> None:
        """Refuses another number of classes than there are counts."""
        if count != len(self.counts):
            with _checks.speaking_as(self, anew=True):
                _checks.refuse("counts", f"as many as there are classes, {count}", self.counts)

    @_checks.speaks_anew
    def __call__(self, first: tf.Tensor, second: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
        """The share of the sample itself in the label of each mixture, float32 `(mixtures,)`."""
        ours, theirs = (self._counts_of(tf.convert_to_tensor(leaf)) for leaf in (first, second))
        ratio = tf.convert_to_tensor(ratio)
        to_partner = (ours / theirs >= self.kappa) & (ratio < self.tau)
        to_itself = (theirs / ours >= self.kappa) & (1 - ratio < self.tau)
        share = tf.where(to_partner, tf.zeros_like(ratio), tf.where(to_itself, tf.ones_like(ratio), ratio))
        return tf.where(tf.math.is_nan(ours + theirs), tf.cast(float("nan"), ratio.dtype), share)

    def _counts_of(self, labels: tf.Tensor) -> tf.Tensor:
        """How many samples the class of each label has, float64 `(mixtures,)`; NaN for what is none."""
        classes, are_sound, rule = self._classes(labels)
        (classes,) = after(require(tf.reduce_all(are_sound), f"{rule}. Received: others."), [classes])
        counts = tf.gather(tf.constant(self.counts, tf.float64), tf.where(are_sound, classes, tf.zeros_like(classes)))
        return tf.where(are_sound, counts, tf.cast(float("nan"), tf.float64))

    def _classes(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, str]:
        """The class of each label, int32 `(mixtures,)`, which of them are classes at all, and what they are to be."""
        count, shape = len(self.counts), labels.shape
        is_of_one = shape.rank == 1 or (shape.rank == 2 and shape[-1] == 1)
        if labels.dtype.is_integer and is_of_one:
            labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
            return labels, (labels >= 0) & (labels < count), f"labels must be classes in [0, {count})"
        if labels.dtype.is_floating and is_of_one and count == 2:
            labels = tf.reshape(labels, [-1])
            sound = (labels >= 0) & (labels <= 1)
            return tf.cast(labels >= 0.5, tf.int32), sound, "labels of one unit must be in [0, 1]"
        if not labels.dtype.is_floating or shape.rank != 2 or is_of_one or shape[-1] is None:
            raise _checks.problem(
                "targets must be one class of each sample: integers, soft labels (batch, classes) of a known number, "
                f"or 0 and 1 of one unit. Received: targets of dtype {labels.dtype.name} and shape {shape}."
            )
        self.require_classes(int(shape[-1]))
        apart = tf.abs(tf.reduce_sum(tf.cast(labels, tf.float64), axis=1) - 1)
        sound = (apart < _checks.SUM_TOLERANCE) & tf.reduce_all(labels >= 0, axis=1)
        return tf.argmax(labels, axis=1, output_type=tf.int32), sound, "soft labels must be >= 0 and sum to 1"


def _checked_counts(counts: Any) -> list[float]:
    """The counts as plain numbers."""
    listed = np.asarray(counts).tolist() if isinstance(counts, (np.ndarray, tf.Tensor)) else counts
    are_many = isinstance(listed, Sequence) and not isinstance(listed, str) and len(listed) > 1
    if not are_many or not all(isinstance(each, numbers.Real) and not isinstance(each, bool) for each in listed):
        _checks.refuse("counts", "a list of numbers > 0, one for each of at least two classes", counts)
    for number, each in enumerate(listed):
        if not 0 < each < np.inf:
            raise _checks.problem(
                f"counts must be > 0 and finite. Received: {each} for class {number}. Give a class without samples "
                "that of the rarest one, or leave it out of the labels."
            )
    return [int(each) if isinstance(each, numbers.Integral) else float(each) for each in listed]
