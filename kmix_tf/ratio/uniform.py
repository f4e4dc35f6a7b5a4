"""Ratios from an interval, or one fixed ratio."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.ratio.beta import SCOPES, spread
from kmix_tf.seeding import as_seed, random_uniform


@register
class UniformRatio(RatioStrategy):
    """Ratios uniform between two bounds, for methods that say how much of the partner a mixture may have; or one
    ratio for all.

    Args:
        low, high: the least and the greatest share of the sample itself, in [0, 1], low <= high; default 0 and 1. The
            partner has from 1 - high to 1 - low. Equal ones are the ratio itself: nothing is drawn.
        scope, interpolations: as in `BetaRatio`.

    Raises:
        ValueError: for other arguments.

    Example:
        >>> UniformRatio(0.75, 0.75)(tf.range(2), seed=3).numpy().tolist()
        [0.75, 0.75]
        >>> ratios = UniformRatio(0.5, 0.8, scope="sample")(tf.range(4), seed=3).numpy()
        >>> bool((ratios >= 0.5).all() and (ratios <= 0.8).all())
        True
    """

    in_range = True

    @_checks.speaks
    def __init__(self, low: float = 0.0, high: float = 1.0, scope: str = "batch", interpolations: int = 1):
        self.low = _checks.probability("low", low)
        self.high = _checks.probability("high", high)
        if self.low > self.high:
            _checks.refuse("low", f"at most high={high}", low)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.interpolations = _checks.integer("interpolations", interpolations, minimum=1)
        self.mixtures = self.interpolations if self.interpolations > 1 else None

    @_checks.speaks_anew
    def __call__(self, group: tf.Tensor, seed: Any, distances: Any = None) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, as `BetaRatio` does."""
        return spread(self._drawn, group, as_seed(seed), self.scope, self.interpolations)

    def _drawn(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self.low == self.high:
            return tf.fill(shape, tf.constant(self.low, tf.float32))
        # In float64: XLA rounds a product and a sum once, TensorFlow's kernels twice.
        uniform = tf.cast(random_uniform(shape, seed), tf.float64)
        return tf.cast(self.low + (self.high - self.low) * uniform, tf.float32)
