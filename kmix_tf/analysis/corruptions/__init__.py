"""Photographs gone wrong, computed rather than downloaded, and how much worse a model gets on them."""

from kmix_tf.analysis.corruptions.corrupting import corrupt, corruptions
from kmix_tf.analysis.corruptions.error import mean_corruption_error

__all__ = ["corrupt", "corruptions", "mean_corruption_error"]
