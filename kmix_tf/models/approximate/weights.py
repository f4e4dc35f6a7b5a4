"""Targets of samples with weights: times the weight, which stands beside them, so that both are perturbed alike."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks


def weighed(targets: tf.Tensor, sample_weight: Any) -> tf.Tensor:
    """Targets `(batch, outputs)` times their weights, and these: `(batch, outputs + 1)`.

    No weights leave them as they are.

    Raises:
        ValueError: for weights that are not one for each sample.
    """
    if sample_weight is None:
        return targets
    weight = tf.cast(tf.convert_to_tensor(sample_weight), targets.dtype)
    if weight.shape.rank != 1 and weight.shape[1:] != [1]:
        _checks.refuse("sample_weight", "(batch,)", weight)
    weight = tf.reshape(weight, [-1, 1])
    return tf.concat([weight * targets, weight], axis=1)


def partners_mean(values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """For each row, the mean of its partner's: itself once in `count` times, otherwise any other row of the batch.

    Args:
        values: float `(batch, ...)`. count: integer scalar, of all samples.
    """
    size = tf.cast(tf.shape(values)[0], values.dtype)
    others = tf.math.divide_no_nan(tf.reduce_sum(values, axis=0) - values, size - 1)
    own = tf.where(size > 1, tf.math.reciprocal_no_nan(tf.cast(count, values.dtype)), tf.ones([], values.dtype))
    return own * values + (1 - own) * others


def by_weight(targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Targets as they are, and their weights `(batch,)`, of what `weighed` gave and was shrunk."""
    weight = targets[:, -1:]
    return tf.math.divide_no_nan(targets[:, :-1], weight), weight[:, 0]
