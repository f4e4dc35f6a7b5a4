"""Features that are changed by a little must be floating, and stay in the range they are of."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch import leaves


def clip_range(owner: str, clip: Any) -> tuple[float, float] | None:
    """None, or two finite numbers in order."""
    if clip is None:
        return None
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        _checks.refuse(owner, "clip", "None or (low, high)", clip)
    low, high = (_checks.number(owner, "clip", end, minimum=float("-inf")) for end in clip)
    if low >= high:
        _checks.refuse(owner, "clip", "None or (low, high) with low < high", clip)
    return low, high


def require_floating(owner: str, x: Any) -> None:
    """Refuses features of another kind, such as bytes, which a small step cannot change."""
    dtype = tf.as_dtype(x.dtype)
    if not dtype.is_floating:
        raise TypeError(
            f"{owner}: x must be floating. Received: x of dtype {dtype.name}. Cast it first, images to [0, 1] for "
            "instance: tf.cast(x, tf.float32) / 255."
        )


def require_within(owner: str, x: tf.Tensor, clip: tuple[float, float] | None) -> None:
    """Refuses features outside the range that they are clipped to: clipping would move them further than asked."""
    if clip is not None:
        low, high = (tf.constant(end, x.dtype) for end in clip)
        require((x >= low) & (x <= high), f"{owner}: x must be in clip=[{clip[0]:g}, {clip[1]:g}]. Received: others.")


def clipped(x: tf.Tensor, clip: tuple[float, float] | None) -> tf.Tensor:
    """Features brought into their range."""
    return x if clip is None else tf.clip_by_value(x, *(tf.constant(end, x.dtype) for end in clip))


def require(condition: Any, message: str) -> None:
    """Raises a ValueError, or within a graph an error of TensorFlow's as it runs, unless all conditions hold."""
    try:
        leaves.require(tf.reduce_all(condition), message)
    except tf.errors.InvalidArgumentError:
        raise ValueError(message) from None
