"""How near samples are to their own class and to others, and what that makes of Local Mixup's weights."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.analysis.segments import in_units, squared_distances
from kmix_tf.maths.samples import classed

# Numbers held at a time.
_BLOCK = 2**21
# So many samples at least are asked for their nearest of another class: their median then is off by a few percent
# of the samples at most, and each costs one row of a product of matrices.
_FEWEST = 256


class DistanceProfile(NamedTuple):
    """Distances of pairs of samples, and what they suggest for Local Mixup.

    edges: float64 `(bins + 1,)`, from 0. same, other: int64 `(bins,)`, how many of the pairs looked at lie between
    edges, of one class and of two. epsilon: a float for `ThresholdWeight`; rate: one for `ExponentialWeight`, and
    infinite if epsilon is 0. quantile: epsilon as `ThresholdWeight` also takes it, such as "quantile:0.031", the
    share of pairs at most epsilon apart.
    """

    edges: np.ndarray
    same: np.ndarray
    other: np.ndarray
    epsilon: float
    rate: float
    quantile: str


class Locality(NamedTuple):
    """What a weight makes of random batches.

    same_class, other_class: the shares of weight on pairs of one class and of two; they sum to 1, or are NaN if
    nothing ever counts. effective_batch: how many mixtures of equal weight a batch is worth, from 0 to its size.
    empty: the share of batches in which no mixture counts.
    """

    same_class: float
    other_class: float
    effective_batch: float
    empty: float


@_checks.speaks
def distance_profile(x: Any, y: Any, bins: int = 50, max_pairs: int = 1_000_000, seed: int = 0) -> DistanceProfile:
    """Histograms of distances within and between classes, with a threshold and a rate to begin with.

    epsilon is the median distance from a sample to the nearest one of another class. For the half of the samples that
    are farther from other classes it is safe: all of a segment between two of one class is at least as near to its
    ends as to any sample of another class, if it is no longer than epsilon. The other half is near a border, where
    samples are mixed across, too. rate is ln(2) / epsilon: at epsilon, a mixture counts half. Few pairs of a batch
    may be so near: `locality` says how many mixtures it is then worth.

    Both are where to begin a search, not its end. The authors found the best threshold of their toy below the first
    quartile of distances, and on images rates of 1e-3 to 3e-3, which leave far pairs more weight.

    Args:
        x: numeric `(n, ...)`, finite, of two classes at least.
        y: integer classes `(n,)` or one-hot `(n, classes)`.
        bins: an integer >= 1.
        max_pairs: an integer >= 1. All pairs are looked at where they are no more; else so many drawn at random, and
            for epsilon as many samples as that allows, but 256 at least, each compared with all.
        seed: of the draws, an integer >= 0.

    Returns:
        `DistanceProfile(edges, same, other, epsilon, rate, quantile)`.

    Raises:
        ValueError: for other arguments.

    Source: Local Mixup, Figure 4, and Section 5.3, which wants the histogram to tune the weights; the rule is ours.

    Example:
        >>> from kmix_tf.analysis import distance_profile
        >>> profile = distance_profile([[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1], bins=4)
        >>> profile.same.tolist(), profile.other.tolist(), profile.epsilon, profile.quantile
        ([0, 2, 0, 0], [0, 0, 1, 3], 2.5, 'quantile:0.5')
    """
    x, y = classed(x, y)
    bins = _checks.integer("bins", bins, minimum=1)
    max_pairs = _checks.integer("max_pairs", max_pairs, minimum=1)
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    x, unit = in_units(x)
    first, second = _pairs(len(x), max_pairs, generator)
    distances = unit * _distances(x, first, second)
    edges = np.linspace(0, distances.max() or 1.0, bins + 1)
    is_same = y[first] == y[second]
    same, other = (np.histogram(distances[which], edges)[0] for which in (is_same, ~is_same))
    epsilon = float(unit * np.median(_nearest_others(x, y, max_pairs, generator)))
    rate = math.log(2) / epsilon if epsilon > 0 else math.inf
    return DistanceProfile(edges, same, other, epsilon, rate, f"quantile:{np.mean(distances <= epsilon):.3g}")


@_checks.speaks
def locality(
    x: Any, y: Any, weight: Callable[..., Any], batch_size: int = 128, batches: int = 100, seed: int = 0
) -> Locality:
    """What a weight leaves of random batches: how much of it is within classes, and how many mixtures still count.

    A batch is `batch_size` samples without repetition, each mixed with a random other one, as plain mixup does.
    Compare with `EqualWeight()` to see what the weight changes. Samples left unmixed by `far="keep"` do not count.

    Args:
        x: numeric `(n, ...)`, finite, of two classes at least.
        y: integer classes `(n,)` or one-hot `(n, classes)`.
        weight: `ThresholdWeight`, `NearestNeighborWeight`, `ExponentialWeight`, `EqualWeight` or a function of yours.
        batch_size: an integer from 2 to n.
        batches: how many to draw, an integer >= 1.
        seed: of the draws, an integer >= 0.

    Returns:
        `Locality(same_class, other_class, effective_batch, empty)`: shares are means over the batches in which
        anything counts, since layers divide weights by their mean in each batch; effective_batch is the mean over all
        batches of Kish's (sum w)^2 / sum w^2, 0 where nothing counts.

    Raises:
        ValueError: for other arguments, or a weight that gives anything but finite numbers >= 0, one a pair.
        TypeError: for a weight that cannot be called.

    Source: Local Mixup, Sections 5.1 (thresholds make batches smaller) and 5.3 (shares within and between classes).

    Example:
        >>> from kmix_tf.analysis import locality
        >>> x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3
        >>> x += 3 * np.eye(3)[y, :2]
        >>> locality(x, y, EqualWeight(), batch_size=30).effective_batch
        30.0
        >>> near = locality(x, y, ThresholdWeight(1.0), batch_size=30)
        >>> near.same_class > 0.5, near.effective_batch < 10
        (True, True)
    """
    features, y = classed(x, y)
    if not callable(weight):
        _checks.refuse("weight", "a weight such as ThresholdWeight(1.0)", weight, TypeError)
    batch_size = _checks.integer("batch_size", batch_size, minimum=2)
    if batch_size > len(y):
        _checks.refuse("batch_size", f"at most {len(y)}, the number of samples", batch_size)
    batches = _checks.integer("batches", batches, minimum=1)
    generator = np.random.default_rng(_checks.integer("seed", seed, minimum=0))
    # The next round a circle: in a batch of random order, plain mixup's random partners.
    partner = np.roll(np.arange(batch_size, dtype=np.int32), -1)
    same, sizes = [], []
    for _ in range(batches):
        rows = generator.choice(len(y), batch_size, replace=False)
        shares = _shares(features[rows], weight, partner)
        # By Kish: (sum w)^2 / sum w^2, where the sum is 1.
        sizes.append(1 / np.square(shares).sum() if shares.any() else 0.0)
        if shares.any():
            same.append(shares[y[rows] == y[rows[partner]]].sum())
    within = float(np.mean(same)) if same else math.nan
    return Locality(within, 1 - within, float(np.mean(sizes)), 1 - len(same) / batches)


def _pairs(size: int, max_pairs: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if size * (size - 1) // 2 <= max_pairs:
        return np.triu_indices(size, 1)
    first = generator.integers(0, size, max_pairs)
    return first, (first + generator.integers(1, size, max_pairs)) % size


def _distances(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    distances = np.empty(len(first))
    size = max(1, _BLOCK // x.shape[1])
    for start in range(0, len(first), size):
        part = slice(start, start + size)
        distances[part] = np.linalg.norm(x[first[part]] - x[second[part]], axis=1)
    return distances


def _nearest_others(x: np.ndarray, y: np.ndarray, max_pairs: int, generator: np.random.Generator) -> np.ndarray:
    """Distances of samples, or of a random part of them, to the nearest sample of another class."""
    count = max(_FEWEST, max_pairs // len(x))
    asked = np.arange(len(x)) if count >= len(x) else generator.choice(len(x), count, replace=False)
    nearest = np.empty_like(asked)
    size = max(1, _BLOCK // len(x))
    for start in range(0, len(asked), size):
        rows = asked[start : start + size]
        squares = squared_distances(x[rows], x)
        squares[y[rows][:, np.newaxis] == y] = np.inf
        nearest[start : start + size] = squares.argmin(axis=1)
    return _distances(x, asked, nearest)


def _shares(features: np.ndarray, weight: Callable[..., Any], partner: np.ndarray) -> np.ndarray:
    """Weights of the pairs of a batch, float64 `(batch,)`, of sum 1 unless all are 0."""
    leaves = [tf.constant(features)]
    weights = weight(leaves, leaves, tf.constant(partner))
    weights = np.ones(len(partner)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != partner.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(
            f"locality: weight must give finite numbers >= 0, one a pair, of shape {partner.shape}. "
            f"Received: {type(weight).__name__}, which gave shape {weights.shape} or other numbers."
        )
    # By the largest first, whose sum cannot overflow.
    weights = weights / (weights.max() or 1.0)
    return weights / (weights.sum() or 1.0)
