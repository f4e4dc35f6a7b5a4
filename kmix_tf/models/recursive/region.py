"""What a model computes of the box that the mixture before is pasted into."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks


def mean_in_window(features: tf.Tensor, window: tf.Tensor, sizes: Sequence[Any]) -> tf.Tensor:
    """The mean of a feature map over boxes of the image: `(batch, *map, channels)` -> float32 `(batch, channels)`.

    Each place of the map counts by how much of it lies in the box; 0 for a box of no size.

    Args:
        window: float32 `(batch, axes, 2)`, the first place and the end of each box in the image. sizes: of the image.
    """
    features = tf.cast(features, tf.float32)
    for axis, size in reversed(list(enumerate(sizes))):
        count = tf.shape(features)[1 + axis]
        ends = window[:, axis] * (tf.cast(count, tf.float32) / tf.cast(size, tf.float32))
        place = tf.range(tf.cast(count, tf.float32))
        covered = tf.maximum(tf.minimum(ends[:, 1:], place + 1) - tf.maximum(ends[:, :1], place), 0)
        share = tf.math.divide_no_nan(covered, tf.reduce_sum(covered, axis=1, keepdims=True))
        # The last of the axes that are left: what lies before it is summed over later.
        features = tf.einsum("bp,b...pc->b...c", share, features)
    return features


def place_of_features(model: keras.Model, axes: int, name: str | None) -> str:
    """The name of the layer whose output is the feature map: the last that has the image's axes and channels.

    Raises:
        ValueError: if there is none, or the one that is named gives no such map.
    """
    found = [layer.name for layer in model.layers if _rank_of(layer) == axes + 2]
    inputs = [layer.name for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    found = [each for each in found if each not in inputs]
    rule = f"the name of a layer that gives (batch, {'places, ' * axes}channels), one of {found}"
    if name is None and found:
        return str(found[-1])
    if name not in found:
        _checks.refuse("features", rule, name)
    return str(name)


def channels_of(model: keras.Model, name: str) -> int:
    """How many channels a layer's output has."""
    channels = model.get_layer(name).output.shape[-1]
    if channels is None:
        _checks.refuse("features", "the name of a layer with a known number of channels", name)
    return int(channels)


def _rank_of(layer: Any) -> int | None:
    try:
        return len(layer.output.shape)
    except (AttributeError, RuntimeError, TypeError, ValueError):  # Of several outputs, or none that is known.
        return None
