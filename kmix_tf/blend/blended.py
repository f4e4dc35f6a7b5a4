"""What every blend gives."""

from typing import NamedTuple

import tensorflow as tf


class Blended(NamedTuple):
    """Mixed inputs, and how much of the sample itself is in them.

    x: the leaves, `(mixtures, ...)`, where mixtures are the batch, or interpolations x batch, one interpolation of
    the whole batch after another. ratio: float32, the share realised, of the shape of the ratio asked for: targets
    are mixed with it. mask: None, or the share at each place, float32, the ratio's shape and then the spatial axes:
    targets of the same height and width are mixed place by place. places: none, or, for the sample and its partner,
    int32 `(mixtures, *sizes)`, the place that each comes from, counted row by row: such targets move alike.

    Example:
        >>> def keep_all(first, second, partner, ratio, seed):  # a blend of your own
        ...     return Blended(first, tf.ones_like(ratio))
        >>> x, y = MixLayer(blend=keep_all)(tf.eye(4), tf.eye(4))
        >>> bool(tf.reduce_all(x == tf.eye(4)))
        True
    """

    x: list[tf.Tensor]
    ratio: tf.Tensor
    mask: tf.Tensor | None = None
    places: tuple[tf.Tensor, ...] = ()
