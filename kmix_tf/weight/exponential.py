"""The farther apart, the less a mixture counts."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register
from kmix_tf.metric.distance import pair_distances
from kmix_tf.weight.quantile import distance_of, number_or_quantile


@register
class ExponentialWeight:
    """Counts a mixture exp(-rate d), d the distance of its two ends.

    A layer divides weights by their mean, so that the stock loss becomes the paper's sum over the weights.

    Args:
        rate: a number >= 0, the inverse of a distance; 0 counts all alike. Or "quantile:q" for the inverse of the
            q-quantile of the distances of the batch's pairs, whatever the scale of the data. The authors used about
            1e-3 for CIFAR and Fashion-MNIST with pixels normalised.

    Raises:
        ValueError: for another rate.

    Source: Local Mixup, Section 4.1: exp(-alpha D), whose alpha is called rate here.

    Example:
        >>> x = tf.constant([[0.0], [1.0]])
        >>> ExponentialWeight(rate=2.0)([x], [x], tf.constant([1, 0])).numpy().round(4).tolist()
        [0.1353, 0.1353]
    """

    def __init__(self, rate: float | str):
        self.rate = number_or_quantile("ExponentialWeight", "rate", rate)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64 in [0, 1], of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        if not isinstance(self.rate, str):
            return tf.exp(-self.rate * distances)
        unit = distance_of(self.rate, distances)
        # At a quantile of 0 only pairs at distance 0 are near.
        return tf.where(distances > 0, tf.exp(-distances / unit), tf.ones_like(distances))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ExponentialWeight":
        return cls(**config)
