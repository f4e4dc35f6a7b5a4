"""How much of each: the ratio is the weight of the sample itself, 1 - ratio that of its partner."""

from kmix_tf.ratio.beta import sample_beta
from kmix_tf.ratio.strategies import BetaRatio, DistributionRatio

__all__ = ["BetaRatio", "DistributionRatio", "sample_beta"]
