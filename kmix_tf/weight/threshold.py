"""Only near pairs count."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register
from kmix_tf.metric.distance import pair_distances
from kmix_tf.weight.quantile import distance_of, number_or_quantile


@register
class ThresholdWeight:
    """Counts a mixture only if its two ends are at most epsilon apart.

    A layer divides weights by their mean, so that the stock loss becomes the paper's sum over the weights. If none
    counts, the loss of the batch is 0.

    Args:
        epsilon: a Euclidean distance >= 0, or "quantile:q" for the q-quantile of the distances of the batch's pairs,
            so that about a share q of the mixtures counts whatever the scale of the data.

    Raises:
        ValueError: for another epsilon.

    Source: Local Mixup, Section 4.1: 1{d <= epsilon}.

    Example:
        >>> x = tf.constant([[0.0], [1.0], [5.0]])
        >>> ThresholdWeight(epsilon=2.0)([x], [x], tf.constant([1, 2, 0])).numpy().tolist()
        [1.0, 0.0, 0.0]
    """

    def __init__(self, epsilon: float | str):
        self.epsilon = number_or_quantile("ThresholdWeight", "epsilon", epsilon)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64, 0 or 1, of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        return tf.cast(distances <= distance_of(self.epsilon, distances), tf.float64)

    def get_config(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ThresholdWeight":
        return cls(**config)
