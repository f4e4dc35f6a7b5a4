"""A batch: read once into records of its leaves, whose roles say how they are mixed, and written back."""

from kmix_tf.batch.packing import PackedTargets, pack_targets, unpack_targets

__all__ = ["PackedTargets", "pack_targets", "unpack_targets"]
