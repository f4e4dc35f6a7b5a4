"""What comes in: a batch is checked at the door, then mixed leaf by leaf."""

from kmix_tf.batch.prepare import Batch, prepare, require_alike

__all__ = ["Batch", "prepare", "require_alike"]
