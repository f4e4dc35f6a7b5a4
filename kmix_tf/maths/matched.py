"""The alpha at which matched pairs perturb as much as random ones, from costs drawn until it is known well enough."""

import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf._progress import progress
from kmix_tf.maths.theta import alpha_for_cost, theta_moments

# Draws before the first look at how they scatter: fewer say little about that.
_FEWEST = 16
# Looks become rarer as draws become more, so that chance has few occasions to look like precision.
_GROWTH = 1.3
# Standard errors that count as within the precision (95 of 100 times), and as out of reach for good.
_WITHIN, _SURE = 2.0, 3.0


class MatchedAlpha(NamedTuple):
    """The alpha of a matched mixup, and how much it perturbs.

    alpha: of Beta(alpha, alpha). standard_error: of alpha; infinity where a larger one cannot be ruled out.
    perturbation: xi, the root mean square perturbation that is reached with it. perturbation_error: its standard
    error. plain_perturbation: xi of plain mixup, which was asked for; more than `perturbation` where alpha is
    `largest`, or not to be reached.
    """

    alpha: float
    standard_error: float
    perturbation: float
    perturbation_error: float
    plain_perturbation: float


class Costs:
    """Mean squared distances, of matched pairs and of random ones, of the draws seen so far."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float, float]] = []

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, rows: float, matched: float, plain: float) -> None:
        """One draw: how many samples it has, and the mean squared distances of their pairs."""
        self._seen.append((rows, matched, plain))

    def take_for_random(self) -> None:
        """The matched pairs are random ones, too: what they cost is known exactly."""
        self._seen = [(rows, plain, plain) for rows, _, plain in self._seen]

    def summary(self) -> "CostSummary":
        """Means over all samples, and their relative standard errors."""
        rows, matched, plain = np.array(self._seen, dtype=np.float64).T
        total = rows.sum()
        cost, plain_cost = float(rows @ matched / total), float(rows @ plain / total)
        # Where batches that are spread widely cost more in both ways, their ratio scatters less than either.
        ratio = cost / plain_cost if plain_cost else 0.0
        of_ratio, of_cost = (
            float(np.sqrt(np.square(rows * apart).sum() * len(rows) / max(len(rows) - 1, 1)) / total)
            for apart in (matched - ratio * plain, matched - cost)
        )
        relative = [error / cost if cost else 0.0 for error in (of_ratio, of_cost)]
        return CostSummary(plain_cost, cost, *relative)


class CostSummary(NamedTuple):
    """Mean squared distances of random and of matched pairs; relative errors of their ratio and of the latter."""

    plain: float
    matched: float
    ratio_error: float
    matched_error: float


def matched_alpha(alpha: float, costs: CostSummary, largest: float | None = None) -> MatchedAlpha:
    """The alpha at which pairs of these costs perturb as much as random ones do with `alpha`; at most `largest`.

    Raises:
        ValueError: if there is none, and no `largest` to take instead.

    Source: k-mixup, Algorithm 1, in closed form; `largest` is its threshold gamma.
    """
    found = alpha_for_cost(alpha, costs.plain, costs.matched, largest)
    error = 0.0
    if costs.ratio_error:
        low, high = (
            _alpha_or_infinity(alpha, costs.plain, costs.matched * (1 + side * costs.ratio_error), largest)
            for side in (1, -1)
        )
        # Infinity for both: costs so near that rounding hides what alpha does.
        error = (high - low) / 2 if np.isfinite(high) else np.inf
    reached = perturbation_of(found, costs.matched)
    return MatchedAlpha(
        found, float(error), reached, reached * costs.matched_error / 2, perturbation_of(alpha, costs.plain)
    )


def perturbation_of(alpha: float, cost: float) -> float:
    """xi: the root mean square of how far samples are moved, with pairs at this mean squared distance."""
    return float(np.sqrt(theta_moments(alpha).gamma_squared) * np.sqrt(cost))


def is_known(alpha: float, costs: CostSummary, precision: float, largest: float | None) -> bool:
    """Whether alpha_k is known within the precision, or known not to exist."""
    if _alpha_or_infinity(alpha, costs.plain, costs.matched, largest) < np.inf:
        found = matched_alpha(alpha, costs, largest)
        return found.standard_error * _WITHIN <= precision * found.alpha
    surely = costs.matched * (1 + _SURE * costs.ratio_error)
    return _alpha_or_infinity(alpha, costs.plain, surely, largest) == np.inf


def draw_until(
    known: Callable[[CostSummary], bool], costs: Costs, rounds: Iterable[bool], most: int, title: str, unit: str
) -> bool:
    """Goes through rounds, which add to the costs, until these make something known, or are `most`.

    Args:
        rounds: say of each whether one may stop after it.
        title, unit: what a bar is called that a person sees meanwhile, and its rounds.

    Returns:
        Whether it is known.
    """
    step, look = progress(title, unit), _FEWEST
    for may_stop in rounds:
        step()
        if not may_stop or len(costs) < look:
            continue
        if known(costs.summary()):
            return True
        if len(costs) >= most:
            return False
        look = min(int(_GROWTH * len(costs)), most)
    return len(costs) > 0 and known(costs.summary())


def warn_of_precision(name: str, error: float, precision: float, draws: str, remedy: str) -> None:
    """Says that the cap came first, and how precise the result is."""
    reached = f"within {_WITHIN * error:.2g} of itself" if np.isfinite(error) else "from below only"
    warnings.warn(
        f"{_checks.speaker()}: {name} is known {reached}, after {draws}. Received: precision={precision:g}. {remedy}",
        stacklevel=2,
    )


def _alpha_or_infinity(alpha: float, plain: float, cost: float, largest: float | None) -> float:
    try:
        return alpha_for_cost(alpha, plain, cost, largest)
    except ValueError:
        return np.inf
