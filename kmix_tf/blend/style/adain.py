"""Content and style of feature maps: a style is the mean and the deviation of each channel over all places."""

from typing import NamedTuple

import tensorflow as tf

from kmix_tf.blend.linear import with_axes

# Added to variances, as the authors do, so that channels without any can be divided by their deviation.
LEAST_VARIANCE = 1e-5


class Style(NamedTuple):
    """Of each channel, float `(batch, 1, ..., channels)`."""

    mean: tf.Tensor
    deviation: tf.Tensor


def style_of(features: tf.Tensor) -> Style:
    """The style of feature maps `(batch, *places, channels)`."""
    places = range(1, features.shape.rank - 1)
    mean = tf.reduce_mean(features, axis=places, keepdims=True)
    variance = tf.reduce_mean(tf.square(features - mean), axis=places, keepdims=True)
    return Style(mean, tf.sqrt(variance + LEAST_VARIANCE))


def in_style_of(content: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Feature maps with the style of others: adaptive instance normalisation.

    Args:
        content, other: float `(batch, *places, channels)`; the numbers of places may differ.

    Source: Huang and Belongie 2017, *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization*.

    Example:
        >>> in_style_of(tf.constant([[[1.0], [3.0]]]), tf.constant([[[10.0], [30.0]]])).numpy().round(2).ravel()
        array([10., 30.], dtype=float32)
    """
    ours, theirs = style_of(content), style_of(other)
    return (content - ours.mean) / ours.deviation * theirs.deviation + theirs.mean


def mix_content_and_style(
    first: tf.Tensor, second: tf.Tensor, content: tf.Tensor, style: tf.Tensor, overlap: tf.Tensor
) -> tf.Tensor:
    """Feature maps of which so much is the first's content, and so much the first's style.

    With f_ij the content of i in the style of j, it is t f_11 + (content - t) f_12 + (style - t) f_21 +
    (1 - content - style + t) f_22: how much content and style of the first come together, t, may be anything from
    max(0, content + style - 1) to min(content, style).

    Args:
        first, second: float `(pairs, *places, channels)`.
        content, style: float32 `(pairs,)` in [0, 1].
        overlap: float32 `(pairs,)` in [0, 1]: where t lies between its ends.

    Source: Hong et al. 2021, *StyleMix*, as its published code computes it.

    Example:
        >>> first, second = tf.constant([[[1.0], [3.0]]]), tf.constant([[[30.0], [10.0]]])
        >>> one, none, half = tf.ones([1]), tf.zeros([1]), tf.constant([0.5])
        >>> mix_content_and_style(first, second, one, none, half).numpy().round(2).ravel()  # in the second's style
        array([10., 30.], dtype=float32)
    """
    least, most = tf.maximum(content + style - 1, 0), tf.minimum(content, style)
    both = least + overlap * (most - least)
    shares = [both, content - both, style - both, 1 - content - style + both]
    parts = [first, in_style_of(first, second), in_style_of(second, first), second]
    return tf.add_n(
        [
            with_axes(tf.cast(share, part.dtype), part.shape.rank - 1) * part
            for share, part in zip(shares, parts, strict=True)
        ]
    )
