"""Masks of padded sequences in hidden layers: which elements are there, of a batch and of its mixtures."""

from typing import Any

import tensorflow as tf

from kmix_tf.blend.linear import with_axes


def mask_of(features: Any) -> tf.Tensor | None:
    """The mask that Keras has hung on a tensor, boolean `(batch, *steps)`; None without one."""
    mask = getattr(features, "_keras_mask", None)
    return None if mask is None else tf.cast(mask, tf.bool)


def with_mask(features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The same features with a mask for layers to find, on a tensor of its own: others may hold the one given."""
    features = tf.identity(features)
    features._keras_mask = mask
    return features


def present(features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Features with 0 for what is absent: what stands there is whatever an embedding holds for padding."""
    return tf.where(_along(mask, features), features, tf.zeros([], features.dtype))


def padded_as(features: tf.Tensor, mixed: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mixtures in which what is absent of both samples is what it was, for layers that take no notice of masks.

    Args:
        features: of the samples. mixed: of their mixtures, one or several for each. mask: of the mixtures.
    """
    copies = tf.shape(mixed)[0] // tf.maximum(tf.shape(features)[0], 1)
    repeats = tf.concat([[copies], tf.ones([tf.rank(features) - 1], tf.int32)], 0)
    return tf.where(_along(mask, mixed), mixed, tf.ensure_shape(tf.tile(features, repeats), mixed.shape))


def lies_along(tensor: Any, mask: Any) -> bool:
    """Whether a mask has an element for each of a tensor's, `(batch, *steps)` for `(batch, *steps, ...)`."""
    shapes = tf.TensorShape(getattr(mask, "shape", None)), tf.TensorShape(tensor.shape)
    ranks = shapes[0].rank, shapes[1].rank
    if ranks[0] is None or ranks[1] is None:
        return False
    return ranks[0] < ranks[1] and shapes[0].is_compatible_with(shapes[1][: ranks[0]])


def _along(mask: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    return with_axes(mask, features.shape.rank - mask.shape.rank)
