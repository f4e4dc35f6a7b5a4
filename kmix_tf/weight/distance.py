"""Weights by the distance of the two ends: only near pairs count, or the farther apart, the less."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.maths.distance import pair_distances
from kmix_tf.weight.base import WeightStrategy, distance_of, number_or_quantile


@register
class ThresholdWeight(WeightStrategy):
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

    @_checks.speaks
    def __init__(self, epsilon: float | str):
        self.epsilon = number_or_quantile("epsilon", epsilon)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64, 0 or 1, of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        return tf.cast(distances <= distance_of(self.epsilon, distances), tf.float64)


@register
class ExponentialWeight(WeightStrategy):
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

    @_checks.speaks
    def __init__(self, rate: float | str):
        self.rate = number_or_quantile("rate", rate)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64 in [0, 1], of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        if not isinstance(self.rate, str):
            return tf.exp(-self.rate * distances)
        unit = distance_of(self.rate, distances)
        # At a quantile of 0 only pairs at distance 0 are near.
        return tf.where(distances > 0, tf.exp(-distances / unit), tf.ones_like(distances))
