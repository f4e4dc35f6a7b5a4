"""k-mixup's partners: random groups, matched by optimal transport."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.pairing.assignment import SOLVERS, solve_assignment
from kmix_tf.pairing.blocks import matched_rows
from kmix_tf.pairing.cost import COSTS, facing_cost
from kmix_tf.pairing.pairing import Pairing
from kmix_tf.seeding import as_seed, permutation


@register
class OptimalTransportPairing:
    """Random groups of k, each matched with another by optimal transport.

    Within a batch, groups are disjoint: the batch is shuffled onto a circle and cut into groups of k, and each
    group is matched with the next one. Every sample has one partner, never itself, and is a partner once.

    Distances of up to 256 features are compared in float64, of more in float32 (float64 features always in float64),
    with rounding relative to the largest distance in the batch.

    Any batch size works. A remainder of r rows is matched with r rows of the first group, and the last full
    group with the remainder and the rest of the first group. Batches smaller than 2k use groups of half the
    batch (rounded down); a batch of one sample is its own partner, an empty one stays empty.

    Args:
        k: an integer >= 1. 1 is plain mixup.
        cost: "sqeuclidean" (default; the paper's formula) or "euclidean" (the paper's published code).
        solver: "host" (default), SciPy in a host callback; or "graph", TensorFlow ops that XLA compiles.

    Raises:
        ValueError: for any other k, cost or solver.

    Source: k-mixup, Section 2 and Figure 5, with disjoint groups instead of a second loader.

    Example:
        >>> pairing = OptimalTransportPairing(k=2)
        >>> pairing([tf.constant([[0.0], [9.0], [1.0], [8.0]])], seed=1).partner.shape
        TensorShape([4])
    """

    def __init__(self, k: int, cost: str = "sqeuclidean", solver: str = "host"):
        self.k = _checks.integer("OptimalTransportPairing", "k", k, minimum=1)
        self.cost = _checks.choice("OptimalTransportPairing", "cost", cost, COSTS)
        self.solver = _checks.choice("OptimalTransportPairing", "solver", solver, SOLVERS)

    @property
    def runs_on_host(self) -> bool:
        """Whether a host callback is used, which XLA cannot compile."""
        return self.k > 1 and self.solver == "host"

    def __call__(self, features: Sequence[tf.Tensor], seed: Any) -> Pairing:
        """Pairs a batch with itself. `features` are numeric tensors `(batch, ...)`."""
        order = permutation(as_seed(seed), tf.shape(features[0])[0])
        return self._matched(order, features, features, cyclic=True)

    def between(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor]) -> Pairing:
        """Pairs each row of `first` with one of `second`, a batch of equal size from another loader."""
        order = tf.range(tf.shape(first[0])[0])
        return self._matched(order, first, second, cyclic=False)

    def _matched(
        self, order: tf.Tensor, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], cyclic: bool
    ) -> Pairing:
        cutting = {"k": self.k, "cyclic": cyclic}
        if self.k == 1:
            columns = tf.zeros([tf.size(order), 1], tf.int32)
        else:
            cost = facing_cost(order, first, second, self.cost, **cutting)
            columns = solve_assignment(cost, self.solver)
        return Pairing(*matched_rows(order, columns, **cutting))

    def get_config(self) -> dict[str, Any]:
        return {"k": self.k, "cost": self.cost, "solver": self.solver}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OptimalTransportPairing":
        return cls(**config)
