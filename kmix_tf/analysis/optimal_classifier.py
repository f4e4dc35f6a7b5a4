"""What a model that fits mixtures perfectly says at a point: the mixup-optimal classifier."""

import abc
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import betainc, betaln

from kmix_tf import _checks
from kmix_tf.analysis.chords import Ball, Chords, ball_around, chords_from_inside, chords_past
from kmix_tf.maths.samples import as_numbers, labelled

# Below this mass in the ball, all chords are far in the tails of the ratio, and are weighed by logarithms.
_DEEP = 1e-250
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
# Ratios worked on together, few enough to stay in a processor's cache.
_CACHED = 2**13
# Of the table of a distribution's integrated cdf: the error of a cell, and its narrowest.
_CELL_ERROR, _NARROWEST = 1e-10, 2.0**-60


@_checks.speaks
def mixup_optimal_classifier(x: Any, y: Any, points: Any, alpha: Any, radius: float) -> np.ndarray:
    """The best prediction that is constant in a ball around each point, for mixtures of the data: exact.

    It is the mean label of all mixtures in the ball, over all n^2 pairs, a sample with itself included, and all
    ratios. With small radius, it is what a model that fits mixtures perfectly says at the point. It is not
    continuous in the point nor the radius: it jumps where a sample enters the ball.

    Args:
        x: numeric `(n, ...)`, finite, n >= 1.
        y: integer classes `(n,)` of max(y) + 1 classes, at most 16,384; or one-hot or soft labels `(n, classes)`.
        points: numeric `(points, ...)`, of the shape of x but for the first axis.
        alpha: of Beta(alpha, alpha), finite and >= 0; 0 means no mixing. Or any other symmetric distribution on
            [0, 1]: a frozen SciPy one, or anything with a vectorised `cdf`, which may jump.
        radius: of the open balls, > 0, in the units of x.

    Returns:
        `(points, classes)`, float64. Rows sum to 1. Where no mixture comes into the ball, the classifier is
        undefined, and the row is NaN. Rows are right to 1e-8 for Beta with alpha from 1e-3 to 1e6 and balls down to
        1e-6 of the chords; to 1e-6 with a `cdf`, also where it jumps.

    Raises:
        TypeError: if alpha is neither a number nor a distribution.
        ValueError: for other arguments.

    Source: Towards Understanding the Data Dependency of Mixup-style Training, Lemma 2.3. In its eq. (1), the factor
    2(...) belongs inside the sum over q: the denominator is the mass in the ball.

    Example:
        >>> from kmix_tf.analysis.optimal_classifier import mixup_optimal_classifier
        >>> x, y = [[0.0], [1.0], [2.0]], [0, 1, 0]
        >>> mixup_optimal_classifier(x, y, [[1.0]], alpha=1.0, radius=0.1).round(3).tolist()
        [[0.138, 0.862]]
        >>> mixup_optimal_classifier(x, y, [[1.0]], alpha=1e6, radius=0.1).round(3).tolist()  # 1 is between two 0
        [[0.667, 0.333]]
    """
    law = ratio_law(alpha)
    radius = _checks.positive("radius", radius)
    x, points = as_numbers("x", x), as_numbers("points", points)
    shape = x.shape
    x, y, _ = labelled(x, y)
    if points.shape[1:] != shape[1:] or points.ndim != len(shape) or not np.isfinite(points).all():
        raise _checks.problem(
            f"points must be finite and of shape {('points', *shape[1:])}, as x is. "
            f"Received: points of shape {points.shape}{'' if np.isfinite(points).all() else ', not all finite'}."
        )
    points = points.reshape(len(points), x.shape[1])
    weights = [mixture_weights(ball_around(point, x, radius), law) for point in points]
    return label_means(np.array(weights).reshape(len(points), len(x)), y)


