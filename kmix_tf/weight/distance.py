"""Weights by the distance of the two ends: only near pairs count, or the farther apart, the less."""

from collections.abc import Sequence

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf.maths.distance import pair_distances
from kmix_tf.pairing.facing import facing_cost
from kmix_tf.weight.base import FAR, WeightStrategy, distance_of, number_or_quantile


@register
class ThresholdWeight(WeightStrategy):
    """Mixes only pairs whose two ends are at most epsilon apart.

    What becomes of the others is `far`. "keep" leaves each such sample what it is, unmixed, with weight 1, as the
    self pairs in the paper's sums do: at epsilon 0 that is plain training. "drop" gives their mixtures weight 0; a
    layer divides weights by their mean, so that the stock loss becomes the paper's sum over the weights. If no pair
    of a batch is near, nothing is learnt from it: its loss is 0.

    Keeping is the default because it trained better: on the four data sets of benchmarks/far_pairs.md, test errors
    were higher at no epsilon, and lower by much where few pairs are near (digits, the nearest 1 % of pairs: 4.3 %
    instead of 30.5 %). With nearest neighbours as the weight it was better on two, by up to 4.4 points of error; on
    the two small tables dropping had the lower cross-entropy, by up to 0.04.

    Mixtures that weigh nothing are told of: by `MixModel` and `ManifoldMixModel` after each epoch, if they were more
    than half of all, or all of a batch; by a layer called by hand, in a warning, if they are all of the batch; in a
    pipeline likewise, once an epoch, by a line on the standard error, that of the worker with the tf.data service.
    Compiled by XLA elsewhere than in these models, nothing can be said. The weights that a layer returns, or packs,
    show it everywhere.

    Args:
        epsilon: a Euclidean distance >= 0, or "quantile:q" for the q-quantile of the distances of the batch's pairs,
            so that about a share q of them is mixed whatever the scale of the data.
        far: "keep" (default) or "drop". Between two loaders, "keep" takes ratio 1 for a sample whose partner is too
            far.

    Raises:
        ValueError: for another epsilon or far.

    Source: Local Mixup, Section 4.1: 1{d <= epsilon}; eq. (3), for the self pairs in the sum.

    Example:
        >>> x = tf.constant([[0.0], [1.0], [5.0]])
        >>> ThresholdWeight(epsilon=2.0)([x], [x], tf.constant([1, 2, 0])).numpy().tolist()
        [1.0, 0.0, 0.0]
    """

    @_checks.speaks
    def __init__(self, epsilon: float | str, far: str = "keep"):
        self.epsilon = number_or_quantile("epsilon", epsilon)
        self.far = _checks.choice("far", far, FAR)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64, 0 or 1, of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        return tf.cast(distances <= distance_of(self.epsilon, distances), tf.float64)


@register
class ExponentialWeight(WeightStrategy):
    """Counts a mixture exp(-rate d), d the distance of its two ends.

    A layer divides weights by their mean, so that the stock loss becomes the paper's sum over the weights. So only
    their ratios matter: where a rate is so large that all pairs of a batch would vanish, the weights here are
    relative to that of the nearest pair. `MixModel` warns if most mixtures weigh next to nothing.

    Args:
        rate: a number >= 0, the inverse of a distance; 0 counts all alike. Or "quantile:q" for the inverse of the
            q-quantile of the distances of the batch's pairs, whatever the scale of the data. The authors used about
            1e-3 for CIFAR and Fashion-MNIST with pixels normalised.

    Raises:
        ValueError: for another rate.

    Source: Local Mixup, Section 4.1: exp(-alpha D), whose alpha is called rate here.

    Example:
        >>> x = tf.constant([[0.0], [1.0]])
        >>> ExponentialWeight(rate=2.0)([x], [x], tf.constant([1, 0])).numpy().round(4).tolist()
        [0.1353, 0.1353]
    """

    @_checks.speaks
    def __init__(self, rate: float | str):
        self.rate = number_or_quantile("rate", rate)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64 in [0, 1], of `partner`'s shape."""
        distances = pair_distances(first, second, partner)
        if not isinstance(self.rate, str):
            return _exponentials(self.rate, distances)
        unit = distance_of(self.rate, distances)
        # At a quantile of 0 only pairs at distance 0 are near.
        return tf.where(distances > 0, tf.exp(-distances / unit), tf.ones_like(distances))


