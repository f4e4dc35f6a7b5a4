"""Training on the second-order approximation of mixup's risk."""

from kmix_tf.models.approximate.model import ApproximateMixupModel

__all__ = ["ApproximateMixupModel"]
