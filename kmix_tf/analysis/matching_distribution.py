"""Whom optimal transport gives a sample for a partner, over all random groups that it may stand in."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from kmix_tf import _checks

# Pairs of groups that are enumerated at most: a matter of seconds.
_LARGEST = 100_000
# Numbers in a table of all inner products: 32 MB.
_LARGEST_TABLE = 2**22

Groups = tuple[np.ndarray, np.ndarray]


class MatchingDistribution(NamedTuple):
    """The distribution of a sample's partner.

    indices: int64 `(m,)`, the partners it has, likeliest first. probabilities: float64 `(n,)`, of all samples, with
    sum 1. mean `(d,)` and covariance `(d, d)`: float64, of the partner's flattened features. standard_errors: float64
    `(n,)`, of the probabilities as estimated, sqrt(p (1 - p) / trials); 0 where they are exact.
    """

    indices: np.ndarray
    probabilities: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    standard_errors: np.ndarray


class MatchedPairs(NamedTuple):
    """Samples and their partners in random groups, both int64 `(trials, pairs)`: rows of the data.

    weights: float64 `(trials, pairs)`; in each trial, those of each sample sum to 1 / n.
    """

    sample: np.ndarray
    partner: np.ndarray
    weights: np.ndarray


@_checks.speaks
def matching_distribution(
    x: Any, index: int, k: int, trials: int | None = 10_000, seed: int = 0, disjoint: bool = True
) -> MatchingDistribution:
    """The distribution of the partner that k-mixup gives one sample, D_i.

    The sample stands in a random group of k, which optimal transport matches with another random group of k. The
    larger k, the nearer partners are, but for those that bridge gaps between clusters. D_i is what k-mixup knows of
    the data around the sample: see `kmixup_perturbation_covariance` and `kmixup_regularization`.

    Args:
        x: numeric `(n, ...)`, finite, n >= 2 k (n >= k where groups are not disjoint).
        index: which sample, an integer in [0, n).
        k: an integer >= 1. For k = 1 all partners are equally likely, which is exact.
        trials: how many pairs of groups to draw, an integer >= 1; or None to enumerate all, where there are at most
            100,000. Estimates are means over independent draws.
        seed: an integer >= 0.
        disjoint: True (default) for groups without common samples, as k-groups of one batch are: no sample is its
            own partner. False for two independent groups, as in the paper and of two loaders, which may share
            samples.

    Returns:
        `MatchingDistribution(indices, probabilities, mean, covariance, standard_errors)`. Where several matchings
        are optimal, as with repeated samples, the solver's counts.

    Raises:
        ValueError, TypeError: for other arguments, too few samples, or values that are not finite.

    Source: k-mixup, eq. (1) and Figure 3.

    Example:
        >>> from kmix_tf.analysis import matching_distribution
        >>> found = matching_distribution([[0.0], [1.0], [9.0], [8.0]], index=0, k=2, trials=None)
        >>> found.indices.tolist(), found.probabilities.round(3).tolist(), found.mean.round(3).tolist()
        ([1, 3], [0.0, 0.667, 0.0, 0.333], [3.333])
    """
    x, k = flat_samples(x, k, _checks.flag("disjoint", disjoint))
    index = checked_index(index, len(x))
    trials, seed = checked_draws(trials, seed)
    probabilities = _partner_probabilities(x, index, k, trials, seed, disjoint)
    indices = np.flatnonzero(probabilities)
    indices = indices[np.argsort(-probabilities[indices], kind="stable")]
    mean, covariance = _moments(x[indices].astype(np.float64), probabilities[indices])
    variances = probabilities * (1 - probabilities) / trials if trials and k > 1 else np.zeros(len(x))
    return MatchingDistribution(indices, probabilities, mean, covariance, np.sqrt(variances))


def matched_pairs(x: np.ndarray, k: int, trials: int | None, seed: int, disjoint: bool) -> MatchedPairs:
    """Pairs of all samples, each in both orders, from shuffles of the data cut into groups; or all, exactly.

    Args:
        x: `(n, d)`, as `flat_samples` gives it; k, trials, disjoint as in `matching_distribution`. A trial is one
            shuffle, in which each sample has a partner at least; for trials=None there is one, of all groups.
    """
    if trials is None:
        rounds = [_all_groups(len(x), k, disjoint)]
    else:
        generator = np.random.default_rng(seed)
        rounds = [_shuffled_groups(len(x), k, generator, disjoint) for _ in range(trials)]
    matched = Matcher(x, uses=len(rounds) * len(x) * k)
    pairs = np.array([_pairs_of(matched, groups) for groups in rounds])
    sample, partner = pairs[:, 0], pairs[:, 1]
    weights = [1 / (len(x) * np.bincount(rows, minlength=len(x))[rows]) for rows in sample]
    return MatchedPairs(sample, partner, np.array(weights))


class Matcher:
    """Finds the row of `second` for each of `first`, such that the sum of squared distances is least.

    That is, the sum of inner products largest: squares of single points are in every matching's sum.

    Args:
        x: `(n, d)`. uses: how many inner products will be asked for, about; computed beforehand if that is less work.
    """

    def __init__(self, x: np.ndarray, uses: int):
        # In their own unit and centred, points neither over- nor underflow, and rounding is relative to their spread.
        self._unit = max(float(x.max()), -float(x.min())) or 1.0
        self._x = x
        is_worth_it = len(x) ** 2 <= min(uses, _LARGEST_TABLE)
        self._products = self._inner(*[np.arange(len(x))] * 2) if is_worth_it else None

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        products = self._inner(first, second) if self._products is None else self._products[np.ix_(first, second)]
        return second[linear_sum_assignment(products, maximize=True)[1]]

    def _inner(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        ours, theirs = (self._x[rows].astype(np.float64) / self._unit for rows in (first, second))
        centre = ours.mean(axis=0)
        return (ours - centre) @ (theirs - centre).T


def flat_samples(x: Any, k: Any, disjoint: bool = True) -> tuple[np.ndarray, int]:
    """Samples `(n, d)` in their own numeric dtype, enough of them for two groups of k; and k.

    Raises:
        TypeError: unless numeric. ValueError: unless finite and enough.
    """
    k = _checks.integer("k", k, minimum=1)
    x = np.asarray(x)
    if x.dtype.kind in "USOcMm":
        raise _checks.problem(f"x must be real numbers (n, ...). Received: x of dtype {x.dtype}.", TypeError)
    # bfloat16 is a stranger to NumPy.
    x = x if x.dtype.kind in "biuf" else x.astype(np.float64)
    least, rule = (2 * k, f"2 k = {2 * k}") if disjoint else (k, f"k = {k}")
    if x.ndim == 0 or len(x) < least or x.size == 0:
        raise _checks.problem(f"x must hold at least {rule} samples. Received: x of shape {x.shape}.")
    if not np.isfinite(x).all():
        raise _checks.problem("x must be finite. Received: x with NaN or infinite values.")
    return x.reshape(len(x), -1), k


def checked_index(index: Any, size: int) -> int:
    """An integer in [0, size)."""
    index = _checks.integer("index", index, minimum=0)
    if index >= size:
        _checks.refuse("index", f"in [0, {size})", index)
    return index


def checked_draws(trials: Any, seed: Any, least: int = 1) -> tuple[int | None, int]:
    """How many draws, None for none at all, and their seed."""
    if trials is not None:
        trials = _checks.integer("trials", trials, minimum=least)
    return trials, _checks.integer("seed", seed, minimum=0)


def _pairs_of(matched: Matcher, groups: Iterator[Groups]) -> tuple[np.ndarray, np.ndarray]:
    """Samples and partners of all groups, each pair in both orders."""
    firsts, seconds = zip(*((first, matched(first, second)) for first, second in groups), strict=True)
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    return np.concatenate([first, second]), np.concatenate([second, first])


def _partner_probabilities(
    x: np.ndarray, index: int, k: int, trials: int | None, seed: int, disjoint: bool
) -> np.ndarray:
    if k == 1:
        probabilities = np.ones(len(x))
        probabilities[index] = not disjoint
        return probabilities / probabilities.sum()
    counts = np.zeros(len(x))
    if trials is None:
        groups = _all_groups(len(x), k, disjoint, index)
    else:
        groups = _drawn_groups(len(x), index, k, trials, np.random.default_rng(seed), disjoint)
    matched = Matcher(x, uses=(trials or _LARGEST) * k**2)
    for first, second in groups:
        counts[matched(first, second)[0]] += 1
    return counts / counts.sum()


def _drawn_groups(
    size: int, index: int, k: int, trials: int, generator: np.random.Generator, disjoint: bool
) -> Iterator[Groups]:
    """Random groups, of which the first begins with `index`."""
    for _ in range(trials):
        others = generator.choice(size - 1, (2 * k if disjoint else k) - 1, replace=False)
        rows = np.concatenate([[index], others + (others >= index)])
        yield rows[:k], rows[k:] if disjoint else generator.choice(size, k, replace=False)


def _shuffled_groups(size: int, k: int, generator: np.random.Generator, disjoint: bool) -> Iterator[Groups]:
    """Facing groups of one shuffle, or of two; the last overlap those before, so that all samples have partners."""
    rows = generator.permutation(size)
    others = None if disjoint else generator.permutation(size)
    width = 2 * k if disjoint else k
    for start in [*range(0, size - width, width), size - width]:
        window = rows[start : start + width]
        yield window[:k], window[k:] if others is None else others[start : start + k]


def _all_groups(size: int, k: int, disjoint: bool, index: int | None = None) -> Iterator[Groups]:
    """All pairs of groups, or those whose first group begins with `index`."""
    count = math.comb(size - k if disjoint else size, k)
    count *= math.comb(size, k) if index is None else math.comb(size - 1, k - 1)
    if count > _LARGEST:
        rule = f"an integer, as there are more pairs of groups than the {_LARGEST} to be enumerated at most: {count}"
        _checks.refuse("trials", rule, None)
    head = () if index is None else (index,)
    others = [row for row in range(size) if row not in head]
    for rest in itertools.combinations(others, k - len(head)):
        first = head + rest
        pool = [row for row in range(size) if row not in first] if disjoint else range(size)
        for second in itertools.combinations(pool, k):
            yield np.array(first), np.array(second)


def _moments(x: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = probabilities @ x
    centred = x - mean
    return mean, (centred.T * probabilities) @ centred
