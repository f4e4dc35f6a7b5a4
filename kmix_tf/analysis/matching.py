"""What matching costs, and the alpha at which a matched mixup perturbs as much as a plain one."""

from typing import Any

import numpy as np
from scipy.optimize import brentq, linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf import _checks
from kmix_tf.analysis.samples import as_numbers, require_finite
from kmix_tf.analysis.segments import in_units
from kmix_tf.analysis.theta import theta_moments

# The logarithm of the largest alpha looked at: there, ratios are 1/2 but for a millionth.
_LARGEST = np.log(1e12)
# Units above this, and below its inverse, have squares that leave room for sums and ratios.
_SMALL = 1e-120


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
    owner = "mean_matching_cost"
    (cost,), unit = _mean_costs(owner, x, k, trials, seed, (k,))
    cost = cost * unit * unit
    if not np.isfinite(cost):
        _checks.complain(
            owner,
            "x must be near enough for squared distances to be finite. Received: x with values as large as "
            f"{unit:.3g}. Divide x by that.",
        )
    return cost


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
    alpha = _checks.number("match_alpha", "alpha", alpha)
    (plain, matched), unit = _mean_costs("match_alpha", x, k, trials, seed, (1, k))
    # Only their ratio counts, so that costs beyond floats may stay in the unit.
    square = unit * unit if _SMALL < unit < 1 / _SMALL else 1.0
    # Matching costs at most what random pairs do; a few trials may say otherwise.
    return alpha_for_cost(alpha, square * plain, square * min(matched, plain))


def alpha_for_cost(alpha: float, plain_cost: float, cost: float) -> float:
    """The alpha that makes up for pairs being nearer: gamma_squared(result) cost = gamma_squared(alpha) plain_cost.

    Raises:
        ValueError: if there is none, because gamma_squared stays below 1/4.
    """
    if alpha == 0 or abs(cost - plain_cost) <= 1e-9 * plain_cost:
        return alpha
    wanted = theta_moments(alpha).gamma_squared * plain_cost

    def excess(log_alpha: float) -> float:
        return theta_moments(np.exp(log_alpha)).gamma_squared * cost - wanted

    low = high = np.log(alpha)
    while excess(low) > 0:
        low -= 2
    while excess(high) < 0 and high < _LARGEST:
        high += 2
    if excess(high) < 0:
        raise ValueError(
            f"match_alpha: no alpha makes matched pairs, whose mean squared distance is {cost:.6g}, perturb as much "
            f"as alpha={alpha:g} does random ones, at {plain_cost:.6g}. Received: a mean squared perturbation of "
            f"{wanted:.6g} asked for; the largest reachable is below {cost / 4:.6g}. Take a smaller alpha or k."
        )
    return float(np.exp(brentq(excess, low, high, xtol=1e-12))) if low < high else alpha


def _mean_costs(
    owner: str, x: Any, k: Any, trials: Any, seed: Any, sizes: tuple[int, ...]
) -> tuple[list[float], float]:
    """The mean cost of matching groups of each size, at most k, in squares of a unit; and the unit."""
    k = _checks.integer(owner, "k", k, minimum=1)
    x, unit = _points(owner, x, k)
    trials = _checks.integer(owner, "trials", trials, minimum=1)
    seed = _checks.integer(owner, "seed", seed, minimum=0)
    return [_mean_cost(x, size, trials, seed) for size in sizes], unit


def _points(owner: str, x: Any, k: int) -> tuple[np.ndarray, float]:
    x = as_numbers(owner, "x", x)
    if x.ndim == 0 or len(x) < 2 * k:
        raise ValueError(f"{owner}: x must hold at least 2 k = {2 * k} samples. Received: x of shape {x.shape}.")
    if not x.size:
        raise ValueError(f"{owner}: x must have features. Received: x of shape {x.shape}.")
    require_finite(owner, "x", x)
    return in_units(x)


def _mean_cost(x: np.ndarray, k: int, trials: int, seed: int) -> float:
    if k == 1:
        return float(2 * x.var(axis=0).sum() * len(x) / (len(x) - 1))
    generator = np.random.default_rng(seed)
    costs = []
    while len(costs) < trials:
        order = generator.permutation(len(x))
        groups = order[: len(x) // (2 * k) * 2 * k].reshape(-1, 2, k)
        costs += [_matching_cost(x[first], x[second]) for first, second in groups[: trials - len(costs)]]
    return float(np.mean(costs))


def _matching_cost(first: np.ndarray, second: np.ndarray) -> float:
    cost = cdist(first, second, "sqeuclidean")
    return cost[linear_sum_assignment(cost)].mean()
