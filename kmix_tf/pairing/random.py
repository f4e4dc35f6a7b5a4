"""Plain mixup's partners."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._compat import register
from kmix_tf.pairing.optimal_transport import OptimalTransportPairing
from kmix_tf.pairing.pairing import Pairing


@register
class RandomPairing:
    """Plain mixup's partners: the next sample round a circle of the shuffled batch.

    The same as `OptimalTransportPairing(k=1)`: every sample has one partner, never itself, uniform among the others.

    Source: k-mixup, Section 2, k = 1.

    Example:
        >>> pairing = RandomPairing()
        >>> pairing([tf.zeros([4, 3])], seed=1).partner.shape
        TensorShape([4])
    """

    runs_on_host = False

    def __call__(self, features: Sequence[tf.Tensor], seed: Any) -> Pairing:
        """Pairs a batch with itself. `features` are numeric tensors `(batch, ...)`."""
        return OptimalTransportPairing(k=1)(features, seed)

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Pairs each row of `first` with the same row of `second`, a batch from another loader."""
        return OptimalTransportPairing(k=1).between(first, second)

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RandomPairing":
        return cls(**config)
