"""StyleMix: content and style of images are mixed apart, in the features of an encoder."""

from kmix_tf.blend.style.blend import StyleMixBlend
from kmix_tf.blend.style.cut import StyleCutMixBlend

__all__ = ["StyleCutMixBlend", "StyleMixBlend"]
