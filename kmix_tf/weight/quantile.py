"""Distances given as a quantile of those in the batch: "quantile:0.25"."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks

_PREFIX = "quantile:"


def number_or_quantile(owner: str, name: str, value: Any) -> float | str:
    """A finite number >= 0, or a string such as "quantile:0.25" with a number in [0, 1].

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, str):
        return _checks.number(owner, name, value)
    try:
        level = float(value.removeprefix(_PREFIX))
    except ValueError:
        level = -1.0
    if not value.startswith(_PREFIX) or not 0 <= level <= 1:
        _checks.refuse(owner, name, "a number >= 0 or 'quantile:q' with q in [0, 1]", value)
    return value


def distance_of(value: float | str, distances: tf.Tensor) -> tf.Tensor:
    """The distance meant, float64: the number itself, or the quantile of `distances`, interpolated linearly."""
    if not isinstance(value, str):
        return tf.constant(value, tf.float64)
    ordered = tf.sort(tf.reshape(distances, [-1]))
    last = tf.maximum(tf.size(ordered) - 1, 0)
    place = float(value.removeprefix(_PREFIX)) * tf.cast(last, tf.float64)
    below = tf.cast(tf.floor(place), tf.int32)
    low, high = (tf.gather(tf.concat([ordered, [0.0]], 0), row) for row in (below, tf.minimum(below + 1, last)))
    return low + (place - tf.floor(place)) * (high - low)
