"""Matching on less: what makes features small enough that distances cost next to nothing."""

from kmix_tf.reduction.base import FULL, Reduction, as_match_at
from kmix_tf.reduction.pooled import Pooled
from kmix_tf.reduction.projected import Projected

__all__ = ["FULL", "Pooled", "Projected", "Reduction", "as_match_at"]