# Beyond it, exp(-z) loses digits, and from 745 on it is 0.
_DEEP = 500.0


def _exponentials(rate: float, distances: tf.Tensor) -> tf.Tensor:
    """exp(-rate d); where all would vanish, relative to the nearest, which their mean takes out again."""
    least = tf.reduce_min(distances)
    all_vanish = (rate * least > _DEEP) & tf.math.is_finite(least)
    return tf.exp(-rate * (distances - tf.where(all_vanish, least, tf.zeros_like(least))))


# As large as any batch: the blocks of `facing_cost` then are one, all against all.
_ALL = 2**30


@register
class NearestNeighborWeight(WeightStrategy):
    """Mixes only pairs of which one end is among the nearest samples of the other.

    The graph of nearest neighbours is symmetrised by union: a pair counts if either end counts the other among its
    `neighbors` nearest in the batch, without itself; ties at the last place all count. With two loaders, neighbours
    are those in the other batch. In a batch of at most `neighbors` + 1 samples, all pairs count.

    What becomes of pairs that do not count is `far`, as in `ThresholdWeight`, which also says who is told if a batch
    has no other. The whole batch is compared with itself, which takes time and memory of the square of its size. More
    than 256 features are compared in float32, which tells neighbours apart down to a thousandth of the largest
    distance.

    Args:
        neighbors: an integer >= 1.
        far: "keep" (default) or "drop".

    Raises:
        ValueError: for another number or far.

    Source: Local Mixup, Section 4.1, where the graph is called K-nearest neighbour and is to be symmetric.

    Example:
        >>> x = tf.constant([[0.0], [1.0], [5.0]])
        >>> NearestNeighborWeight(neighbors=1)([x], [x], tf.constant([1, 2, 0])).numpy().tolist()
        [1.0, 1.0, 0.0]
    """

    @_checks.speaks
    def __init__(self, neighbors: int, far: str = "keep"):
        self.neighbors = _checks.integer("neighbors", neighbors, minimum=1)
        self.far = _checks.choice("far", far, FAR)

    def __call__(self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor) -> tf.Tensor:
        """Weighs each pair: float64, 0 or 1, of `partner`'s shape."""
        rows = tf.range(tf.shape(first[0])[0])
        distances = facing_cost(rows, first, second, "euclidean", reduce=False, k=_ALL, cyclic=False)
        within = all(ours is theirs for ours, theirs in zip(first, second, strict=True))
        return _is_neighbor(distances, partner, neighbors=self.neighbors, within=within)


@fused(features=0)
def _is_neighbor(distances: tf.Tensor, partner: tf.Tensor, *, neighbors: int, within: bool) -> tf.Tensor:
    size = tf.shape(partner)[-1]
    distances = tf.reshape(distances, tf.stack([size, size]))
    itself = tf.eye(size, dtype=tf.bool) if within else tf.zeros([size, size], tf.bool)
    others = tf.where(itself, tf.fill([size, size], tf.constant(float("inf"), distances.dtype)), distances)
    # The place of the last neighbour; in a small batch all are neighbours.
    last = tf.minimum(neighbors, tf.maximum(size - int(within), 1)) - 1
    nearest = tf.range(size) <= last
    least = tf.fill([size, size], tf.constant(float("-inf"), distances.dtype))
    reach, reach_back = (
        tf.reduce_max(tf.where(mask, tf.sort(others, axis=axis), least), axis=axis)
        for axis, mask in ((1, nearest[tf.newaxis, :]), (0, nearest[:, tf.newaxis]))
    )
    near = (distances <= reach[:, tf.newaxis]) | (distances <= reach_back[tf.newaxis, :]) | itself
    found = tf.gather(near, tf.reshape(tf.transpose(partner), [size, -1]), axis=1, batch_dims=1)
    return tf.cast(tf.reshape(tf.transpose(found), tf.shape(partner)), tf.float64)
