"""What AutoMixModel is given, checked: the mix without a blend, the block, the teacher."""

from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf.blend import LinearBlend
from kmix_tf.layers import MixLayer
from kmix_tf.models.automix.block import VARIANTS, MixBlock
from kmix_tf.ratio import BetaRatio

ALPHA = 2.0  # as published


def checked_layer(layer: Any) -> MixLayer:
    """A layer whose blend is left out.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if layer is None:
        return MixLayer(ratio=BetaRatio(ALPHA))
    if not isinstance(layer, MixLayer):
        _checks.refuse("layer", "a MixLayer such as KMixupLayer(16), and no choice of them", layer, TypeError)
    if type(layer.blend) is not LinearBlend:
        raise _checks.problem(
            "the block is the blend: layer must leave its own out, and say who is mixed with whom and how much. "
            f"Received: one with {layer.blend.shown}. Give MixLayer(pairing, ratio), or KMixupLayer(k)."
        )
    return layer


def checked_block(block: Any, channels: int) -> MixBlock:
    """The block, or a new one of a variant, for maps of so many channels."""
    if isinstance(block, str):
        return MixBlock(channels, _checks.choice("block", block, VARIANTS))
    if not isinstance(block, MixBlock):
        _checks.refuse("block", "a MixBlock, 'automix' or 'samix'", block, TypeError)
    if block.channels != channels:
        raise _checks.problem(
            f"block must be for as many channels as the feature map has, {channels}. Received: one for "
            f"{block.channels}. Take a layer with as many; or give the model that has trained the block as teacher."
        )
    return block


def checked_teacher(teacher: Any, model: keras.Model) -> keras.Model:
    """A built model whose answers are those of the model, as far as their shapes tell.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if not isinstance(teacher, keras.Model):
        _checks.refuse("teacher", "None or a Keras model", teacher, TypeError)
    shapes = [[tuple(each.shape) for each in getattr(one, "outputs", None) or []] for one in (teacher, model)]
    if all(shapes) and shapes[0] != shapes[1]:
        raise _checks.problem(
            f"teacher must answer as the model does, for it is asked what mixtures are. Received: one with outputs "
            f"of shapes {shapes[0]} for a model with {shapes[1]}."
        )
    return teacher
