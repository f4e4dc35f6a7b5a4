"""The ablation of k-mixup: the nearest sample of the facing group, instead of optimal transport."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.pairing.blocks import matched_rows
from kmix_tf.pairing.cost import facing_cost
from kmix_tf.pairing.pairing import Pairing
from kmix_tf.seeding import as_seed, permutation


@register
class NearestNeighborPairing:
    """Random groups of k, in which each sample meets the nearest one of the facing group.

    The groups are those of `OptimalTransportPairing`. A sample may be the partner of many and another of none, so
    most pairs are of one cluster: the paper shows it to explain why k-mixup transports instead, and finds it no
    better than plain mixup. Never a sample's own partner, except in a batch of one. For k = 1, plain mixup.

    Args:
        k: an integer >= 1.

    Raises:
        ValueError: for any other k.

    Source: k-mixup, Appendix J and footnote 1.

    Example:
        >>> pairing = NearestNeighborPairing(k=2)
        >>> pairing([tf.constant([[0.0], [9.0], [1.0], [8.0]])], seed=1).partner.shape
        TensorShape([4])
    """

    runs_on_host = False

    def __init__(self, k: int):
        self.k = _checks.integer("NearestNeighborPairing", "k", k, minimum=1)

    def __call__(self, features: Sequence[tf.Tensor], seed: Any) -> Pairing:
        """Pairs a batch with itself. `features` are numeric tensors `(batch, ...)`."""
        order = permutation(as_seed(seed), tf.shape(features[0])[0])
        return self._nearest(order, features, features, cyclic=True)

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Pairs each row of `first` with one of `second`, a batch of equal size from another loader."""
        return self._nearest(tf.range(tf.shape(first[0])[0]), first, second, cyclic=False)

    def _nearest(
        self, order: tf.Tensor, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], cyclic: bool
    ) -> Pairing:
        cutting = {"k": self.k, "cyclic": cyclic}
        # Distances are not reduced by columns here: that would favour samples which are far from all.
        cost = facing_cost(order, first, second, "euclidean", reduce=False, **cutting)
        return Pairing(*matched_rows(order, tf.argmin(cost, axis=2, output_type=tf.int32), **cutting))

    def get_config(self) -> dict[str, Any]:
        return {"k": self.k}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "NearestNeighborPairing":
        return cls(**config)
