"""What a mixture counts in the loss."""

from kmix_tf.weight.base import EqualWeight, WeightStrategy, as_weight, mean_one
from kmix_tf.weight.distance import ExponentialWeight, NearestNeighborWeight, ThresholdWeight

__all__ = [
    "EqualWeight",
    "ExponentialWeight",
    "NearestNeighborWeight",
    "ThresholdWeight",
    "WeightStrategy",
    "as_weight",
    "mean_one",
]
