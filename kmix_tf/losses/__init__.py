"""Losses that understand the targets of mixtures."""

from kmix_tf.losses.local import LocalMixupLoss

__all__ = ["LocalMixupLoss"]
