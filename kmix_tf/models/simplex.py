"""Projection onto the probability simplex."""

from typing import Any

import tensorflow as tf


def project_to_simplex(values: Any) -> tf.Tensor:
    """The nearest vector of probabilities, along the last axis.

    Args:
        values: float `(..., classes)`, finite.

    Returns:
        The same shape and dtype: entries >= 0 that sum to 1, nearest in Euclidean distance. Values of one class
        only are taken for the probability of the second of two classes, and clipped to [0, 1].

    Source: the threshold form of Held, Wolfe and Crowder 1974.

    Example:
        >>> project_to_simplex([1.1, 0.2, -0.3]).numpy().round(3).tolist()
        [0.949999988079071, 0.05000000074505806, 0.0]
    """
    values = tf.convert_to_tensor(values)
    if values.shape[-1] == 1:
        return tf.clip_by_value(values, 0, 1)
    descending = tf.sort(values, axis=-1, direction="DESCENDING")
    excess = tf.cumsum(descending, axis=-1) - 1
    counts = tf.cast(tf.range(1, tf.shape(values)[-1] + 1), values.dtype)
    # The support is the longest prefix whose smallest entry survives its own threshold.
    support = tf.reduce_sum(tf.cast(descending * counts > excess, tf.int32), axis=-1, keepdims=True)
    total = tf.gather(excess, support - 1, axis=-1, batch_dims=values.shape.rank - 1)
    return tf.maximum(values - total / tf.cast(support, values.dtype), 0)
