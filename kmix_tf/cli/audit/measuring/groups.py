"""What k-mixup's matching does to these data, k by k."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.crossing import CrossMatchShare, cross_match_bound, cross_match_limits
from kmix_tf.analysis.matching import alpha_for_cost, mean_matching_cost
from kmix_tf.analysis.matching_distribution import Matcher

SIZES = (1, 2, 4, 8, 16, 32, 64)
_TRIALS = 50


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
