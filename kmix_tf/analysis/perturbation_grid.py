"""Which k and alpha to try: pairs of them that perturb the data equally far."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from kmix_tf import _checks
from kmix_tf.analysis.matching import at_most_plain, drawn_costs
from kmix_tf.maths.matched import CostSummary, is_known, matched_alpha, perturbation_of, warn_of_precision
from kmix_tf.maths.theta import alpha_for_cost

# Above it, ratios are so near 1/2 that xi hardly depends on alpha, which need not be known so well.
_LARGE = 100.0

SIMPLE, TWO_STAGE, FULL = STRATEGIES = ("simple", "two-stage", "full")


class GridPoint(NamedTuple):
    """A k and an alpha to try.

    k, alpha: of `KMixupLayer`. xi: how far they perturb, as `perturbation` gives it. strategy: "simple", "two-stage"
    or "full". plain_alpha: of the plain mixup that perturbs by `wanted`: the row of the grid. wanted: the xi asked
    for. in_reach: whether some alpha has it; otherwise alpha is `largest`, or infinity, and xi what that reaches.
    """

    k: int
    alpha: float
    xi: float
    strategy: str
    plain_alpha: float
    wanted: float
    in_reach: bool


@_checks.speaks
def perturbation_grid(
    x: Any,
    ks: Iterable[int] = (1, 2, 4, 8, 16),
    alphas: Iterable[float] = (0.1, 0.2, 0.5, 1.0, 2.0),
    strategy: str | None = None,
    best: float | None = None,
    largest: float | None = None,
    trials: int | None = None,
    seed: int = 0,
    precision: float = 0.03,
) -> list[GridPoint]:
    """The (k, alpha) to search over, by the three ways in which the k-mixup paper searches.

    "simple": alpha = 1 for each k. "two-stage": first k = 1 with each of `alphas`, to find the xi that is best; then,
    told by `best` which alpha that was, each other k at this xi. "full": each k at the xi of each alpha.

    Args:
        x: as in `mean_matching_cost`, at least 2 max(ks) samples; scaled as the model is given it.
        ks: different integers >= 1, default powers of 2 up to 16, which the paper finds enough.
        alphas: of plain mixup, different numbers, finite and >= 0; each stands for the xi that it has with k = 1.
        strategy: one of the three; default None: all of them, one after another.
        best: one of `alphas`, for the second stage of "two-stage"; default None: its first stage alone.
        largest: what stands for alpha where xi is out of reach, a finite number >= all alphas; default None:
            infinity, which is ratios of 1/2 and no alpha of a layer.
        trials, seed: as in `match_alpha`, for each k above 1.
        precision: the part of alpha, and of xi squared, within which two standard errors shall be, > 0; default
            0.03. Alphas above 100 are known less well: xi hardly depends on them.

    Returns:
        A list of `GridPoint(k, alpha, xi, strategy, plain_alpha, wanted, in_reach)`, by strategy, alpha and k. What
        is out of reach is in it, with `in_reach` False, and is warned of.

    Raises:
        ValueError: for other arguments, too few samples, or values that are not finite.

    Source: k-mixup, Appendix A, for the strategies; Algorithm 1, in closed form, for equal xi; Section 5.2 for xi.

    Example:
        >>> from kmix_tf.analysis import perturbation_grid
        >>> x = np.random.default_rng(0).normal(size=(200, 10))
        >>> grid = perturbation_grid(x, ks=[1, 4], alphas=[0.5, 1.0], strategy="full")
        >>> [(point.k, point.plain_alpha) for point in grid]
        [(1, 0.5), (4, 0.5), (1, 1.0), (4, 1.0)]
        >>> grid[0].alpha, grid[1].alpha > 0.5, round(grid[1].xi / grid[0].xi, 6)
        (0.5, True, 1.0)
    """
    ks = _listed("ks", ks, lambda name, value: _checks.integer(name, value, minimum=1))
    alphas = _listed("alphas", alphas, _checks.number)
    chosen = STRATEGIES if strategy is None else (_checks.choice("strategy", strategy, STRATEGIES),)
    if best is not None and (isinstance(best, bool) or best not in alphas):
        _checks.refuse("best", f"one of alphas, {alphas}", best)
    if largest is not None and _checks.positive("largest", largest) < max(alphas):
        _checks.refuse("largest", f">= all alphas, of which {max(alphas):g} is one", largest)
    wanted = _wanted(chosen, ks, alphas, best)
    known = _known_costs(x, wanted, (trials, seed, _checks.positive("precision", precision)), largest)
    points = [_point(*each, *known[each[0]], largest) for each in wanted]
    _warn_of_reach(points, largest)
    return points


def _listed(name: str, values: Any, checked: Callable[[str, Any], Any]) -> list[Any]:
    try:
        values = [checked(name, value) for value in values]
    except TypeError:
        _checks.refuse(name, "a list of numbers", values, TypeError)
    if not values or len(set(values)) < len(values):
        _checks.refuse(name, "a list of different numbers, at least one", values)
    return values


def _wanted(
    strategies: Sequence[str], ks: list[int], alphas: list[float], best: float | None
) -> list[tuple[int, float, str]]:
    """k, the alpha of plain mixup whose xi is wanted, and the strategy, of each point; alpha itself if "simple"."""
    wanted: list[tuple[int, float, str]] = []
    if SIMPLE in strategies:
        wanted += [(k, 1.0, SIMPLE) for k in ks]
    if TWO_STAGE in strategies:
        wanted += [(1, alpha, TWO_STAGE) for alpha in alphas]
        wanted += [(k, best, TWO_STAGE) for k in ks if best is not None and k > 1]
    if FULL in strategies:
        wanted += [(k, alpha, FULL) for alpha in alphas for k in ks]
    return wanted


def _known_costs(
    x: Any, wanted: list[tuple[int, float, str]], how: tuple[Any, Any, float], largest: float | None
) -> dict[int, tuple[CostSummary, float]]:
    """For each k, what matching costs, in squares of a unit, and the unit; drawn once for all its alphas."""
    trials, seed, precision = how
    costs = {}
    for k in sorted({k for k, *_ in wanted}):
        matched = [alpha for other, alpha, strategy in wanted if other == k and strategy != SIMPLE]

        def known(drawn: CostSummary, alphas: list[float] = matched) -> bool:
            drawn = at_most_plain(drawn)
            bound = max(largest or _LARGE, *alphas, 0.0)
            within = all(is_known(alpha, drawn, precision, bound) for alpha in alphas)
            return within and 2 * drawn.matched_error <= precision

        summary, unit, enough = drawn_costs(x, k, trials, seed, known)
        if not enough:
            draws = f"the most trials of k={k} that are made"
            warn_of_precision("the cost of matching", summary.matched_error, precision, draws, "Ask for less.")
        costs[k] = at_most_plain(summary), unit
    return costs


def _point(k: int, alpha: float, strategy: str, costs: CostSummary, unit: float, largest: float | None) -> GridPoint:
    if strategy == SIMPLE:
        xi = perturbation_of(alpha, costs.matched) * unit
        return GridPoint(k, alpha, xi, strategy, alpha, xi, True)
    wanted = perturbation_of(alpha, costs.plain) * unit
    try:
        alpha_for_cost(alpha, costs.plain, costs.matched)
        in_reach = True
    except ValueError:
        in_reach = False
    if not in_reach and largest is None:
        return GridPoint(k, math.inf, math.sqrt(costs.matched) / 2 * unit, strategy, alpha, wanted, False)
    found = matched_alpha(alpha, costs, largest)
    # A bound that is in the way is one, though some larger alpha would do.
    in_reach = in_reach and (largest is None or found.alpha < largest or math.isclose(largest, alpha))
    return GridPoint(k, found.alpha, found.perturbation * unit, strategy, alpha, wanted, in_reach)


def _warn_of_reach(points: list[GridPoint], largest: float | None) -> None:
    """Says which points do not perturb as far as they should."""
    bound = "" if largest is None else f" up to {largest:g}"
    out = [f"k={point.k} at the xi of alpha={point.plain_alpha:g}" for point in points if not point.in_reach]
    if out:
        out = list(dict.fromkeys(out))
        warnings.warn(
            f"{_checks.speaker()}: no alpha{bound} perturbs as far as was asked for {', '.join(out)}: matched pairs "
            "are too near. These points have in_reach=False. Take smaller ks or alphas.",
            stacklevel=4,
        )
