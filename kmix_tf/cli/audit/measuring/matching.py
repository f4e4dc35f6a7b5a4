"""What k-mixup's matching does to these data, k by k."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.crossing import cross_match_bound, cross_match_share
from kmix_tf.analysis.matching import alpha_for_cost, mean_matching_cost

SIZES = (1, 2, 4, 8, 16, 32, 64)
_TRIALS = 50


def sizes(samples: int) -> list[int]:
    """The k that so many samples allow: two groups must fit."""
    return [k for k in SIZES if 2 * k <= samples]


def matching(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """For each k: the share of matches that join classes, what it is at least, the cost, and the alphas that match.

    Args:
        x: `(n, d)`. y: int `(n,)`. alphas: of plain mixup.

    Returns:
        trials: pairs of groups for each k. by_k: k, cross_share and its standard_error, least_share (any matching of
        such groups has as much), cost (mean squared distance of pairs), distance (its root), alphas: for each alpha
        of plain mixup alpha_k, which perturbs as much, or None and the reason.
    """
    counts = np.bincount(y)
    rows = []
    for k in sizes(len(x)):
        crossing = cross_match_share(x, y, k, trials=_TRIALS, seed=seed)
        cost = mean_matching_cost(x, k, trials=_TRIALS, seed=seed)
        plain = rows[0]["cost"] if rows else cost
        rows.append(
            {
                "k": k,
                "cross_share": crossing.share,
                "standard_error": crossing.standard_error,
                "least_share": cross_match_bound(counts, k).least,
                "cost": cost,
                "distance": float(np.sqrt(cost)),
                "alphas": [_matched(alpha, plain, min(cost, plain)) for alpha in alphas],
            }
        )
    return {"trials": _TRIALS, "by_k": rows}


def _matched(alpha: float, plain: float, cost: float) -> dict[str, Any]:
    try:
        return {"alpha": alpha, "alpha_k": alpha_for_cost(alpha, plain, cost)}
    except ValueError:
        reason = "matched pairs are so near that no ratio perturbs as much as plain mixup does"
        return {"alpha": alpha, "alpha_k": None, "reason": reason}
