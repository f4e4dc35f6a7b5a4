"""How far samples are from one another: the nearest, pairs at random, and pairs matched in groups of k."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.analysis.crossing import CrossMatchShare, cross_match_bound, cross_match_limits
from kmix_tf.analysis.locality import distance_profile, locality
from kmix_tf.analysis.matching import mean_matching_cost
from kmix_tf.analysis.matching_distribution import Matcher
from kmix_tf.analysis.nearest import nearest_rows
from kmix_tf.maths.theta import alpha_for_cost
from kmix_tf.weight import EqualWeight, ThresholdWeight

_EXAMPLES = 5
# Samples so near, in medians of the distance to the nearest sample, are nearly one: of points spread evenly on a
# plane one in 600 has a neighbour so near, and of 5 features one in five million.
_NEAR = 1 / 20
_BINS, _PAIRS = 40, 100_000
_BATCH, _BATCHES = 128, 30
# k of k-mixup.
SIZES = (1, 2, 4, 8, 16, 32, 64)
_TRIALS = 50


class Neighbors(NamedTuple):
    """Of each sample the nearest other one of its class and of the other classes: places `(n,)`, distances `(n,)`.

    A sample that is alone in its class has an infinite distance to its own.
    """

    same: np.ndarray
    same_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray


def nearest(x: np.ndarray, y: np.ndarray) -> Neighbors:
    """Finds neighbours among `x` `(n, d)` with classes `y` `(n,)`."""

    def not_of_ones_own(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] != y] = np.inf
        scores[np.arange(len(scores)), np.arange(len(y))[these]] = np.inf

    def not_of_another(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] == y] = np.inf

    same, other = (
        nearest_rows(lambda these: x[these], len(x), x, forbid) for forbid in (not_of_ones_own, not_of_another)
    )
    return Neighbors(*same, *other)


def measure_closeness(x: np.ndarray, y: np.ndarray, unit: float) -> dict[str, Any]:
    """How near classes come to one another.

    Args:
        x: float32 `(n, d)`, centred, in units of `unit`. y: int `(n,)`.

    Returns:
        samples; least and median distance to the nearest sample of another class; nearest_is_other: the share of
        samples to which that is nearer than any of their own; examples: the closest pairs, rows of x; near_within:
        the distance of near-duplicates, and near_duplicates: all pairs of a sample and its nearest of another class
        that are so near, nearest first.
    """
    _, own, other, distance = nearest(x, y)
    pairs, rows = np.unique(np.sort(np.stack([np.arange(len(x)), other]), axis=0), axis=1, return_index=True)
    closest = np.argsort(distance[rows], kind="stable")
    within = _NEAR * float(np.median(np.minimum(own, distance)))
    found = [
        {"first": first, "second": second, "distance": unit * apart}
        for first, second, apart in zip(*pairs[:, closest].tolist(), distance[rows[closest]].tolist(), strict=True)
    ]
    return {
        "samples": len(x),
        "least": unit * float(distance.min()),
        "median": unit * float(np.median(distance)),
        "nearest_is_other": float((distance < own).mean()),
        "examples": found[:_EXAMPLES],
        "near_within": unit * within,
        "near_duplicates": found[: int((distance[rows] <= within).sum())],
    }


def measure_locality(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Any]:
    """Histograms of distances, a threshold and a rate to begin with, and what the threshold leaves of a batch.

    Args:
        x: `(n, d)`. y: int `(n,)`.

    Returns:
        edges, same, other: histograms, numbers of pairs. epsilon, rate (infinite at epsilon 0), quantile. batch_size;
        same_class and plain_same_class: shares of pairs of one class in all weight, with the threshold and without,
        None if no pair has weight; effective_batch: how many mixtures of a batch still count.
    """
    profile = distance_profile(x, y, bins=_BINS, max_pairs=_PAIRS, seed=seed)
    size = min(_BATCH, len(x))
    kept, plain = (
        locality(x, y, weight, batch_size=size, batches=_BATCHES, seed=seed)
        for weight in (ThresholdWeight(profile.epsilon), EqualWeight())
    )
    same, plain_same = (None if math.isnan(share) else float(share) for share in (kept.same_class, plain.same_class))
    return {
        **{name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in profile._asdict().items()},
        "batch_size": size,
        "same_class": same,
        "plain_same_class": plain_same,
        "effective_batch": kept.effective_batch,
    }


def sizes(samples: int) -> list[int]:
    """The k that so many samples allow: two groups must fit."""
    return [k for k in SIZES if 2 * k <= samples]


def measure_matching(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """For each k: the share of matches that join classes, what it is at least, the cost, and the alphas that match.

    Args:
        x: `(n, d)`. y: int `(n,)`. alphas: of plain mixup.

    Returns:
        trials: pairs of groups for each k. by_k: k, cross_share and its standard_error, least_share (of any
        matching, exact), cost (mean squared distance of pairs), distance (its root), alphas: for each alpha
        of plain mixup alpha_k, which perturbs as much, or None and the reason.
    """
    counts = np.bincount(y)
    rows: list[dict[str, Any]] = []
    for k in sizes(len(x)):
        least = cross_match_bound(counts, k).least
        crossing = _crossing(x, y, k, least, seed)
        cost = mean_matching_cost(x, k, trials=_TRIALS, seed=seed)
        plain = rows[0]["cost"] if rows else cost
        row = {"k": k, "cross_share": crossing.share, "standard_error": crossing.standard_error, "least_share": least}
        row |= {"cost": cost, "distance": float(np.sqrt(cost))}
        rows.append(row | {"alphas": [_matched(alpha, plain, min(cost, plain)) for alpha in alphas]})
    return {"trials": _TRIALS, "by_k": rows}


def _crossing(x: np.ndarray, y: np.ndarray, k: int, least: float, seed: int) -> CrossMatchShare:
    """The share of matches that join classes, estimated in the surer of two ways.

    One is the mean share of random draws. The other is what the share is at least, which is exact, and the mean of
    what draws have beyond their own least: it varies less where classes are distant. Neither may leave what is
    possible.
    """
    if k == 1:
        return CrossMatchShare(k, least, 0.0)
    shares, leasts = _drawn(x, y, k, seed)
    surer = min((_mean(k, 0.0, shares), _mean(k, least, shares - leasts)), key=lambda way: way.standard_error)
    return surer._replace(share=min(max(surer.share, least), 1.0))


def _drawn(x: np.ndarray, y: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of random pairs of groups the share of matches that join classes, and the least that any matching has."""
    generator, matcher = np.random.default_rng([seed, k]), Matcher(x, uses=_TRIALS * k**2)
    across, least = np.empty(_TRIALS), np.empty(_TRIALS)
    for trial in range(_TRIALS):
        rows = generator.choice(len(x), 2 * k, replace=False)
        first, second = rows[:k], rows[k:]
        across[trial] = (y[first] != y[matcher(first, second)]).mean()
        counts = (np.bincount(y[group], minlength=y.max() + 1) for group in (first, second))
        least[trial] = cross_match_limits(*counts).least / k
    return across, least


def _mean(k: int, base: float, values: np.ndarray) -> CrossMatchShare:
    # Draws that are all alike may have missed what is rare: by one match in all of them, say.
    error = max(values.std(ddof=1) / np.sqrt(_TRIALS), 1 / (k * _TRIALS))
    return CrossMatchShare(k, float(base + values.mean()), float(error))


def _matched(alpha: float, plain: float, cost: float) -> dict[str, Any]:
    try:
        return {"alpha": alpha, "alpha_k": alpha_for_cost(alpha, plain, cost)}
    except ValueError:
        reason = "matched pairs are so near that no ratio perturbs as much as plain mixup does"
        return {"alpha": alpha, "alpha_k": None, "reason": reason}
