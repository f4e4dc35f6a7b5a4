"""The linear blend: what mixup does to inputs, and every mix to targets."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register
from kmix_tf._fusion import fused


def interpolate(first: tf.Tensor, second: tf.Tensor, partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """Mixes each row of one batch with a row of another: `ratio * first + (1 - ratio) * second[partner]`.

    Args:
        first: numeric `(batch, ...)`.
        second: the same dtype and shape.
        partner: int32 `(batch,)`, rows of `second`.
        ratio: float32 `(batch,)` in [0, 1]. A ratio of 1 gives `first` exactly.

    Returns:
        A tensor of `first`'s shape: in its own dtype if that is a float, in float32 for integers and booleans.
        Computed in float32, or in float64 for float64.

    Source: k-mixup, Section 2 (displacement interpolation).

    Example:
        >>> interpolate([[0.0], [10.0]], [[0.0], [10.0]], [1, 0], [0.75, 0.75]).numpy()
        array([[2.5],
               [7.5]], dtype=float32)
    """
    first, second, partner, ratio = (tf.convert_to_tensor(value) for value in (first, second, partner, ratio))
    return interpolate_leaves([first], [second], partner, ratio)[0]


@fused
def interpolate_leaves(
    first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor
) -> list[tf.Tensor]:
    """`interpolate` for each of several leaves."""
    return [_interpolate(ours, theirs, partner, ratio) for ours, theirs in zip(first, second, strict=True)]


def _interpolate(first: tf.Tensor, second: tf.Tensor, partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    wide = tf.float64 if first.dtype == tf.float64 else tf.float32
    ratio = tf.reshape(tf.cast(ratio, wide), tf.concat([tf.shape(ratio), tf.ones(tf.rank(first) - 1, tf.int32)], 0))
    mixed = ratio * tf.cast(first, wide) + (1 - ratio) * tf.cast(tf.gather(second, partner), wide)
    return tf.cast(mixed, first.dtype) if first.dtype.is_floating else mixed


@register
class LinearBlend:
    """Weighted means of whole inputs.

    Source: k-mixup, Section 2.

    Example:
        >>> x = tf.constant([[0.0], [10.0]])
        >>> mixed, realised = LinearBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.5, 0.5]))
        >>> mixed[0].numpy().ravel().tolist()
        [5.0, 5.0]
    """

    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Mixes feature tensors `(batch, ...)` and returns them with the ratio realised, float32 `(batch,)`."""
        return interpolate_leaves(first, second, partner, ratio), ratio

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LinearBlend":
        return cls(**config)
