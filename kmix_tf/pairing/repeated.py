"""Several partners of each sample, each drawn on its own."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.pairing.base import Pairing, PairingStrategy, as_pairing
from kmix_tf.seeding import as_seed, split


@register
class RepeatedPairing(PairingStrategy):
    """Pairs a batch several times, independently: each sample is mixed with several partners.

    The samples stay the same: with a ratio each this is batch augmentation by mixup, but for the augmentations, while
    multi-mix mixes one pair several times. It is not the large-batch mixup of the multi-mix paper, whose batch has as
    many times more samples: batch them so for that, `dataset.batch(times * batch_size)`.

    Args:
        pairing: any pairing.
        times: an integer >= 1.

    Raises:
        TypeError, ValueError: for another pairing or number.

    Source: Multi-mix, Section III-C.

    Example:
        >>> pairing = RepeatedPairing(RandomPairing(), times=3)
        >>> pairing([tf.zeros([4, 2])], seed=1).partner.shape
        TensorShape([3, 4])
    """

    @_checks.speaks
    def __init__(self, pairing: Callable, times: int):
        if isinstance(pairing, RepeatedPairing):
            _checks.refuse("pairing", "a pairing that is not repeated itself", pairing, TypeError)
        self.pairing = as_pairing(pairing)
        self.times = self.mixtures = _checks.integer("times", times, minimum=1)
        self.runs_on_host = self.pairing.runs_on_host
        self.needs_targets = self.pairing.needs_targets
        self.mutual = self.pairing.mutual
        self.by_distance = self.pairing.by_distance

    def __call__(self, features: Sequence[tf.Tensor], seed: Any, targets: Any = None) -> Pairing:
        """Pairs a batch with itself, `times` times."""
        told = [targets] if self.needs_targets else []
        pairings = [self.pairing(features, part, *told) for part in split(as_seed(seed), self.times)]
        return Pairing(*(tf.stack(parts) for parts in zip(*pairings, strict=True)))

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """The same partners each time: with two loaders, which samples face each other is the loaders' choice."""
        pairing = self.pairing.between(first, second)
        return Pairing(*(tf.stack([part] * self.times) for part in pairing))
