"""AutoMix: a block learns, while the model trains, which places of a mixture are whose."""

from kmix_tf.models.automix.block import MixBlock
from kmix_tf.models.automix.model import AutoMixModel
from kmix_tf.models.automix.momentum import MomentumSchedule

__all__ = ["AutoMixModel", "MixBlock", "MomentumSchedule"]
