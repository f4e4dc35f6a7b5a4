"""Several partners of each sample, each drawn on its own."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.pairing.pairing import Pairing
from kmix_tf.seeding import as_seed, split


@register
class RepeatedPairing:
    """Pairs a batch several times, independently: each sample is mixed with several partners.

    With one ratio this is the large-batch mixup that the multi-mix paper compares with, with a ratio each it is batch
    augmentation by mixup; multi-mix itself mixes one pair several times.

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

    def __init__(self, pairing: Callable, times: int):
        if not callable(pairing):
            _checks.refuse("RepeatedPairing", "pairing", "callable", pairing, TypeError)
        if isinstance(pairing, RepeatedPairing):
            _checks.refuse("RepeatedPairing", "pairing", "a pairing that is not repeated itself", pairing, TypeError)
        self.pairing = pairing
        self.times = _checks.integer("RepeatedPairing", "times", times, minimum=1)

    @property
    def runs_on_host(self) -> bool:
        return getattr(self.pairing, "runs_on_host", False)

    @property
    def uses_targets(self) -> bool:
        return getattr(self.pairing, "uses_targets", False)

    def __call__(self, features: Sequence[tf.Tensor], seed: Any, *targets: Any) -> Pairing:
        """Pairs a batch with itself, `times` times."""
        pairings = [self.pairing(features, part, *targets) for part in split(as_seed(seed), self.times)]
        return Pairing(*(tf.stack(parts) for parts in zip(*pairings, strict=True)))

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """The same partners each time: with two loaders, which samples face each other is the loaders' choice."""
        pairing = self.pairing.between(first, second)
        return Pairing(*(tf.stack([part] * self.times) for part in pairing))

    def get_config(self) -> dict[str, Any]:
        return {"pairing": keras.saving.serialize_keras_object(self.pairing), "times": self.times}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RepeatedPairing":
        return cls(keras.saving.deserialize_keras_object(config["pairing"]), config["times"])
