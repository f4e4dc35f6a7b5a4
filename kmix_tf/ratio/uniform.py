"""Ratios that are uniform between two bounds, or those of boxes whose sides are."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.ratio.beta import SCOPES, spread
from kmix_tf.seeding import as_seed, random_uniform


def _checked_bounds(low: Any, high: Any) -> tuple[float, float]:
    low, high = _checks.probability("low", low), _checks.probability("high", high)
    if low > high:
        _checks.refuse("low", f"at most high={high:g}", low)
    return low, high


class _Bounded(RatioStrategy):
    """Ratios that are made of one uniform number each. A subclass says how in `_made`."""

    in_range = True

    def __init__(self, low: float, high: float, scope: str, interpolations: int):
        self.low, self.high = _checked_bounds(low, high)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.interpolations = _checks.integer("interpolations", interpolations, minimum=1)
        self.mixtures = self.interpolations if self.interpolations > 1 else None

    def __call__(self, group: tf.Tensor, seed: Any, distances: Any = None) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, as `BetaRatio` does."""

        def draw(shape: tf.Tensor, seed: Any) -> tf.Tensor:
            # In float64: XLA rounds a product and a sum once, TensorFlow's kernels twice.
            uniform = tf.cast(random_uniform(shape, as_seed(seed)), tf.float64)
            between = tf.cast(self.low + (self.high - self.low) * uniform, tf.float32)
            # Rounding is not to lead out of the bounds.
            return self._made(tf.clip_by_value(between, self.low, self.high))

        return spread(draw, group, seed, self.scope, self.interpolations)

    def _made(self, between: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError


@register
class UniformRatio(_Bounded):
    """Ratios that are equally likely everywhere between two bounds.

    Args:
        low, high: the bounds, 0 <= low <= high <= 1, default 0 and 1, which is `BetaRatio(1)`. Equal ones fix the
            ratio; low = high = 1 means no mixing. With low at 1/2, most of a mixture is always the sample's own.
        scope, interpolations: as in `BetaRatio`.

    Raises:
        ValueError: for other arguments.

    Source: Yang et al. 2022, *RecursiveMix: Mixed Learning with History*, whose published code draws the area that
    the previous batch takes from 0 to 1/2: `UniformRatio(0.5, 1)`.

    Example:
        >>> ratios = UniformRatio(0.5, 1.0, scope="sample")(tf.range(4), seed=3)
        >>> bool(tf.reduce_all((ratios >= 0.5) & (ratios <= 1)))
        True
    """

    @_checks.speaks
    def __init__(self, low: float = 0.0, high: float = 1.0, scope: str = "batch", interpolations: int = 1):
        super().__init__(low, high, scope, interpolations)

    def _made(self, between: tf.Tensor) -> tf.Tensor:
        return between


@register
class ScaleRatio(_Bounded):
    """The ratios of boxes whose sides are equally likely between two shares of the whole: 1 - scale^axes.

    Args:
        low, high: the bounds of the scale, 0 <= low <= high <= 1, default 0.1 and 0.8 (the paper's). low = high = 0
            means no mixing.
        axes: how many axes a box has: 2 (default) for images, 1 for signals, 3 for volumes.
        scope, interpolations: as in `BetaRatio`; several ratios descend, so scales ascend.

    Raises:
        ValueError: for other arguments.

    Source: Qin et al. 2020, *ResizeMix: Mixing Data with Preserved Object Information and True Labels*, for images.

    Example:
        >>> ScaleRatio(0.5, 0.5)(tf.range(2), seed=3).numpy().tolist()
        [0.75, 0.75]
    """

    @_checks.speaks
    def __init__(
        self,
        low: float = 0.1,
        high: float = 0.8,
        axes: int = 2,
        scope: str = "batch",
        interpolations: int = 1,
    ):
        super().__init__(low, high, scope, interpolations)
        self.axes = _checks.axes(axes)

    def _made(self, between: tf.Tensor) -> tf.Tensor:
        return 1 - between**self.axes
