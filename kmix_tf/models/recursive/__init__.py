"""Training on RecursiveMix in the step, with the loss that compares what is seen again with what was predicted."""

from kmix_tf.models.recursive.model import RecursiveMixModel

__all__ = ["RecursiveMixModel"]
