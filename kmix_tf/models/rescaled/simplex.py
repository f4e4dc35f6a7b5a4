"""Projection onto the probability simplex."""

from typing import Any

import tensorflow as tf

from kmix_tf._graph import at_least_float32


def project_to_simplex(values: Any) -> tf.Tensor:
    """The nearest vector of probabilities, along the last axis.

    Args:
        values: float `(..., classes)` of any size and dtype; float16 and bfloat16 are computed in float32. NaN or
            infinity in a vector makes the whole of it NaN.

    Returns:
        The same shape and dtype: entries >= 0 that sum to 1 but for rounding, nearest in Euclidean distance. It is
        continuous, and differentiable except where an entry just becomes 0: its derivative takes the mean of the
        positive entries away. Values of one class only are taken for the probability of the second of two classes,
        and clipped to [0, 1].

    Raises:
        TypeError: for values that are not float.

    Source: the threshold form of Held, Wolfe and Crowder 1974.

    Example:
        >>> project_to_simplex([1.1, 0.2, -0.3]).numpy().round(3).tolist()
        [0.949999988079071, 0.05000000074505806, 0.0]
    """
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        raise TypeError(f"project_to_simplex: values must be float. Received: values of dtype {values.dtype.name}.")
    if values.shape[-1] == 1:
        return tf.clip_by_value(values, 0, 1)
    return tf.cast(_projected(at_least_float32(values)), values.dtype)


def _projected(values: tf.Tensor) -> tf.Tensor:
    # A shift of all entries changes nothing. What is within 1 of the largest, and only that may be in the support, is
    # in [-1, 0] then, where sums keep their precision however large the values are.
    shifted = values - tf.stop_gradient(tf.reduce_max(values, axis=-1, keepdims=True))
    descending = tf.sort(shifted, axis=-1, direction="DESCENDING")
    counts = tf.cast(tf.range(1, tf.shape(values)[-1] + 1), values.dtype)
    # Of all prefixes, that which is the support has the largest threshold. To look it up by its length would be a
    # gather, of which the converter to ONNX makes a file that no runtime loads.
    threshold = tf.reduce_max((tf.cumsum(descending, axis=-1) - 1) / counts, axis=-1, keepdims=True)
    # Sums over thousands of classes round; dividing by what is 1 but for that undoes it.
    positive = tf.maximum(shifted - threshold, 0)
    return positive / tf.reduce_sum(positive, axis=-1, keepdims=True) + _nan_unless_finite(values)


def _nan_unless_finite(values: tf.Tensor) -> tf.Tensor:
    is_finite = tf.reduce_all(tf.math.is_finite(values), axis=-1, keepdims=True)
    return tf.where(is_finite, tf.zeros([], values.dtype), tf.constant(float("nan"), values.dtype))
