"""The symmetric Beta distribution, sampled without rejection and without gammas."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.seeding import as_seed, random_uniform, split


def sample_beta(shape: Any, alpha: float, seed: Any) -> tf.Tensor:
    """Draws ratios from Beta(alpha, alpha).

    Args:
        shape: shape of the result, a list of integers or an int32 tensor.
        alpha: a finite number >= 0. 0 gives ones (no mixing).
        seed: an integer or a pair of integers; the same seed gives the same draws.

    Returns:
        A float32 tensor of the given shape, in [0, 1]. Right from alpha = 1e-3 to 1e6: ratios nearer to 0 than
        float32 reaches come out as 0, their mirror images as 1; nothing piles up at 1/2.

    Raises:
        ValueError: if alpha is negative, NaN or infinite.

    Source: with U, V uniform, T = cos(2 pi V) sqrt(2 alpha (U^(-1/alpha) - 1)) has Student's distribution with
    2 alpha degrees of freedom (Bailey 1994), and 1/2 + 1/2 T / sqrt(2 alpha + T^2) is then Beta(alpha, alpha)
    (Devroye 1996). Its logit is 2 asinh(T / sqrt(2 alpha)), which is computed here in logarithms.

    Example:
        >>> ratios = sample_beta([4], alpha=1.0, seed=7)
        >>> ratios.shape
        TensorShape([4])
    """
    alpha = _checks.number("sample_beta", "alpha", alpha)
    if alpha == 0:
        return tf.ones(shape)
    return tf.sigmoid(_beta_logit(shape, alpha, as_seed(seed)))


def _beta_logit(shape: Any, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    radius_seed, angle_seed = split(seed, 2)
    # float32 uniforms are multiples of 2^-23 and may be 0: half a step up they are strictly inside (0, 1).
    radius = random_uniform(shape, radius_seed) + 2.0**-24
    angle = random_uniform(shape, angle_seed) + 2.0**-24
    cosine = tf.cos(2 * 3.141592653589793 * angle)
    log_excess = -tf.math.log(radius) / alpha  # -log U / alpha
    # log |t| with t = cos(2 pi V) sqrt(expm1(log_excess)), safe where expm1 overflows.
    log_expm1 = tf.where(
        log_excess > 1,
        log_excess + tf.math.log1p(-tf.exp(-tf.maximum(log_excess, 1.0))),
        tf.math.log(tf.math.expm1(tf.minimum(log_excess, 1.0))),
    )
    log_t = 0.5 * log_expm1 + tf.math.log(tf.abs(cosine))
    asinh = tf.where(
        log_t > 0,
        log_t + tf.math.log1p(tf.sqrt(1 + tf.exp(-2 * tf.maximum(log_t, 0.0)))),
        tf.asinh(tf.exp(tf.minimum(log_t, 0.0))),
    )
    return 2 * tf.sign(cosine) * asinh
