"""How much of each: what every ratio is told and gives."""

from typing import Any

import tensorflow as tf

from kmix_tf._graph import refusing_host_calls
from kmix_tf.decision import Decision, Wrapped, as_decision


class RatioStrategy(Decision):
    """Chooses ratios: the share of the sample itself in its mixture. A subclass says how in `__call__`.

    Call:
        `ratio(group, seed)`, or `(group, seed, distances)` where it declares `needs_distances`: group, int32
        `(batch,)` or `(mixtures, batch)`, the group each sample is in; seed, integers `(2,)`; distances of the
        pairs, float64 of the partners' shape. Returns float `(batch,)` in [0, 1], or `(mixtures, batch)`.

    Attributes:
        in_range: True says that ratios are always in [0, 1], which is then not checked with each batch.
        by_pair: True asks for the number of each sample's pair as its group, which takes a mutual pairing.

    Example:
        >>> class FarApartLess(RatioStrategy):  # the farther apart, the less is mixed
        ...     needs_distances = True
        ...     def __call__(self, group, seed, distances=None):
        ...         return 1 - 0.5 * tf.exp(-distances)
        >>> x, y = MixLayer(ratio=FarApartLess())(tf.eye(4), tf.eye(4))
    """

    kind = "ratio"
    signature = "(group, seed) -> ratios"

    in_range: bool = False
    by_pair: bool = False

    def __call__(self, group: tf.Tensor, seed: tf.Tensor, distances: Any = None) -> tf.Tensor:
        raise NotImplementedError(f"{self.shown} must say in __call__ how much of each sample is in its mixture.")


class _WrappedRatio(Wrapped, RatioStrategy):
    """A plain callable as a ratio."""

    def __call__(self, group: tf.Tensor, seed: tf.Tensor, distances: Any = None) -> tf.Tensor:
        with refusing_host_calls(self.shown):
            return self.function(group, seed, *([distances] if self.needs_distances else []))


def as_ratio(value: Any) -> RatioStrategy:
    """A ratio strategy, of one or of a callable of its signature."""
    return as_decision(value, RatioStrategy, _WrappedRatio, told=2)
