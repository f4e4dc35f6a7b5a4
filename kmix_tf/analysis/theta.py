"""The ratio of a mixture as seen from its nearer end: theta, Beta(alpha, alpha) truncated to [1/2, 1]."""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaln

from kmix_tf import _checks


class ThetaMoments(NamedTuple):
    """mean: theta_bar, in [1/2, 1]. variance: of theta. gamma_squared: variance + (1 - mean)^2 = E[min(l, 1-l)^2]."""

    mean: float
    variance: float
    gamma_squared: float


def theta_moments(alpha: float) -> ThetaMoments:
    """Moments of theta, the larger of a ratio and its complement, in closed form.

    Args:
        alpha: finite and >= 0. 0 means no mixing: theta is 1.

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
    alpha = _checks.number("theta_moments", "alpha", alpha)
    if alpha == 0:
        return ThetaMoments(1.0, 0.0, 0.0)
    m = np.exp(-2 * alpha * np.log(2.0) - np.log(alpha) - betaln(alpha, alpha))
    # Not variance + (1 - mean)^2: this form keeps its precision where ratios are almost 0 or 1.
    gamma_squared = (alpha + 1) / (2 * alpha + 1) * betainc(alpha + 2, alpha, 0.5)
    variance = 1 / (4 * (2 * alpha + 1)) - m**2
    return ThetaMoments(float(0.5 + m), float(variance), float(gamma_squared))
