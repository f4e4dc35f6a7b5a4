"""AlignMixup: features are moved onto the partner's places before they are mixed."""

from kmix_tf.blend.align.blend import AlignMixBlend

__all__ = ["AlignMixBlend"]
