"""Models that wrap a model."""

from kmix_tf.models.rescaled import RescaledModel

__all__ = ["RescaledModel"]
