"""Losses that understand the targets of mixtures."""

from kmix_tf.losses.decoupled import DecoupledMixupLoss
from kmix_tf.losses.local import LocalMixupLoss

__all__ = ["DecoupledMixupLoss", "LocalMixupLoss"]
