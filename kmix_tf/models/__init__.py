"""Models that wrap a model: mixing in the step or in hidden layers, the approximate loss, rescaled prediction."""

from kmix_tf.models.ada import AdaMixupModel
from kmix_tf.models.approximate import ApproximateMixupModel
from kmix_tf.models.automix import AutoMixModel, MixBlock, MomentumSchedule
from kmix_tf.models.manifold import ManifoldMixModel
from kmix_tf.models.mixing import MixModel
from kmix_tf.models.recursive import RecursiveMixModel
from kmix_tf.models.rescaled import Comparison, MeasuredTheta, RescaledModel, Scores, TrainingMeans

__all__ = [
    "AdaMixupModel",
    "ApproximateMixupModel",
    "AutoMixModel",
    "Comparison",
    "ManifoldMixModel",
    "MeasuredTheta",
    "MixBlock",
    "MixModel",
    "MomentumSchedule",
    "RecursiveMixModel",
    "RescaledModel",
    "Scores",
    "TrainingMeans",
]
