"""What a mixture counts in the loss."""

from kmix_tf.weight.equal import EqualWeight
from kmix_tf.weight.exponential import ExponentialWeight
from kmix_tf.weight.nearest_neighbor import NearestNeighborWeight
from kmix_tf.weight.normalize import normalized
from kmix_tf.weight.threshold import ThresholdWeight

__all__ = ["EqualWeight", "ExponentialWeight", "NearestNeighborWeight", "ThresholdWeight", "normalized"]
