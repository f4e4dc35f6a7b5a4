"""Saliency asked of images made smaller, and made as large again: a pass then sees fewer places."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import has_places_of, image_of
from kmix_tf._shapes import size_of, split_axis

REMEDY = "Begin it with keras.Input((None, None, channels)), and pool globally where it now flattens"


def shrunk(features: Sequence[tf.Tensor], axes: int, factor: int) -> list[tf.Tensor]:
    """Features whose image, and all that have a value for each of its places, are means of blocks of places.

    Args:
        features: floats `(batch, ...)`. axes: how many the image has.
        factor: how many places a block has along each axis, >= 1; 1 changes nothing.
    """
    if factor == 1:
        return list(features)
    image = image_of(features, axes)
    return [_means(leaf, axes, factor) if has_places_of(leaf, image, axes) else leaf for leaf in features]


def _means(leaf: tf.Tensor, axes: int, factor: int) -> tf.Tensor:
    for axis in range(1, 1 + axes):
        leaf = block_means_along(leaf, axis, factor)
    return leaf


def enlarged(saliency: tf.Tensor, image: tf.Tensor, factor: int) -> tf.Tensor:
    """Saliency of blocks of an image at all of its places: float `(batch, *blocks)` -> `(batch, *axes)`."""
    for axis in range(1, saliency.shape.rank):
        saliency = between_blocks(saliency, axis, factor, size_of(image, axis))
    return saliency


def block_means_along(values: tf.Tensor, axis: int, factor: Any, channels: int = 0) -> tf.Tensor:
    """Means of so many neighbours along an axis, and of the last axes, `channels` of them.

    What is missing in the last block is filled up from the edge.

    Args:
        factor: how many, a number or integer scalar.
    """
    if isinstance(factor, int) and factor == 1:
        return tf.reduce_mean(values, axis=range(axis + 1, axis + 1 + channels)) if channels else values
    missing = -size_of(values, axis) % factor
    values = tf.pad(values, [[0, missing if other == axis else 0] for other in range(values.shape.rank)], "SYMMETRIC")
    blocks = split_axis(values, axis, [size_of(values, axis) // factor, factor])
    return tf.reduce_mean(blocks, axis=range(axis + 1, axis + 2 + channels))


def between_blocks(values: tf.Tensor, axis: int, factor: Any, length: Any) -> tf.Tensor:
    """Linear interpolation between the middles of blocks of so many places, of which so many in all are wanted."""
    if isinstance(factor, int) and factor == 1:
        return values
    place = (tf.range(length, dtype=tf.float32) + 0.5) / tf.cast(factor, tf.float32) - 0.5
    place = tf.clip_by_value(place, 0, tf.cast(tf.shape(values)[axis] - 1, tf.float32))
    below = tf.cast(place, tf.int32)
    above = tf.minimum(below + 1, tf.shape(values)[axis] - 1)
    share = tf.reshape(place - tf.cast(below, tf.float32), [-1] + [1] * (values.shape.rank - 1 - axis))
    share = tf.cast(share, values.dtype)
    return (1 - share) * tf.gather(values, below, axis=axis) + share * tf.gather(values, above, axis=axis)


def checked_shrink(name: str, value: Any, model: keras.Model, axes: int) -> int:
    """An integer >= 1, and 1 for a model whose images have a fixed size.

    Raises:
        ValueError: naming the argument, and what would do.
    """
    factor = _checks.integer(name, value, minimum=1)
    inputs = [tuple(leaf.shape) for leaf in getattr(model, "inputs", None) or () if len(leaf.shape) > axes]
    is_open = [all(size is None for size in shape[1 : 1 + axes]) for shape in inputs]
    if factor > 1 and inputs and not any(is_open):
        shapes = ", ".join(map(str, inputs))
        _checks.refuse(name, f"1 for a model that takes images of one size, here {shapes}. {REMEDY}", value)
    return factor


@contextlib.contextmanager
def taking_smaller(name: str, factor: int) -> Iterator[None]:
    """Within it, a model is asked: where it does not take images made smaller, as no list of its inputs tells, the
    error says that they were."""
    try:
        yield
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        if factor == 1:
            raise
        raise _checks.problem(
            f"{name} must be 1 for a model that does not take smaller images. {REMEDY}. Received: {name}={factor}, "
            f"and from the model: {error}"
        ) from error
