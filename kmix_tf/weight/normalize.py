"""Weights that make the mean of losses the sum over the weights."""

import tensorflow as tf


def normalized(weight: tf.Tensor) -> tf.Tensor:
    """Divides weights by their mean; weights that are all zero stay zero.

    The stock loss divides by the number of samples, the paper by the sum of the weights: with these, both are the
    same. The mean is that of the whole batch, so it stays right where replicas take equal parts of the batch.

    Args:
        weight: float `(mixtures,)`, finite and >= 0.

    Returns:
        float32 `(mixtures,)`.

    Source: Local Mixup, eq. (3), normalised as its authors do.

    Example:
        >>> normalized(tf.constant([1.0, 3.0])).numpy().tolist()
        [0.5, 1.5]
    """
    weight = tf.cast(weight, tf.float64)
    size = tf.cast(tf.size(weight), tf.float64)
    return tf.cast(tf.math.divide_no_nan(weight * size, tf.reduce_sum(weight)), tf.float32)
