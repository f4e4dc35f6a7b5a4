"""The layers: MixLayer, which joins the four decisions, presets of it, and a choice of several."""

from kmix_tf.layers.attentivemix import AttentiveMixLayer
from kmix_tf.layers.choice import ChoiceLayer
from kmix_tf.layers.comixup import CoMixupLayer
from kmix_tf.layers.cutmix import CutMixLayer
from kmix_tf.layers.fmix import FMixLayer
from kmix_tf.layers.gridmix import GridMixLayer
from kmix_tf.layers.kmixup import KMixupLayer
from kmix_tf.layers.local import LocalMixupLayer
from kmix_tf.layers.mix import MixLayer
from kmix_tf.layers.multimix import MultiMixLayer
from kmix_tf.layers.puzzlemix import PuzzleMixLayer
from kmix_tf.layers.resizemix import ResizeMixLayer
from kmix_tf.layers.saliencymix import SaliencyMixLayer
from kmix_tf.layers.smoothmix import SmoothMixLayer
from kmix_tf.layers.stage import Stage
from kmix_tf.mixing import MixPlan

__all__ = [
    "AttentiveMixLayer",
    "ChoiceLayer",
    "CoMixupLayer",
    "CutMixLayer",
    "FMixLayer",
    "GridMixLayer",
    "KMixupLayer",
    "LocalMixupLayer",
    "MixLayer",
    "MixPlan",
    "MultiMixLayer",
    "PuzzleMixLayer",
    "ResizeMixLayer",
    "SaliencyMixLayer",
    "SmoothMixLayer",
    "Stage",
]
