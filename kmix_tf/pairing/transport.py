"""Partners from facing groups of k: matched by optimal transport, the nearest, or at random."""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.pairing.assignment import SOLVERS, assigned_columns
from kmix_tf.pairing.base import Pairing, PairingStrategy
from kmix_tf.pairing.facing import COSTS, facing_cost, matched_rows
from kmix_tf.pairing.mutual import mutual_pairs
from kmix_tf.seeding import as_seed, permutation

Features = Sequence[tf.Tensor]


class _GroupPairing(PairingStrategy):
    """Cuts batches into facing groups of k. A subclass says who in a group is matched with whom in the other."""

    k: int = 1

    def __call__(self, features: Features, seed: Any, targets: Any = None) -> Pairing:
        """Pairs a batch with itself. `features` is a list of numeric tensors or arrays `(batch, ...)`."""
        features = self._leaves(features)
        size = tf.shape(features[0])[0]
        order = permutation(as_seed(seed), size)
        if self.mutual:
            return mutual_pairs(order, functools.partial(self._matched, features))
        return self._paired(order, features, features, cyclic=True)

    def between(self, first: Features, second: Features) -> Pairing:
        """Pairs each row of `first` with one of `second`, a batch of equal size from another loader."""
        first, second = self._leaves(first), self._leaves(second)
        return self._paired(tf.range(tf.shape(first[0])[0]), first, second, cyclic=False)

    def _leaves(self, features: Any) -> list[tf.Tensor]:
        """Features as tensors: users who call a pairing by hand have arrays."""
        if not isinstance(features, list | tuple):
            # Each row would pass for features of its own.
            with _checks.speaking_as(self):
                _checks.refuse("features", "a list of arrays (batch, ...), here [features]", features)
        return [tf.convert_to_tensor(leaf) for leaf in features]

    def _matched(self, features: Features, ours: tf.Tensor, theirs: tf.Tensor) -> Pairing:
        """Which of `theirs` each of `ours` is paired with, rows of one batch, as those of two loaders are."""
        if self.k == 1:
            return Pairing(tf.range(tf.size(ours)), tf.range(tf.size(ours)))
        return self.between(*([tf.gather(leaf, rows) for leaf in features] for rows in (ours, theirs)))

    def _paired(self, order: tf.Tensor, first: Features, second: Features, cyclic: bool) -> Pairing:
        columns = self._columns(order, first, second, cyclic) if self.k > 1 else None
        return Pairing(*matched_rows(order, columns, k=self.k, cyclic=cyclic))

    def _columns(self, order: tf.Tensor, first: Features, second: Features, cyclic: bool) -> tf.Tensor:
        """The position in the facing group that each position is matched with: int32 `(groups, k)`."""
        raise NotImplementedError


@register
class OptimalTransportPairing(_GroupPairing):
    """Random groups of k, each matched with another by optimal transport.

    Within a batch, groups are disjoint: the batch is shuffled onto a circle and cut into groups of k, and each
    group is matched with the next one. Every sample has one partner, never itself, and is a partner once.

    Distances of up to 256 features are compared in float64, of more in float32 (float64 features always in float64),
    with rounding relative to the largest distance in the batch, or to a thousandth of what tells pairs apart.

    Any batch size works. A remainder of r rows is matched with r rows of the first group, and the last full
    group with the remainder and the rest of the first group. Batches smaller than 2k use groups of half the
    batch (rounded down); a batch of one sample is its own partner, an empty one stays empty.

    Args:
        k: an integer >= 1. 1 is plain mixup.
        cost: "sqeuclidean" (default; the paper's formula) or "euclidean" (the paper's published code).
        solver: "host" (default), SciPy in a host callback; or "graph", TensorFlow ops that XLA compiles.
        mutual: True makes disjoint pairs: the partner of a sample's partner is the sample. One random half of the
            batch is cut into groups of k, and each is matched with a group of the other half, both ways; two such
            groups have one number. Of an odd batch a random sample is left over, and stays as it is: its own partner.
            Default False.

    Raises:
        ValueError: for any other k, cost or solver.

    Source: k-mixup, Section 2 and Figure 5, with disjoint groups instead of a second loader.

    Example:
        >>> pairing = OptimalTransportPairing(k=2)
        >>> pairing([tf.constant([[0.0], [9.0], [1.0], [8.0]])], seed=1).partner.shape
        TensorShape([4])
    """

    @_checks.speaks
    def __init__(self, k: int, cost: str = "sqeuclidean", solver: str = "host", mutual: bool = False):
        self.k = _checks.integer("k", k, minimum=1)
        self.cost = _checks.choice("cost", cost, COSTS)
        self.solver = _checks.choice("solver", solver, SOLVERS)
        self.mutual = _checks.flag("mutual", mutual)
        self.by_distance = self.k > 1
        self.runs_on_host = self.by_distance and self.solver == "host"

    def _columns(self, order: tf.Tensor, first: Features, second: Features, cyclic: bool) -> tf.Tensor:
        return assigned_columns(facing_cost(order, first, second, self.cost, k=self.k, cyclic=cyclic), self.solver)


