"""How two inputs are combined, given the ratio."""

from kmix_tf.blend.blended import Blended
from kmix_tf.blend.cutmix import Boxes, CutMixBlend, box_mask, draw_boxes, paste, realised_ratio
from kmix_tf.blend.fmix import FMixBlend
from kmix_tf.blend.linear import LinearBlend, interpolate, interpolate_leaves
from kmix_tf.blend.puzzle import PuzzleMixBlend
from kmix_tf.blend.saliencymix import SaliencyMixBlend, salient_centre

__all__ = [
    "Blended",
    "Boxes",
    "CutMixBlend",
    "FMixBlend",
    "LinearBlend",
    "PuzzleMixBlend",
    "SaliencyMixBlend",
    "box_mask",
    "draw_boxes",
    "interpolate",
    "interpolate_leaves",
    "paste",
    "realised_ratio",
    "salient_centre",
]
