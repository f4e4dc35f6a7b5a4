"""What a mixture counts in the loss: what every weight is told and gives, and what becomes of it."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import refusing_host_calls
from kmix_tf.decision import Decision, Wrapped, as_decision

_PREFIX = "quantile:"
FAR = ("drop", "keep")


class WeightStrategy(Decision):
    """Weighs mixtures by their pairs. A subclass says how in `__call__`.

    Call:
        `weight(first, second, partner)`: features `(batch, ...)` that distances are measured on, the same list for
        one batch; partner, int32 `(batch,)` or `(mixtures, batch)`, rows of `second`. Returns float of the partners'
        shape, >= 0; the mix divides it by its mean, so that the stock loss becomes the paper's sum over the weights.

    Attributes:
        counts_alike: True says that all mixtures count the same, so that no weight is asked for.
        far: what becomes of a pair of weight 0: "drop" (default), the mixture counts nothing; or "keep", the sample
            stays itself, unmixed, with weight 1. A plain callable may have it as an attribute, too.

    Example:
        >>> class OwnRowsLess(WeightStrategy):  # a sample mixed with itself counts half
        ...     def __call__(self, first, second, partner):
        ...         return tf.where(partner == tf.range(tf.size(partner)), 0.5, 1.0)
        >>> x, y, w = MixLayer(weight=OwnRowsLess())(tf.eye(4), tf.eye(4))

        >>> class NextRowOnly(WeightStrategy):  # pairs of neighbouring rows; other samples stay unmixed
        ...     far = "keep"
        ...
        ...     def __call__(self, first, second, partner):
        ...         return tf.where(abs(partner - tf.range(tf.size(partner))) == 1, 1.0, 0.0)
        >>> x, y, w = MixLayer(weight=NextRowOnly())(tf.eye(4), tf.eye(4))
        >>> w.numpy().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    kind = "weight"
    signature = "(first, second, partner) -> weights"

    counts_alike: bool = False
    far: str = "drop"

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> Any:
        raise NotImplementedError(f"{self.shown} must say in __call__ what mixtures count.")


class _WrappedWeight(Wrapped, WeightStrategy):
    """A plain callable as a weight. It may declare `far`."""

    def __init__(self, function: Callable):
        super().__init__(function)
        self.far = getattr(function, "far", "drop")

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> Any:
        with refusing_host_calls(self.shown):
            return self.function(first, second, partner)


def as_weight(value: Any) -> WeightStrategy:
    """A weight, of one or of a callable of its signature."""
    weight: WeightStrategy = as_decision(value, WeightStrategy, _WrappedWeight, told=3)
    _checks.choice("weight.far", weight.far, FAR)
    return weight


@register
class EqualWeight(WeightStrategy):
    """Every mixture counts the same, so no weight is added: plain mixup and k-mixup.

    Example:
        >>> x = tf.zeros([2, 3])
        >>> EqualWeight()([x], [x], tf.constant([1, 0])) is None
        True
    """

    counts_alike = True

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> None:
        """Weighs each pair: None for equal weights."""
        return


def mean_one(weight: tf.Tensor) -> tf.Tensor:
    """Divides weights by their mean; weights that are all zero stay zero.

    The stock loss divides by the number of samples, the paper by the sum of the weights: with these, both are the
    same. The mean is that of the whole batch, so it stays right where replicas take equal parts of the batch.

    Args:
        weight: float `(mixtures,)`, finite and >= 0.

    Returns:
        float32 `(mixtures,)`.

    Source: Local Mixup, eq. (3), normalised as its authors do.

    Example:
        >>> mean_one(tf.constant([1.0, 3.0])).numpy().tolist()
        [0.5, 1.5]
    """
    weight = tf.cast(weight, tf.float64)
    size = tf.cast(tf.size(weight), tf.float64)
    return tf.cast(tf.math.divide_no_nan(weight * size, tf.reduce_sum(weight)), tf.float32)


def number_or_quantile(name: str, value: Any) -> float | str:
    """A finite number >= 0, or a string such as "quantile:0.25" with a number in [0, 1].

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, str):
        return _checks.number(name, value)
    try:
        level = float(value.removeprefix(_PREFIX))
    except ValueError:
        level = -1.0
    if not value.startswith(_PREFIX) or not 0 <= level <= 1:
        _checks.refuse(name, "a number >= 0 or 'quantile:q' with q in [0, 1]", value)
    return value


def distance_of(value: float | str, distances: tf.Tensor) -> tf.Tensor:
    """The distance meant, float64: the number itself, or the quantile of `distances`, interpolated linearly."""
    if not isinstance(value, str):
        return tf.constant(value, tf.float64)
    ordered = tf.sort(tf.reshape(distances, [-1]))
    last = tf.maximum(tf.size(ordered) - 1, 0)
    place = float(value.removeprefix(_PREFIX)) * tf.cast(last, tf.float64)
    below = tf.cast(tf.floor(place), tf.int32)
    low, high = (tf.gather(tf.concat([ordered, [0.0]], 0), row) for row in (below, tf.minimum(below + 1, last)))
    return low + (place - tf.floor(place)) * (high - low)