@register
class NearestNeighborPairing(_GroupPairing):
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

    @_checks.speaks
    def __init__(self, k: int):
        self.k = _checks.integer("k", k, minimum=1)

    def _columns(self, order: tf.Tensor, first: Features, second: Features, cyclic: bool) -> tf.Tensor:
        # Distances are not reduced by columns here: that would favour samples which are far from all.
        cost = facing_cost(order, first, second, "euclidean", reduce=False, k=self.k, cyclic=cyclic)
        return tf.argmin(cost, axis=2, output_type=tf.int32)


@register
class RandomPairing(_GroupPairing):
    """Plain mixup's partners: the next sample round a circle of the shuffled batch, or any sample of it.

    By default the same as `OptimalTransportPairing(k=1)`: every sample has one partner, never itself, uniform among
    the others, and is a partner once. So each batch of n is mixed n times.

    The theory of mixup counts self pairs, too: of n samples, each ordered pair 1/n^2. With `with_itself=True` the
    batch is paired with a shuffle of itself, as in the published implementations: partners are uniform over the whole
    batch, so a sample meets itself, and stays as it is whatever the ratio, with chance 1/n. In batches of a few
    samples that changes what is learnt (benchmarks/self_pairs.md), in batches of hundreds hardly. Presets have
    pairings of their own: `MixLayer(RandomPairing(with_itself=True), BetaRatio(alpha), blend, weight)` is plain mixup
    with self pairs, and `RepeatedPairing` repeats it.

    Of two loaders, each row is paired with the same row. Whether that is the same sample is the loaders' choice: if
    both shuffle one dataset of N samples, it is with chance 1/N.

    Args:
        with_itself: whether a sample may be its own partner; default False.
        mutual: True makes disjoint pairs, uniform among all ways to make them: the partner of a sample's partner is
            the sample, as in timm's mode "pair", which pairs row i with row B - 1 - i. Of an odd batch a random
            sample is left over, and stays as it is: its own partner. Default False.

    Raises:
        ValueError: for anything but True or False, or both True.

    Source: k-mixup, Section 2, k = 1. For self pairs, Towards Understanding the Data Dependency of Mixup-style
    Training, Section 2, and On Mixup Regularization, Section 2.

    Example:
        >>> pairing = RandomPairing()
        >>> pairing([tf.zeros([4, 3])], seed=1).partner.shape
        TensorShape([4])
    """

    by_distance = False

    @_checks.speaks
    def __init__(self, with_itself: bool = False, mutual: bool = False):
        self.with_itself = _checks.flag("with_itself", with_itself)
        self.mutual = _checks.flag("mutual", mutual)
        if self.mutual and self.with_itself:
            _checks.refuse("with_itself", "False where mutual=True", with_itself)

    def __call__(self, features: Features, seed: Any, targets: Any = None) -> Pairing:
        """Pairs a batch with itself. `features` is a list of numeric tensors or arrays `(batch, ...)`."""
        if not self.with_itself:
            return super().__call__(features, seed)
        features = self._leaves(features)
        partner = permutation(as_seed(seed), tf.shape(features[0])[0])
        return Pairing(partner, tf.range(tf.size(partner)))
