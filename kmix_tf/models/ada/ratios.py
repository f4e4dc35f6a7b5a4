"""Ratios that a policy gives: uniform in an interval of each pair's own."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf.mixing.draw import MixPlan
from kmix_tf.seeding import random_uniform


class Intervals(NamedTuple):
    """low, high: the ends, float32, of the partners' shape. is_mixed: bool, whether the partner is another sample."""

    low: tf.Tensor
    high: tf.Tensor
    is_mixed: tf.Tensor


def interval_of(policy: keras.Model, first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The ends `(a, a + b)`, float32 `(batch,)`, of softmax(logits) = (a, b, c) of each pair."""
    sides = [tf.cast(side, tf.float32) for side in (first, second)]
    shares = tf.nn.softmax(tf.cast(policy(sides, training=True), tf.float32))
    # What rounds above 1 is no ratio.
    return shares[:, 0], tf.minimum(shares[:, 0] + shares[:, 1], 1.0)


def intervals_of(policy: keras.Model, features: tf.Tensor, partner: tf.Tensor) -> Intervals:
    """The intervals of all pairs of a batch.

    Args:
        features: `(batch, ...)`. partner: int32 `(batch,)` or `(times, batch)`.
    """
    rows = tf.broadcast_to(tf.range(tf.shape(partner)[-1]), tf.shape(partner))
    sides = [tf.gather(features, tf.reshape(which, [-1])) for which in (rows, partner)]
    low, high = (
        tf.ensure_shape(tf.reshape(end, tf.shape(partner)), partner.shape) for end in interval_of(policy, *sides)
    )
    return Intervals(low, high, tf.not_equal(partner, rows))


def ratios_within(intervals: Intervals, plan: MixPlan, seed: Any) -> tf.Tensor:
    """Uniform ratios within the intervals, of the shape of the plan's; several of one pair descend, as everywhere.

    A sample that is its own partner has ratio 1, and comes back exactly.
    """
    uniform = random_uniform(tf.shape(plan.ratio), seed)
    if plan.ratio.shape.rank > plan.partner.shape.rank:
        uniform = tf.sort(uniform, axis=0, direction="DESCENDING")
    low, high, is_mixed = intervals
    return tf.where(is_mixed, low + (high - low) * uniform, 1.0)


def intrusion_loss(logits: tf.Tensor, is_real: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """The mean cross-entropy of telling real samples, 1, from mixtures, 0: half of it that of either side.

    Args:
        logits: float `(number, 1)`. is_real: float32 `(number,)`, 1 or 0. counts: float32 `(number,)`, 0 for mixtures
            that are none, because their partner is the sample itself.

    Returns:
        A float32 scalar.
    """
    logits = tf.cast(tf.reshape(logits, [-1]), tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(is_real, logits)
    means = [
        tf.math.divide_no_nan(tf.reduce_sum(entropy * side), tf.reduce_sum(side))
        for side in (is_real * counts, (1 - is_real) * counts)
    ]
    return (means[0] + means[1]) / 2
