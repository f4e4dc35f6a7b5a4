"""Who is mixed with whom: what every pairing gives, and is told."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import refusing_host_calls
from kmix_tf.decision import Decision, Wrapped, as_decision


class Pairing(NamedTuple):
    """Partners of a batch.

    partner: int32 `(batch,)`, the row each sample is mixed with; or `(mixtures, batch)`, a partner for each of
    several mixtures of a sample. group: int32, of partner's shape, the group each sample is in, from 0.

    Example:
        >>> def neighbours(features, seed):  # a pairing of your own
        ...     rows = tf.range(tf.shape(features[0])[0])
        ...     return Pairing(partner=tf.roll(rows, 1, axis=0), group=rows)
        >>> x, y = MixLayer(pairing=neighbours)(tf.eye(4), tf.eye(4))
    """

    partner: tf.Tensor
    group: tf.Tensor


class PairingStrategy(Decision):
    """Chooses partners. A subclass says how in `__call__`, and in `between` if two loaders can be paired.

    Call:
        `pairing(features, seed)`, or `(features, seed, targets)` where it declares `needs_targets`: features, a list
        of numeric tensors `(batch, ...)` to measure distances on; seed, integers `(2,)`; targets as the mix prepares
        them, in their structure. Returns `Pairing`.

    Attributes:
        mutual: True says that pairs are mutual: the partner of a sample's partner is the sample, as ratios and boxes
            with `scope="pair"` need it.
        by_distance: False says that it does not look at features, so that `match_at` need not make smaller ones of
            them. Default True.

    Example:
        >>> class Reversed(PairingStrategy):
        ...     def __call__(self, features, seed, targets=None):
        ...         rows = tf.range(tf.shape(features[0])[0])
        ...         return Pairing(rows[::-1], tf.zeros_like(rows))
        >>> x, y = MixLayer(Reversed(), DistributionRatio(lambda shape, seed: tf.zeros(shape)))(tf.eye(4), tf.eye(4))
        >>> bool(tf.reduce_all(x == tf.eye(4)[::-1]))
        True
    """

    kind = "pairing"
    signature = "(features, seed) -> Pairing"

    mutual: bool = False
    by_distance: bool = True

    def __call__(self, features: Sequence[tf.Tensor], seed: tf.Tensor, targets: Any = None) -> Pairing:
        raise NotImplementedError(f"{self.shown} must say in __call__ who is paired with whom.")

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Pairs each row of `first` with one of `second`, a batch of equal size from another loader."""
        raise _checks.problem(
            f"{self.shown} pairs a batch with itself only. Received: two loaders. Give it a method "
            "between(first, second) -> Pairing; or pair them with RandomPairing() or OptimalTransportPairing(k)."
        )


class _WrappedPairing(Wrapped, PairingStrategy):
    """A plain callable as a pairing."""

    def __call__(self, features: Sequence[tf.Tensor], seed: tf.Tensor, targets: Any = None) -> Pairing:
        with refusing_host_calls(self.shown):
            return self.function(features, seed, *([targets] if self.needs_targets else []))

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        if not hasattr(self.function, "between"):
            return super().between(first, second)
        return self.function.between(first, second)


def as_pairing(value: Any) -> PairingStrategy:
    """A pairing, of one or of a callable of its signature."""
    return as_decision(value, PairingStrategy, _WrappedPairing, told=2)
