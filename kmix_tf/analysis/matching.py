"""What matching costs, and the alpha at which a matched mixup perturbs as much as a plain one."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf import _checks
from kmix_tf.analysis.segments import in_units
from kmix_tf.maths.samples import as_numbers, require_finite
from kmix_tf.maths.theta import alpha_for_cost

# Units above this, and below its inverse, have squares that leave room for sums and ratios.
_SMALL = 1e-120


@_checks.speaks
def mean_matching_cost(x: Any, k: int, trials: int = 100, seed: int = 0) -> float:
    """The mean squared distance of pairs that optimal transport makes of two random groups of k.

    Args:
        x: numeric `(n, ...)`, n >= 2 k.
        k: an integer >= 1. For k = 1 the mean over all pairs is exact.
        trials: how many pairs of groups to match, an integer >= 1. Groups of one shuffle are disjoint.
        seed: an integer >= 0.

    Returns:
        A float: the squared Wasserstein distance of two groups, W2^2, with weights 1/k, averaged.

    Raises:
        ValueError: for other arguments, too few samples, values that are not finite, or squares that are not.

    Source: k-mixup, Section 2 and Algorithm 1. Its xi squared is this times gamma_squared; its tables print xi.

    Example:
        >>> x = np.arange(8.0)
        >>> mean_matching_cost(x, 1)
        12.0
        >>> mean_matching_cost(x, 4) < 12
        True
    """
    (cost,), unit = _mean_costs(x, k, trials, seed, (k,))
    cost = cost * unit * unit
    if not np.isfinite(cost):
        raise _checks.problem(
            "x must be near enough for squared distances to be finite. Received: x with values as large as "
            f"{unit:.3g}. Divide x by that.",
        )
    return cost


@_checks.speaks
def match_alpha(x: Any, k: int, alpha: float, trials: int = 100, seed: int = 0) -> float:
    """The alpha_k with which k-mixup perturbs the data as much as plain mixup does with `alpha`.

    Args:
        x, k, trials, seed: as in `mean_matching_cost`.
        alpha: of plain mixup, finite and >= 0.

    Returns:
        alpha_k, a float >= alpha.

    Raises:
        ValueError: for other arguments, or if no alpha perturbs so much, with the most that k-mixup reaches.

    Source: k-mixup, Algorithm 1, in closed form: gamma_squared(alpha_k) xi_k = gamma_squared(alpha) xi_1, where
    gamma_squared(a) = E[min(l, 1-l)^2] and xi is `mean_matching_cost`.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 10))
        >>> match_alpha(x, 1, 0.5)
        0.5
        >>> 0.5 < match_alpha(x, 8, 0.5) < 2
        True
    """
    alpha = _checks.number("alpha", alpha)
    (plain, matched), unit = _mean_costs(x, k, trials, seed, (1, k))
    # Only their ratio counts, so that costs beyond floats may stay in the unit.
    square = unit * unit if _SMALL < unit < 1 / _SMALL else 1.0
    # Matching costs at most what random pairs do; a few trials may say otherwise.
    return alpha_for_cost(alpha, square * plain, square * min(matched, plain))


def _mean_costs(x: Any, k: Any, trials: Any, seed: Any, sizes: tuple[int, ...]) -> tuple[list[float], float]:
    """The mean cost of matching groups of each size, at most k, in squares of a unit; and the unit."""
    k = _checks.integer("k", k, minimum=1)
    x, unit = _points(x, k)
    trials = _checks.integer("trials", trials, minimum=1)
    seed = _checks.integer("seed", seed, minimum=0)
    return [_mean_cost(x, size, trials, seed) for size in sizes], unit


def _points(x: Any, k: int) -> tuple[np.ndarray, float]:
    x = as_numbers("x", x)
    if x.ndim == 0 or len(x) < 2 * k:
        raise _checks.problem(f"x must hold at least 2 k = {2 * k} samples. Received: x of shape {x.shape}.")
    if not x.size:
        raise _checks.problem(f"x must have features. Received: x of shape {x.shape}.")
    require_finite("x", x)
    return in_units(x)


def _mean_cost(x: np.ndarray, k: int, trials: int, seed: int) -> float:
    if k == 1:
        return float(2 * x.var(axis=0).sum() * len(x) / (len(x) - 1))
    generator = np.random.default_rng(seed)
    costs: list[float] = []
    while len(costs) < trials:
        order = generator.permutation(len(x))
        groups = order[: len(x) // (2 * k) * 2 * k].reshape(-1, 2, k)
        costs += [_matching_cost(x[first], x[second]) for first, second in groups[: trials - len(costs)]]
    return float(np.mean(costs))


def _matching_cost(first: np.ndarray, second: np.ndarray) -> float:
    cost = cdist(first, second, "sqeuclidean")
    return float(cost[linear_sum_assignment(cost)].mean())