def label_means(weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels weighted by rows of weights; NaN where all weights are 0."""
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights @ y, total, out=np.full((len(weights), y.shape[1]), np.nan), where=total > 0)


def mixture_weights(
    ball: Ball, law: "Law | None", chords: Callable[[], Iterable[Chords]] | None = None
) -> np.ndarray:
    """What each sample's label counts in the ball: the mass of mixtures there, times their share of the sample.

    Args:
        ball: around the point.
        law: of the ratio, from `ratio_law`.
        chords: gives `chords_of(ball)`, where they are kept.

    Returns:
        `(n,)`, float64, up to a factor.
    """
    inside = ball.inside.astype(np.float64)
    if law is None:
        return inside
    chords = chords or (lambda: chords_of(ball))
    # Pairs within the ball, each sample with itself among them, are there with all their mass.
    weights = inside * inside.sum()
    for block in chords():
        mass, moment = law.masses(block)
        weights += _shared(block, mass, moment, len(weights))
    if weights.sum() < _DEEP and isinstance(law, BetaLaw) and law.alpha > 1:
        return _deep_weights(chords(), law, len(weights))
    return weights


def chords_of(ball: Ball) -> Iterable[Chords]:
    """All chords that meet the ball and are not within it, in blocks."""
    return itertools.chain(chords_from_inside(ball), chords_past(ball))


def _shared(chords: Chords, mass: np.ndarray, moment: np.ndarray, size: int) -> np.ndarray:
    """Each unordered pair stands for two ordered ones, which by symmetry give the same."""
    return 2 * (np.bincount(chords.first, moment, size) + np.bincount(chords.second, mass - moment, size))


def _deep_weights(blocks: Iterable[Chords], law: "BetaLaw", size: int) -> np.ndarray:
    """The weights relative to the largest of them: all are too small for floats."""
    weights, peak = np.zeros(size), -np.inf
    for chords in blocks:
        log_mass, position = law.deep_masses(chords)
        highest = max(peak, log_mass.max(initial=-np.inf))
        if highest > -np.inf:
            mass = np.exp(log_mass - highest)
            weights = weights * np.exp(peak - highest) + _shared(chords, mass, mass * position, size)
            peak = highest
    return weights


def ratio_law(alpha: Any) -> "Law | None":
    """The distribution of ratios; None for no mixing."""
    if callable(getattr(alpha, "cdf", None)):
        return CdfLaw(alpha.cdf)
    if not isinstance(alpha, (int, float, np.number)) and not np.isscalar(alpha):
        _checks.refuse("alpha", "a number, or a symmetric distribution on [0, 1] with a cdf", alpha, TypeError)
    alpha = _checks.number("alpha", alpha)
    return BetaLaw(alpha) if alpha else None


def _folded(chords: Chords) -> tuple[np.ndarray, ...]:
    """Intervals mirrored so that their middle is at most 1/2: mirrored, low, high, 1 - high."""
    mirrored = chords.low > chords.high_rest
    low = np.where(mirrored, chords.high_rest, chords.low)
    high = np.where(mirrored, chords.low_rest, chords.high)
    return mirrored, low, high, np.where(mirrored, chords.low, chords.high_rest)


class Law(abc.ABC):
    """A symmetric distribution of ratios, given by its tails: mass and first moment of [0, v] for v <= 1/2.

    Tails are reflected: near 1 a cdf has lost the digits that matter.
    """

    @abc.abstractmethod
    def tails(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mass and first moment of [0, v], for v <= 1/2."""

    def masses(self, chords: Chords) -> tuple[np.ndarray, np.ndarray]:
        """The mass of each chord's interval of ratios, and its first moment; `(m,)` each."""
        mirrored, low, high, rest = _folded(chords)
        left = high < 0.5
        (low_mass, low_moment), (mass, moment) = self.tails(low), self.tails(np.where(left, high, rest))
        moment = np.where(left, moment - low_moment, 0.5 - low_moment - (mass - moment))
        mass = np.maximum(np.where(left, mass - low_mass, 1 - low_mass - mass), 0)
        # Rounding must not carry the mean out of the interval.
        moment = np.clip(moment, low * mass, high * mass)
        return mass, np.where(mirrored, mass - moment, moment)


class BetaLaw(Law):
    """Beta(alpha, alpha). With I the regularised incomplete beta function, the mass of [0, v] is I_v(alpha, alpha),
    the first moment 1/2 I_v(alpha + 1, alpha), which is 1/2 of the mass less v^a (1-v)^a / (a B(a, a))."""

    def __init__(self, alpha: float):
        self.alpha = alpha
        self._log_scale = -np.log(alpha) - betaln(alpha, alpha)
        # Where SciPy's function is the most of all the work.
        self._excess = _excess_series(alpha) if alpha < 1 else None

    def tails(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._excess is not None:
            return self._tails_by_series(self._excess, v)
        mass = betainc(self.alpha, self.alpha, v)
        with np.errstate(divide="ignore"):
            step = np.exp(self.alpha * (np.log(v) + np.log1p(-v)) + self._log_scale)
        return mass, np.maximum(mass - step, 0) / 2

    def _tails_by_series(self, series: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mass, moment = np.empty_like(v), np.empty_like(v)
        for start in range(0, len(v), _CACHED):
            these = slice(start, start + _CACHED)
            part = v[these]
            with np.errstate(divide="ignore"):
                step = np.exp(self.alpha * np.log(part * (1 - part)) + self._log_scale)
            excess = step * part * _horner(series, 4 * part - 1)
            mass[these], moment[these] = step + excess, excess / 2
        return mass, moment

    def deep_masses(self, chords: Chords) -> tuple[np.ndarray, np.ndarray]:
        """The logarithm of the mass of each chord's interval, and its mean ratio; for intervals deep in a tail.

        There, the density falls from the interval's upper end at least as fast as exp(-s), for s in units of the
        logarithm's slope at that end: a smooth integral, to 1e-12 by 48 nodes.
        """
        mirrored, low, high, rest = _folded(chords)
        log_mass, position = np.empty(len(low)), np.empty(len(low))
        for start in range(0, len(low), 2**15):
            these = slice(start, start + 2**15)
            log_mass[these], position[these] = self._deep(low[these], high[these], rest[these])
        return log_mass, np.where(mirrored, 1 - position, position)

    def _deep(self, low: np.ndarray, high: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = (self.alpha - 1) * (1 / high - 1 / rest)
        length = np.minimum(slope * (high - low), 40.0)
        steps = length * (_NODES[:, np.newaxis] + 1) / 2 / slope
        density = np.exp((self.alpha - 1) * (np.log1p(-steps / high) + np.log1p(steps / rest)))
        density *= _WEIGHTS[:, np.newaxis]
        sums = density.sum(axis=0)
        scale = (self.alpha - 1) * (np.log(high) + np.log(rest)) - betaln(self.alpha, self.alpha)
        with np.errstate(divide="ignore"):
            log_mass = scale + np.log(sums * length / 2 / slope)
        return log_mass, high - (density * steps).sum(axis=0) / sums


def _excess_series(alpha: float) -> np.ndarray:
    """(mass / step - 1) / v on [0, 1/2] as a polynomial in 4 v - 1, for alpha < 1, to 2e-14; highest degree first.

    It is the power series of the products of (2 alpha + n) / (alpha + 1 + n), whose nearest pole is at 1.
    """
    n = np.arange(80)
    terms = np.cumprod((2 * alpha + n) / (alpha + 1 + n))[::-1]
    series = chebyshev.Chebyshev.interpolate(lambda t: _horner(terms, (t + 1) / 4), 22)
    return chebyshev.cheb2poly(series.coef)[::-1]


def _horner(coefficients: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The polynomial's values."""
    values = np.full_like(at, coefficients[0])
    for coefficient in coefficients[1:]:
        values *= at
        values += coefficient
    return values


class CdfLaw(Law):
    """Any symmetric distribution by its cdf F, which may jump. The first moment of [0, v] is by parts
    v F(v) - G(v), with G the integral of F, from a table right to about 1e-9."""

    def __init__(self, cdf: Callable):
        self._given = cdf
        self._check()
        self._grid, values = self._cells()
        self._values = values
        areas = np.diff(self._grid) * (values[1:] + values[:-1]) / 2
        self._areas = np.append(0, np.cumsum(areas))

    def _cdf(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(self._given(u), dtype=np.float64)

    def tails(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # A chord whose end is in the ball keeps the ratio 0, whatever its mass.
        mass = np.where(v > 0, self._cdf(v), 0)
        cell = np.clip(np.searchsorted(self._grid, v, side="right") - 1, 0, len(self._grid) - 2)
        area = self._areas[cell] + (v - self._grid[cell]) * (self._values[cell] + mass) / 2
        return mass, np.clip(v * mass - area, 0, v * mass)

    def _check(self) -> None:
        probes = (np.arange(24) + np.sqrt(0.5)) / 49
        left, right = self._cdf(probes), 1 - self._cdf(1 - probes)
        ends = self._cdf(np.array([-1e-12, 1.0]))
        shapes = {left.shape, right.shape} == {probes.shape} and ends.shape == (2,)
        if not shapes or not np.isfinite([*left, *right, *ends]).all():
            raise _checks.problem("alpha must have a vectorised, finite cdf. Received: another, or NaN.")
        if np.abs(left - right).max() > 1e-6 or ends[0] > 1e-12 or ends[1] < 1 - 1e-9 or (np.diff(left) < 0).any():
            raise _checks.problem(
                f"alpha must be a symmetric distribution on [0, 1]. Received: one whose cdf and mirrored "
                f"cdf differ by up to {np.abs(left - right).max():g}, from {ends[0]:g} at 0 to {ends[1]:g} at 1."
            )

    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """A grid on [0, 1/2] fine where the cdf rises: it is monotone, so width times rise bounds a cell's error."""
        grid = np.linspace(0, 0.5, 257)
        values = self._cdf(grid)
        while True:
            widths = np.diff(grid)
            coarse = np.flatnonzero((widths * np.diff(values) > _CELL_ERROR) & (widths > _NARROWEST))
            if not len(coarse):
                return grid, values
            middles = (grid[coarse] + grid[coarse + 1]) / 2
            grid, values = (
                np.insert(old, coarse + 1, new) for old, new in ((grid, middles), (values, self._cdf(middles)))
            )
