"""How two inputs are combined, given the ratio."""

from kmix_tf.blend.attentivemix import AttentiveMixBlend
from kmix_tf.blend.base import Blended, BlendStrategy, as_blend
from kmix_tf.blend.comixup import CoMixupBlend
from kmix_tf.blend.cutmix import CutMixBlend
from kmix_tf.blend.fmix import FMixBlend
from kmix_tf.blend.gridmix import GridMixBlend
from kmix_tf.blend.linear import LinearBlend, interpolate, interpolate_leaves
from kmix_tf.blend.puzzle import PuzzleMixBlend
from kmix_tf.blend.resizemix import ResizeMixBlend
from kmix_tf.blend.saliencymix import SaliencyMixBlend, salient_centre
from kmix_tf.blend.smoothmix import SmoothMixBlend

__all__ = [
    "AttentiveMixBlend",
    "BlendStrategy",
    "Blended",
    "CoMixupBlend",
    "CutMixBlend",
    "FMixBlend",
    "GridMixBlend",
    "LinearBlend",
    "PuzzleMixBlend",
    "ResizeMixBlend",
    "SaliencyMixBlend",
    "SmoothMixBlend",
    "as_blend",
    "interpolate",
    "interpolate_leaves",
    "salient_centre",
]
