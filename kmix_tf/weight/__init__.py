"""What a mixture counts in the loss."""

from kmix_tf.weight.equal import EqualWeight

__all__ = ["EqualWeight"]
