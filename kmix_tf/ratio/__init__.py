"""How much of each: the ratio is the weight of the sample itself, 1 - ratio that of its partner."""

from kmix_tf.ratio.base import RatioStrategy, as_ratio
from kmix_tf.ratio.beta import BetaRatio, sample_beta
from kmix_tf.ratio.distribution import DistributionRatio
from kmix_tf.ratio.uniform import ScaleRatio, UniformRatio
from kmix_tf.ratio.warped import DistanceWarpedRatio

__all__ = [
    "BetaRatio",
    "DistanceWarpedRatio",
    "DistributionRatio",
    "RatioStrategy",
    "ScaleRatio",
    "UniformRatio",
    "as_ratio",
    "sample_beta",
]
