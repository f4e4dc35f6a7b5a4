"""The layers: MixLayer, which joins the four decisions, and presets of it."""

from kmix_tf.layers.kmixup import KMixupLayer
from kmix_tf.layers.mix import MixLayer, MixPlan

__all__ = ["KMixupLayer", "MixLayer", "MixPlan"]
