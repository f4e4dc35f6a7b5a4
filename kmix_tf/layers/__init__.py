"""The layers: MixLayer, which joins the four decisions, and presets of it."""

from kmix_tf.layers.cutmix import CutMixLayer
from kmix_tf.layers.kmixup import KMixupLayer
from kmix_tf.layers.local import LocalMixupLayer
from kmix_tf.layers.mix import MixLayer
from kmix_tf.layers.multimix import MultiMixLayer
from kmix_tf.layers.plan import MixPlan

__all__ = ["CutMixLayer", "KMixupLayer", "LocalMixupLayer", "MixLayer", "MixPlan", "MultiMixLayer"]
