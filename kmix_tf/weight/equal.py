"""Every mixture counts the same."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register


@register
class EqualWeight:
    """Every mixture counts the same, so no weight is added: plain mixup and k-mixup.

    Example:
        >>> x = tf.zeros([2, 3])
        >>> EqualWeight()([x], [x], tf.constant([1, 0])) is None
        True
    """

    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor
    ) -> tf.Tensor | None:
        """Weighs each pair: float32 `(batch,)`, or None for equal weights."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EqualWeight":
        return cls(**config)
