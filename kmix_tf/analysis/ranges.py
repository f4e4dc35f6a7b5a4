"""Features that are changed by a little must be floating, and stay in the range they are of."""

from typing import Any, TypeVar

import tensorflow as tf

from kmix_tf import _checks, _graph

# An array, a tensor or a dataset, of which functions here make another of the kind.
Data = TypeVar("Data")


def clip_range(clip: Any) -> tuple[float, float] | None:
    """None, or two finite numbers in order."""
    if clip is None:
        return None
    if not isinstance(clip, (tuple, list)) or len(clip) != 2:
        _checks.refuse("clip", "None or (low, high)", clip)
    low, high = (_checks.number("clip", end, minimum=float("-inf")) for end in clip)
    if low >= high:
        _checks.refuse("clip", "None or (low, high) with low < high", clip)
    return low, high


def as_tensor(name: str, value: Any) -> tf.Tensor:
    """What TensorFlow makes a tensor of.

    Raises:
        TypeError: for anything else, such as None, objects and rows of several lengths.
    """
    try:
        return tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        dtype = getattr(value, "dtype", None)
    kind = type(value).__name__ + (f" of dtype {dtype}" if dtype is not None else "")
    raise _checks.problem(f"{name} must be an array of numbers or a tensor. Received: {kind}.", TypeError)


def require_tensors(dataset: tf.data.Dataset, names: tuple[str, ...]) -> None:
    """Refuses datasets whose elements are not tuples that begin with a tensor for each name; for one, or a tensor."""
    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    if len(parts) < len(names) or not all(isinstance(part, tf.TensorSpec) for part in parts[: len(names)]):
        raise _checks.problem(f"a dataset must be of ({', '.join(names)}, ...), tensors. Received: {spec}.")


def require_floating(x: Any) -> None:
    """Refuses features of another kind, such as bytes, which a small step cannot change."""
    if not tf.as_dtype(x.dtype).is_floating:
        # By its own name: TensorFlow's of objects would be string.
        name = getattr(x.dtype, "name", x.dtype)
        raise _checks.problem(
            f"x must be floating. Received: x of dtype {name}. Cast it first, images to [0, 1] for "
            "instance: tf.cast(x, tf.float32) / 255.",
            TypeError,
        )


def require_within(x: tf.Tensor, clip: tuple[float, float] | None) -> None:
    """Refuses features outside the range that they are clipped to: clipping would move them further than asked."""
    if clip is not None:
        low, high = (tf.constant(end, x.dtype) for end in clip)
        require(
            (x >= low) & (x <= high),
            f"{_checks.speaker()}: x must be in clip=[{clip[0]:g}, {clip[1]:g}]. Received: others.",
        )


def clipped(x: tf.Tensor, clip: tuple[float, float] | None) -> tf.Tensor:
    """Features brought into their range."""
    return x if clip is None else tf.clip_by_value(x, *(tf.constant(end, x.dtype) for end in clip))


def require(condition: Any, message: str) -> None:
    """Raises a ValueError, or within a graph an error of TensorFlow's as it runs, unless all conditions hold."""
    try:
        _graph.assertion(tf.reduce_all(condition), message)
    except tf.errors.InvalidArgumentError:
        raise ValueError(message) from None
