"""The ratio of a mixture as seen from its nearer end: theta, the ratio's distribution folded to [1/2, 1]."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.integrate import quad_vec
from scipy.optimize import brentq
from scipy.special import betainc, betaln, expit

from kmix_tf import _checks
from kmix_tf.seeding import as_seed

# Distances to 0 are integrated over as expit(-s) / 2: from 1/2 - 1e-20 at s = -45 down to 1e-304 at s = 700,
# evenly in orders of magnitude at both ends, where a density may be infinite or a thousandth wide.
_ENDS = (-45.0, 700.0)
_POINTS = np.linspace(*_ENDS, 150)[1:-1]
# The logarithm of the largest alpha looked at: there, ratios are 1/2 but for a millionth.
_LARGEST = np.log(1e12)
# No point mass of an ordinary distribution is here.
_PROBES = (np.arange(24) + np.sqrt(0.5)) / 49


class ThetaMoments(NamedTuple):
    """mean: theta_bar, in [1/2, 1]. variance: of theta. gamma_squared: variance + (1 - mean)^2 = E[min(l, 1-l)^2]."""

    mean: float
    variance: float
    gamma_squared: float


@_checks.speaks
def theta_moments(alpha: float) -> ThetaMoments:
    """Moments of theta, the larger of a ratio and its complement, in closed form.

    Args:
        alpha: of Beta(alpha, alpha), finite and >= 0. 0 means no mixing: theta is 1. For other distributions, see
            `theta_moments_of` and `theta_moments_sampled`.

    Returns:
        Floats mean (theta_bar), variance and gamma_squared; right to 1e-8 relative from alpha = 1e-3 to 1e6.

    Raises:
        ValueError: if alpha is negative, NaN or infinite.

    Source: On Mixup Regularization, Theorem 1 and Algorithm 1. With m = 2^(-2 alpha) / (alpha B(alpha, alpha)), the
    mean is 1/2 + m, the variance 1 / (4 (2 alpha + 1)) - m^2.

    Example:
        >>> moments = theta_moments(1.0)
        >>> round(moments.mean, 6), round(moments.variance, 6), round(moments.gamma_squared, 6)
        (0.75, 0.020833, 0.083333)
    """
    alpha = _checks.number("alpha", alpha)
    if alpha == 0:
        return ThetaMoments(1.0, 0.0, 0.0)
    m = np.exp(-2 * alpha * np.log(2.0) - np.log(alpha) - betaln(alpha, alpha))
    # Not variance + (1 - mean)^2: this form keeps its precision where ratios are almost 0 or 1.
    gamma_squared = (alpha + 1) / (2 * alpha + 1) * betainc(alpha + 2, alpha, 0.5)
    variance = 1 / (4 * (2 * alpha + 1)) - m**2
    return ThetaMoments(float(0.5 + m), float(variance), float(gamma_squared))


@_checks.speaks
def theta_moments_of(distribution: Any) -> ThetaMoments:
    """Moments of theta for any symmetric distribution of the ratio, by quadrature.

    Args:
        distribution: a SciPy frozen distribution on [0, 1], or anything else with a `cdf`, which may have point
            masses; or a density, a callable of one float in (0, 1). Densities may be infinite at 0 and 1. A peak of
            standard deviation below 0.001 may be missed, and is refused then; its cdf is not.

    Returns:
        Floats mean (theta_bar), variance and gamma_squared; right to 1e-8 relative for Beta(alpha, alpha) with alpha
        from 1e-3 to 1e6.

    Raises:
        TypeError: for anything else.
        ValueError: if it is not symmetric, not a distribution on [0, 1], or a density does not integrate to 1. The
            last cannot be seen of a density so singular that a part of its mass is below 1e-300, as of Beta(alpha,
            alpha) with alpha < 0.03; it must be right then.

    Source: On Mixup Regularization, Theorem 1, which holds for any symmetric distribution.

    Example:
        >>> from scipy.stats import beta
        >>> round(theta_moments_of(beta(0.3, 0.3)).mean / theta_moments(0.3).mean, 9)
        1.0
        >>> round(theta_moments_of(lambda ratio: 6 * ratio * (1 - ratio)).mean, 9)
        0.6875
    """
    if callable(getattr(distribution, "cdf", None)):
        return _moments_of_cdf(distribution.cdf)
    if not callable(distribution):
        rule = "a frozen SciPy distribution on [0, 1], or a density"
        _checks.refuse("distribution", rule, distribution, TypeError)
    return _moments_of_density(distribution)


@_checks.speaks
def theta_moments_sampled(sample: Callable, draws: int = 2**20, seed: int = 0) -> ThetaMoments:
    """Moments of theta for a ratio that is only known by its sampler: means over draws of it.

    Args:
        sample: a callable `(shape, seed) -> float tensor` with values in [0, 1], as `DistributionRatio` takes it.
        draws: how many, an integer >= 1. theta's standard deviation is at most 1/4, so the mean's standard error is
            at most 1 / (4 sqrt(draws)): 0.00025 for the default.
        seed: an integer >= 0.

    Returns:
        Floats mean (theta_bar), variance and gamma_squared.

    Raises:
        ValueError: for other arguments, or ratios outside [0, 1].

    Source: On Mixup Regularization, Theorem 1.

    Example:
        >>> moments = theta_moments_sampled(tf.random.stateless_uniform)
        >>> abs(moments.mean - 0.75) < 0.001
        True
    """
    draws = _checks.integer("draws", draws, minimum=1)
    seed = as_seed(_checks.integer("seed", seed, minimum=0))
    ratios = np.asarray(sample(tf.constant([draws]), tf.cast(seed, tf.int32)), dtype=np.float64)
    if ratios.shape != (draws,) or not ((ratios >= 0) & (ratios <= 1)).all():
        raise _checks.problem(
            f"sample must give {draws} ratios in [0, 1]. Received: shape {ratios.shape}, from "
            f"{ratios.min():g} to {ratios.max():g}."
        )
    smaller = np.minimum(ratios, 1 - ratios)
    return ThetaMoments(float(1 - smaller.mean()), float(smaller.var()), float(np.square(smaller).mean()))


def _moments_of_cdf(cdf: Callable) -> ThetaMoments:
    """With d = 1/2 - min(l, 1-l), E[d] is the integral of P(d > v) = 2 F(1/2 - v), and so on: no density needed."""
    _require_symmetric("cdf", [float(cdf(u)) for u in _PROBES], [1 - float(cdf(1 - u)) for u in _PROBES])
    below, above = float(cdf(-1e-12)), float(cdf(1.0))
    if below > 1e-12 or above < 1 - 1e-9:
        raise ValueError(
            "theta_moments_of: distribution must be one on [0, 1]. Received: a probability of "
            f"{below:g} below 0 and {1 - above:g} above 1."
        )

    def integrands(u: float, d: float) -> np.ndarray:
        mass = 2 * float(cdf(u))
        return np.array([mass, 2 * d * mass, 2 * u * (1 - mass)])

    d, d_squared, gamma_squared = _integral(integrands)
    return ThetaMoments(float(0.5 + d), float(d_squared - d**2), float(gamma_squared))


def _moments_of_density(density: Callable) -> ThetaMoments:
    _require_symmetric("density", [float(density(u)) for u in _PROBES], [float(density(1 - u)) for u in _PROBES])

    def moments(centre: float) -> np.ndarray:
        return _integral(lambda u, _: 2 * float(density(u)) * np.array([1, u, u**2, (u - centre) ** 2]))

    mass, smaller, gamma_squared, _ = moments(0.5)
    lost = 1 - mass
    least = np.exp(-_ENDS[1]) / 2
    is_complete = least * float(density(least)) < 1e-9
    if not np.isfinite(mass) or lost < -1e-6 or (is_complete and lost > 1e-6):
        raise ValueError(
            "theta_moments_of: distribution must be a density that integrates to 1 over [0, 1]. Received: one that "
            f"integrates to {mass:g}. Divide by that; or, if it has a very thin peak, give its cdf."
        )
    # Mass too near 0 to be integrated over is at 0. A second pass about the mean keeps the variance's precision.
    variance = moments(smaller)[3] + (0.0 if is_complete else smaller**2 * lost)
    return ThetaMoments(float(1 - smaller), float(variance), float(gamma_squared))


def _integral(function: Callable) -> np.ndarray:
    """The integral over u from 0 to 1/2 of a vector, given u and 1/2 - u, each to full relative precision."""

    def transformed(s: float) -> np.ndarray:
        u, d = expit(-s) / 2, expit(s) / 2
        return function(u, d) * (2 * u * d)

    return quad_vec(transformed, *_ENDS, points=_POINTS, epsabs=1e-13, epsrel=1e-11, limit=5000)[0]


def _require_symmetric(name: str, left: list[float], right: list[float]) -> None:
    if not np.isfinite([left, right]).all() or min(*left, *right) < -1e-9:
        raise ValueError(f"theta_moments_of: {name} must be finite and >= 0. Received: others, or NaN.")
    apart = np.abs(np.subtract(left, right)) > 1e-6 * np.maximum(1, np.abs(left))
    if apart.any():
        at = np.flatnonzero(apart)[0]
        raise ValueError(
            "theta_moments_of: distribution must be symmetric, a ratio as likely as its complement. Received: a "
            f"{name} of {left[at]:g} at {_PROBES[at]:.3f}, {right[at]:g} mirrored."
        )


def checked_alphas(alpha: Any, largest: Any) -> tuple[float, float | None]:
    """The alpha of plain mixup, and the largest that may make up for matching."""
    alpha = _checks.number("alpha", alpha)
    if largest is not None and _checks.positive("largest", largest) < alpha:
        _checks.refuse("largest", f">= alpha, which is {alpha:g}", largest)
    return alpha, None if largest is None else float(largest)


def alpha_for_cost(alpha: float, plain_cost: float, cost: float, largest: float | None = None) -> float:
    """The alpha that makes up for pairs being nearer: gamma_squared(result) cost = gamma_squared(alpha) plain_cost.

    Args:
        largest: the result is at most this, also where there is none; or None.

    Raises:
        ValueError: if there is none, because gamma_squared stays below 1/4, and no largest.
    """
    if alpha == 0 or abs(cost - plain_cost) <= 1e-9 * plain_cost:
        return alpha
    wanted = theta_moments(alpha).gamma_squared * plain_cost

    def excess(log_alpha: float) -> float:
        return theta_moments(np.exp(log_alpha)).gamma_squared * cost - wanted

    low = high = np.log(alpha)
    limit = _LARGEST if largest is None else np.log(largest)
    if excess(limit) < 0 and largest is not None:
        return largest
    while excess(low) > 0:
        low -= 2
    while excess(high) < 0 and high < limit:
        high += 2
    if excess(high) < 0:
        raise ValueError(
            f"match_alpha: no alpha makes matched pairs, whose mean squared distance is {cost:.6g}, perturb as much "
            f"as alpha={alpha:g} does random ones, at {plain_cost:.6g}. Received: a mean squared perturbation of "
            f"{wanted:.6g} asked for; the largest reachable is below {cost / 4:.6g}. Take a smaller alpha or k; or "
            f"give the largest alpha to take instead, as largest=10."
        )
    return float(np.exp(brentq(excess, low, high, xtol=1e-12))) if low < high else alpha
