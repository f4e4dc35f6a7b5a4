"""Models that wrap a model: mixing in the training step, and rescaled prediction."""

from kmix_tf.models.mixing import MixModel
from kmix_tf.models.rescaled import RescaledModel

__all__ = ["MixModel", "RescaledModel"]
