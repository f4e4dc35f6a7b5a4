"""Sample weights, as metrics count them."""

from typing import Any

import tensorflow as tf


def place_weights(sample_weight: Any, shape: tf.Tensor) -> tf.Tensor:
    """float64 of the given shape: weights of samples count for all their places."""
    if sample_weight is None:
        return tf.ones(shape, tf.float64)
    weight = tf.cast(tf.convert_to_tensor(sample_weight), tf.float64)
    rank = tf.size(shape)
    given = tf.shape(weight)
    missing = tf.maximum(rank - tf.size(given), 0)
    # Keras also hands over weights with a last axis of length 1 more than there are places.
    full = tf.concat([given, tf.ones([missing], tf.int32)], axis=0)[:rank]
    return tf.broadcast_to(tf.reshape(weight, full), shape)
