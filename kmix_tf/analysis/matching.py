"""What matching costs, and the alpha at which a matched mixup perturbs as much as a plain one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf import _checks
from kmix_tf.analysis.segments import in_units
from kmix_tf.maths.matched import (
    Costs,
    CostSummary,
    MatchedAlpha,
    draw_until,
    is_known,
    warn_of_precision,
)
from kmix_tf.maths.matched import matched_alpha as alpha_of_costs
from kmix_tf.maths.samples import as_numbers, require_finite
from kmix_tf.maths.theta import alpha_for_cost as alpha_for_cost
from kmix_tf.maths.theta import checked_alphas

# Units above this, and below its inverse, have squares that leave room for sums and ratios.
_SMALL = 1e-120
# Pairs of groups that are matched at most where none are asked for: seconds for k = 16, minutes for k = 256.
_MOST_TRIALS = 50_000


@_checks.speaks
def mean_matching_cost(x: Any, k: int, trials: int | None = None, seed: int = 0, precision: float = 0.02) -> float:
    """The mean squared distance of pairs that optimal transport makes of two random groups of k.

    Args:
        x: numeric `(n, ...)`, n >= 2 k, in any order.
        k: an integer >= 1. For k = 1 the mean over all pairs is exact.
        trials: how many pairs of groups to match, an integer >= 1; default None: as many as `precision` needs, at
            most 50,000. Groups of one shuffle are disjoint.
        seed: an integer >= 0.
        precision: the part of the result within which two standard errors shall be, > 0; default 0.02. What falls
            short of it after 50,000 trials is warned of.

    Returns:
        A float: the squared Wasserstein distance of two groups, W2^2, with weights 1/k, averaged.

    Raises:
        ValueError: for other arguments, too few samples, values that are not finite, or squares that are not.

    Source: k-mixup, Section 2 and Algorithm 1. Its xi squared is this times gamma_squared, see `perturbation`.

    Example:
        >>> x = np.arange(8.0)
        >>> mean_matching_cost(x, 1)
        12.0
        >>> mean_matching_cost(x, 4) < 12
        True
    """
    cost, unit = mean_cost(x, k, trials, seed, precision)
    cost = cost * unit * unit
    if not np.isfinite(cost):
        raise _checks.problem(
            "x must be near enough for squared distances to be finite. Received: x with values as large as "
            f"{unit:.3g}. Divide x by that.",
        )
    return cost


@_checks.speaks
def match_alpha(
    x: Any,
    k: int,
    alpha: float,
    trials: int | None = None,
    seed: int = 0,
    largest: float | None = None,
    precision: float = 0.03,
) -> float:
    """The alpha_k with which k-mixup perturbs the data as much as plain mixup does with `alpha`.

    Args:
        x, k, seed: as in `mean_matching_cost`.
        alpha: of plain mixup, finite and >= 0.
        trials: how many pairs of groups to match, an integer >= 1; default None: as many as `precision` needs, at
            most 50,000.
        largest: the result is at most this, a finite number >= alpha > 0: where xi is out of reach, no error but
            this is returned, the paper's threshold gamma. Default None: without bound. `matched_alpha` says what xi
            is reached.
        precision: the part of alpha_k within which two standard errors shall be, > 0; default 0.03. The nearer xi is
            to what no alpha reaches, the more trials that takes; what falls short after 50,000 is warned of.

    Returns:
        alpha_k, a float >= alpha. `matched_alpha` gives its standard error, too.

    Raises:
        ValueError: for other arguments, or if no alpha perturbs so much, with the most that k-mixup reaches.

    Source: k-mixup, Algorithm 1, in closed form: gamma_squared(alpha_k) xi_k = gamma_squared(alpha) xi_1, where
    gamma_squared(a) = E[min(l, 1-l)^2] and xi is `mean_matching_cost`. xi_1 is exact.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 10))
        >>> match_alpha(x, 1, 0.5)
        0.5
        >>> 0.5 < match_alpha(x, 8, 0.5) < 2
        True
        >>> match_alpha(x[:, :1], 64, 1.0, largest=16)
        16.0
    """
    return _matched(x, k, alpha, trials, seed, largest, precision).alpha


@_checks.speaks
def matched_alpha(
    x: Any,
    k: int,
    alpha: float,
    trials: int | None = None,
    seed: int = 0,
    largest: float | None = None,
    precision: float = 0.03,
) -> MatchedAlpha:
    """What `match_alpha` finds, how sure it is, and how far mixtures are then from their samples.

    Args:
        x, k, alpha, trials, seed, largest, precision: as in `match_alpha`.

    Returns:
        `MatchedAlpha(alpha, standard_error, perturbation, perturbation_error, plain_perturbation)`, floats: alpha_k;
        xi as `perturbation` gives it, of k-mixup with alpha_k, and of plain mixup with `alpha`. Where alpha_k is
        `largest`, k-mixup's may be less.

    Raises:
        ValueError: as `match_alpha`.

    Source: k-mixup, Algorithm 1.

    Example:
        >>> from kmix_tf.analysis import matched_alpha
        >>> x = np.random.default_rng(0).normal(size=(200, 10))
        >>> found = matched_alpha(x, 8, 0.5)
        >>> found.standard_error < 0.03 * found.alpha
        True
    """
    return _matched(x, k, alpha, trials, seed, largest, precision)


def _matched(x: Any, k: Any, alpha: Any, trials: Any, seed: Any, largest: Any, precision: Any) -> MatchedAlpha:
    alpha, largest = checked_alphas(alpha, largest)
    precision = _checks.positive("precision", precision)

    def known(costs: CostSummary) -> bool:
        return is_known(alpha, at_most_plain(costs), precision, largest)

    costs, unit, enough = drawn_costs(x, k, trials, seed, known)
    # Only their ratio counts for alpha, so that costs beyond floats may stay in the unit.
    square = unit * unit if _SMALL < unit < 1 / _SMALL else 1.0
    costs = at_most_plain(costs)
    costs = costs._replace(plain=square * costs.plain, matched=square * costs.matched)
    found = alpha_of_costs(alpha, costs, largest)
    if not enough:
        remedy = "Give largest=, a bound for alpha; or take a smaller alpha or k, or the precision there is."
        warn_of_precision("alpha", found.standard_error / found.alpha, precision, f"{_MOST_TRIALS:,} trials", remedy)
    # The root never left the range of floats.
    scale = unit if square == 1.0 else 1.0
    return found._replace(**{name: scale * getattr(found, name) for name in MatchedAlpha._fields[2:]})


def at_most_plain(costs: CostSummary) -> CostSummary:
    """Matching costs at most what random pairs do; a few trials may say otherwise."""
    return costs._replace(matched=min(costs.matched, costs.plain))


def mean_cost(x: Any, k: Any, trials: Any, seed: Any, precision: Any) -> tuple[float, float]:
    """The mean cost of matching groups of k, in squares of a unit; and the unit."""
    precision = _checks.positive("precision", precision)
    costs, unit, enough = drawn_costs(x, k, trials, seed, lambda costs: 2 * costs.matched_error <= precision)
    if not enough:
        draws = f"{_MOST_TRIALS:,} trials"
        warn_of_precision("the cost of matching", costs.matched_error, precision, draws, "Ask for less.")
    return costs.matched, unit


def drawn_costs(x: Any, k: Any, trials: Any, seed: Any, known: Any) -> tuple[CostSummary, float, bool]:
    """Costs in squares of a unit, of so many trials or until they are known; the unit; and whether they are."""
    k = _checks.integer("k", k, minimum=1)
    x, unit = _points(x, k)
    trials = None if trials is None else _checks.integer("trials", trials, minimum=1)
    seed = _checks.integer("seed", seed, minimum=0)
    plain = float(2 * x.var(axis=0).sum() * len(x) / (len(x) - 1))
    if k == 1:
        return CostSummary(plain, plain, 0.0, 0.0), unit, True
    costs = Costs()
    rounds = _trials(costs, x, k, seed, plain)
    if trials is None:
        enough = draw_until(known, costs, rounds, _MOST_TRIALS, f"{_checks.speaker()}: costs of matching", "trial")
        return costs.summary(), unit, enough
    for _ in range(trials):
        next(rounds)
    return costs.summary(), unit, True


def _trials(costs: Costs, x: np.ndarray, k: int, seed: int, plain: float) -> Iterator[bool]:
    """Matches pairs of random groups, for ever; those of one shuffle are disjoint. One may stop after any."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(x))
        for first, second in order[: len(x) // (2 * k) * 2 * k].reshape(-1, 2, k):
            costs.add(k, _matching_cost(x[first], x[second]), plain)
            yield True


def _points(x: Any, k: int) -> tuple[np.ndarray, float]:
    x = as_numbers("x", x)
    if x.ndim == 0 or len(x) < 2 * k:
        raise _checks.problem(f"x must hold at least 2 k = {2 * k} samples. Received: x of shape {x.shape}.")
    if not x.size:
        raise _checks.problem(f"x must have features. Received: x of shape {x.shape}.")
    require_finite("x", x)
    return in_units(x)


def _matching_cost(first: np.ndarray, second: np.ndarray) -> float:
    cost = cdist(first, second, "sqeuclidean")
    return float(cost[linear_sum_assignment(cost)].mean())
