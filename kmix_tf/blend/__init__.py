"""How two inputs are combined, given the ratio."""

from kmix_tf.blend.linear import LinearBlend, interpolate, interpolate_leaves

__all__ = ["LinearBlend", "interpolate", "interpolate_leaves"]
