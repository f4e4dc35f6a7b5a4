"""AdaMixup: how much is mixed is learnt, pair by pair, and kept away from real samples."""

from kmix_tf.models.ada.model import AdaMixupModel

__all__ = ["AdaMixupModel"]
