"""Quantiles of the symmetric Beta distribution, in ops that XLA compiles.

In the logit s of a ratio, Beta(tau, tau) has the density exp(-2 tau log cosh(s / 2)) but for a constant: smooth,
symmetric and log-concave, whatever tau is. So the logarithm of its tail is concave, and Newton's method finds a
quantile from any side; and the tail itself is one sum over fixed points.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf._graph import fused

# Beyond these, float32 cannot tell a quantile from 0, 1/2 or 1.
_LOG_TAU = (math.log(1e-12), math.log(1e15))

# v = unit * exp(y - exp(-y)) takes [0, inf) to a line on which the trapezoidal rule has seven digits of the tail,
# also where the integrand bends at a thousandth of its length.
_Y = np.linspace(-3.7, 4.4, 48)
_POINTS = np.exp(_Y - np.exp(-_Y))
_WEIGHTS = (_Y[1] - _Y[0]) * _POINTS * (1 + np.exp(-_Y))

# Each doubles the digits, from a bound that is right to one already.
_STEPS = 4


def beta_quantile(log_tail: tf.Tensor, log_tau: tf.Tensor) -> tf.Tensor:
    """The number in [0, 1/2] that a draw of Beta(tau, tau) is below with the chance exp(log_tail).

    Args:
        log_tail: float64 `(n,)`, at most log(1/2), finite.
        log_tau: float64 `(n,)`. NaN excluded, anything: at -inf it is 0, at inf 1/2.

    Returns:
        float64 `(n,)`, right to 1e-7, as float32 is.

    Example:
        >>> log_tail = tf.math.log(tf.constant([0.25, 0.25], tf.float64))
        >>> beta_quantile(log_tail, tf.constant([0.0, 700.0], tf.float64)).numpy().round(6).tolist()
        [0.25, 0.5]
    """
    return tf.reshape(_quantile(log_tail, log_tau), tf.shape(log_tail))


@fused(features=2)
def _quantile(log_tail: tf.Tensor, log_tau: tf.Tensor) -> tf.Tensor:
    tau = tf.exp(tf.clip_by_value(log_tau, *_LOG_TAU))
    excess = tf.maximum(math.log(0.5) - log_tail, 0)
    whole = tf.math.log(2 * _integral(tf.zeros_like(tau), tau))
    # P(below) is at most half the density in units of its peak, which bounds s from above.
    half = excess / (2 * tau)
    s = 2 * (half + tf.math.log1p(tf.sqrt(-tf.math.expm1(-2 * half))))

    def step(count: Any, s: tf.Tensor) -> tuple[Any, tf.Tensor]:
        beyond = _integral(s, tau)
        reached = tf.math.log(beyond) - tau * _rise(tf.zeros_like(s), s) - whole
        return count + 1, tf.maximum(s + (reached - log_tail) * beyond, 0)

    # A loop: XLA compiles it in half the time.
    _, s = tf.while_loop(lambda count, _: count < _STEPS, step, (0, s), maximum_iterations=_STEPS)
    return tf.sigmoid(-s)


def _integral(s: tf.Tensor, tau: tf.Tensor) -> tf.Tensor:
    """The integral of the density beyond s >= 0, in units of the density there."""
    unit = 1 / (tau * tf.tanh(s / 2) + 1 / (1 / tau + tf.sqrt(2 / tau)))
    v = unit[:, tf.newaxis] * _POINTS
    falls = tf.exp(-tau[:, tf.newaxis] * _rise(s[:, tf.newaxis], v))
    return unit * tf.linalg.matvec(falls, tf.constant(_WEIGHTS))


def _rise(s: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """2 log(cosh((s + v) / 2) / cosh(s / 2)) for s, v >= 0, without overflow; its error is a rounding of v."""
    return v + 2 * tf.math.log1p(tf.sigmoid(-s) * tf.math.expm1(-v))
