"""How many of k-mixup's matches join two classes or clusters, and how many must."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln
from scipy.stats import binom

from kmix_tf import _checks
from kmix_tf.analysis.matching_distribution import Matcher, flat_samples
from kmix_tf.maths.samples import as_list


class CrossMatchShare(NamedTuple):
    """k, and the share of matches that join different classes, with its standard error: numbers, or arrays alike."""

    k: Any
    share: Any
    standard_error: Any


class CrossMatchBound(NamedTuple):
    """k, and expected shares of matches, in [0, 1] but for rate: numbers, or arrays alike.

    least: no matching has less. most: the optimal matching of clusters far apart has no more. rate: least is at most
    this, which falls as 1 / sqrt(k).
    """

    k: Any
    least: Any
    most: Any
    rate: Any


class CrossMatchLimits(NamedTuple):
    """int64: how many matches of two given groups join different clusters, at least and, far apart, at most."""

    least: np.ndarray
    most: np.ndarray


@_checks.speaks
def cross_match_share(
    x: Any, labels: Any, k: int | Iterable[int], trials: int = 100, seed: int = 0
) -> CrossMatchShare:
    """The share of k-mixup's matches that join samples of different classes or clusters.

    Matches across clusters put mixed labels between them, matches within keep a label sharp. Their share says which
    of the two a given k does, before anything is trained.

    Args:
        x: numeric `(n, ...)`, finite, n >= 2 k.
        labels: `(n,)`, integers, booleans or strings: classes or cluster ids; or one-hot `(n, classes)`.
        k: an integer >= 1, or several. For k = 1 the share of all pairs is exact.
        trials: how many pairs of disjoint groups to draw for each k, an integer >= 2.
        seed: an integer >= 0.

    Returns:
        `CrossMatchShare(k, share, standard_error)`: floats, or for several k arrays float64 `(len(k),)`. Draws are
        independent, so that the share is mostly within two standard errors of the one of all groups.

    Raises:
        ValueError, TypeError: for other arguments, too few samples, or values that are not finite.

    Source: k-mixup, Section 3.2. `cross_match_bound` is what it says of clusters far apart.

    Example:
        >>> from kmix_tf.analysis import cross_match_share
        >>> generator = np.random.default_rng(0)
        >>> x = np.concatenate([generator.normal(size=(50, 2)), generator.normal(size=(50, 2)) + 20])
        >>> labels = np.repeat([0, 1], 50)
        >>> found = cross_match_share(x, labels, [1, 4, 16])
        >>> bool(found.share[0] > found.share[1] > found.share[2])
        True
    """
    sizes, is_one = _sizes(k)
    x, _ = flat_samples(x, max(sizes))
    labels = _labels(labels, len(x))
    trials, seed = _checks.integer("trials", trials, minimum=2), _checks.integer("seed", seed, minimum=0)
    # A stream for each k, so that a share does not depend on which others are asked for.
    found = [_share(x, labels, size, trials, np.random.default_rng([seed, size])) for size in sizes]
    return CrossMatchShare(*_as_asked(is_one, sizes, *zip(*found, strict=True)))


@_checks.speaks
def cross_match_bound(sizes: Any, k: int | Iterable[int]) -> CrossMatchBound:
    """The share of matches that join different clusters: at least, and at most where clusters are far apart.

    If two groups have r_i and s_i samples in cluster i, no fewer than 1/2 sum |r_i - s_i| of their matches can join
    different clusters. Far apart, with gaps between clusters wider than any cluster, the optimal matching has at most
    m - 1 times as many: a match across two clusters may go by way of others between them, one match for each step.
    With two clusters the two numbers are one. This is their expectation over random groups, exactly.

    Args:
        sizes: of the m clusters. Integers `(m,)`, >= 0: numbers of samples in the data, from which two disjoint
            groups are drawn without replacement; or floats `(m,)` >= 0 with sum 1: probabilities, of groups of
            independent samples.
        k: an integer >= 1, or several; at most half the samples.

    Returns:
        `CrossMatchBound(k, least, most, rate)`: floats, or for several k arrays float64 `(len(k),)`. least and most
        are E[1/2 sum |r_i - s_i|] / k and m - 1 times that, but 1 at most; m counts clusters that are not empty.
        rate is sum sqrt(p_i (1 - p_i)) / sqrt(2 k), with p_i (1 - p_i) n / (n - 1) for numbers of samples.

    Raises:
        ValueError, TypeError: for other arguments.

    Source: k-mixup, Lemma 3.3 and Theorem 3.4, corrected: the lemma's number is right for two clusters and the least
    for more (see `cross_match_limits`); in the proof of the theorem, p_i (p_i - 1) should be p_i (1 - p_i).

    Example:
        >>> from kmix_tf.analysis import cross_match_bound
        >>> [round(share, 4) for share in cross_match_bound([0.5, 0.5], 1)[1:]]
        [0.5, 0.5, 0.7071]
        >>> cross_match_bound([50, 30, 20], [4, 16]).least.round(4).tolist()
        [0.3676, 0.1906]
    """
    sizes = _cluster_sizes(sizes)
    groups, is_one = _sizes(k)
    is_counted = sizes.dtype.kind in "iu"
    if is_counted and sizes.sum() < 2 * max(groups):
        rule = f"at least 2 k = {2 * max(groups)} samples in all"
        _checks.refuse("sizes", rule, sizes.tolist())
    unequal = _unequal_of_counts if is_counted else _unequal_of_probabilities
    least = np.array([unequal(sizes, size) / (2 * size) for size in groups])
    most = np.minimum((np.count_nonzero(sizes) - 1) * least, 1)
    shares = sizes / sizes.sum()
    spread = np.sqrt(shares * (1 - shares)).sum()
    if is_counted:
        spread *= np.sqrt(sizes.sum() / (sizes.sum() - 1))
    return CrossMatchBound(*_as_asked(is_one, groups, least, most, spread / np.sqrt(2 * np.array(groups))))


@_checks.speaks
def cross_match_limits(first: Any, second: Any) -> CrossMatchLimits:
    """How many matches of two given groups join different clusters: at least, and at most where far apart.

    Args:
        first, second: integers `(..., m)`, >= 0: how many samples of each cluster the groups have. Groups of a pair
            are of one size, which may vary between pairs.

    Returns:
        `CrossMatchLimits(least, most)`, int64 `(...)`: 1/2 sum |r_i - s_i|, and m - 1 times that, but at most the
        size of a group; m counts the clusters that are in either group.

    Raises:
        ValueError: for other arguments.

    Source: k-mixup, Lemma 3.3, corrected: it says that the least is the number. Groups {0, 4} and {4, 8}, of three
    clusters in a row, have a least of 1, but are matched at 16 + 16 rather than 64 + 0, which makes 2.

    Example:
        >>> from kmix_tf.analysis import cross_match_limits
        >>> limits = cross_match_limits([1, 1, 0], [0, 1, 1])
        >>> int(limits.least), int(limits.most)
        (1, 2)
    """
    first, second = (np.asarray(counts) for counts in (first, second))
    for name, counts in (("first", first), ("second", second)):
        if counts.dtype.kind not in "iu" or counts.ndim == 0 or (counts < 0).any():
            _checks.refuse(name, "integers >= 0, how many of each cluster", counts.tolist())
    first, second = first.astype(np.int64), second.astype(np.int64)
    if first.shape != second.shape or (first.sum(axis=-1) != second.sum(axis=-1)).any():
        raise _checks.problem(
            f"first and second must be of one shape, with as many samples in both groups. "
            f"Received: shapes {first.shape} and {second.shape}, sums {first.sum(axis=-1).tolist()} and "
            f"{second.sum(axis=-1).tolist()}."
        )
    least = np.abs(first - second).sum(axis=-1) // 2
    clusters = np.count_nonzero(first + second, axis=-1)
    return CrossMatchLimits(least, np.minimum(np.maximum(clusters - 1, 0) * least, first.sum(axis=-1)))


def _share(
    x: np.ndarray, labels: np.ndarray, k: int, trials: int, generator: np.random.Generator
) -> tuple[float, float]:
    if k == 1:
        counts = np.bincount(labels)
        return float(1 - (counts * (counts - 1)).sum() / (len(x) * (len(x) - 1))), 0.0
    shares = np.empty(trials)
    matched = Matcher(x, uses=trials * k**2)
    for trial in range(trials):
        rows = generator.choice(len(x), 2 * k, replace=False)
        shares[trial] = (labels[rows[:k]] != labels[matched(rows[:k], rows[k:])]).mean()
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(trials))


def _unequal_of_probabilities(probabilities: np.ndarray, k: int) -> float:
    """E sum |r_i - s_i|, r_i and s_i independent and Binomial(k, p_i)."""
    total, counts = 0.0, np.arange(k + 1)
    for p, times in zip(*np.unique(probabilities, return_counts=True), strict=True):
        # k - s_i is Binomial(k, 1 - p_i), so that r_i - s_i + k is a sum of independent numbers.
        shifted = np.convolve(binom.pmf(counts, k, p), binom.pmf(counts, k, 1 - p))
        total += times * float(np.abs(np.arange(2 * k + 1) - k) @ shifted)
    return total


def _unequal_of_counts(sizes: np.ndarray, k: int) -> float:
    """E sum |r_i - s_i| for two disjoint groups of k, drawn without replacement from `sizes`."""
    total, everyone, counts = 0.0, int(sizes.sum()), np.arange(k + 1)
    both = counts[:, np.newaxis] + counts
    for size, times in zip(*np.unique(sizes, return_counts=True), strict=True):
        # Where the cluster's samples stand in a shuffle: among the first k, the second k, and the rest.
        log = _log_choices(k, counts)[:, np.newaxis] + _log_choices(k, counts)
        log = log + _log_choices(everyone - 2 * k, size - both)
        joint = np.exp(log - log.max())
        total += times * float((np.abs(counts[:, np.newaxis] - counts) * joint).sum() / joint.sum())
    return total


def _log_choices(size: int, chosen: np.ndarray) -> np.ndarray:
    """The logarithm of how many subsets there are, -inf where none."""
    possible = (chosen >= 0) & (chosen <= size)
    chosen = np.where(possible, chosen, 0)
    return np.where(possible, gammaln(size + 1) - gammaln(chosen + 1) - gammaln(size - chosen + 1), -np.inf)


def _sizes(k: Any) -> tuple[list[int], bool]:
    """Sizes of groups as a list, and whether it was a single one."""
    sizes = as_list(k)
    if not sizes:
        _checks.refuse("k", "an integer >= 1, or several", k)
    return [_checks.integer("k", size, minimum=1) for size in sizes], np.ndim(k) == 0


def _as_asked(is_one: bool, *columns: Any) -> tuple:
    arrays = [np.array(column) for column in columns]
    return tuple(array[0].item() if is_one else array for array in arrays)


def _labels(labels: Any, size: int) -> np.ndarray:
    """Labels as integers from 0, int64 `(n,)`."""
    labels = np.asarray(labels)
    if labels.shape[:1] != (size,):
        raise _checks.problem(f"labels must hold one for each of {size} samples. Received: shape {labels.shape}.")
    if labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        return labels.argmax(axis=1)
    if labels.ndim != 1 or labels.dtype.kind not in "iubUSO":
        raise _checks.problem(
            f"labels must be classes or cluster ids (n,), integers or strings, or one-hot (n, classes). "
            f"Received: labels of dtype {labels.dtype} and shape {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)[1]


def _cluster_sizes(sizes: Any) -> np.ndarray:
    """int64 counts, or float64 probabilities."""
    sizes = np.asarray(sizes)
    if sizes.ndim == 1 and sizes.size and sizes.dtype.kind in "iu" and (sizes >= 0).all():
        return sizes.astype(np.int64)
    is_real = sizes.ndim == 1 and sizes.size and sizes.dtype.kind == "f"
    if not is_real or not (sizes >= 0).all() or abs(sizes.sum(dtype=np.float64) - 1) > 1e-6:
        rule = "(clusters,): integers >= 0, numbers of samples; or floats >= 0 with sum 1, probabilities"
        _checks.refuse("sizes", rule, sizes.tolist())
    return sizes.astype(np.float64)
