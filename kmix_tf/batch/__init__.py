"""What comes in: a batch is checked at the door, then mixed leaf by leaf."""

from kmix_tf.batch.packing import PackedTargets, pack_targets, unpack_targets
from kmix_tf.batch.prepare import Batch, Rules, prepare, require_alike

__all__ = ["Batch", "PackedTargets", "Rules", "pack_targets", "prepare", "require_alike", "unpack_targets"]
