"""What distances are measured on, and the distances of pairs."""

from kmix_tf.metric.distance import pair_distances
from kmix_tf.metric.features import Metric

__all__ = ["Metric", "pair_distances"]
