"""Ratios that see how far apart two samples are: the farther, the less is mixed."""

import math
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.maths.beta_quantile import beta_quantile
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.ratio.beta import SCOPES, polar, spread


@register
class DistanceWarpedRatio(RatioStrategy):
    """Similarity Kernel Mixup: pairs that are near are mixed more, pairs far apart less.

    A ratio is drawn from Beta(alpha, alpha) and then warped for each pair. With alpha = 1 the ratio of a pair is
    from Beta(tau, tau), where

        tau = tau_max exp(-(d - 1) / (2 tau_std^2)),

    d the squared distance of the pair divided by its mean over the pairs of the batch. So a pair at the usual
    distance has tau_max, nearer ones more (ratios nearer to 1/2), farther ones less (nearer to 0 or 1: one of the two
    samples as it is). The warp is the inverse of the cumulative distribution of Beta(tau, tau).

    Distances are those of what `match_on`, `embedding` and `adapt` say, as in every layer; in a `ManifoldMixModel`,
    of what the layer drawn computes. No gradient goes through them. (The paper measures on the model's embedding for
    classes and on the targets for regression; for the latter see `LabelDistancePairing`.) Where all pairs of a batch
    are equally far apart, or all at distance 0, each has tau_max.

    Args:
        alpha: a finite number >= 0, default 1 (the paper's). 0 means no mixing.
        tau_max: tau of a pair at the usual distance, > 0 and finite, default 1: how much is mixed at all.
        tau_std: > 0 and finite, default 0.5: how fast tau falls with the distance. At 0.5 a pair at distance 0 has
            7.4 tau_max, one at twice the mean squared distance 0.14 tau_max. Large values mix all pairs alike.
        scope: "batch" (default, as in the paper's code), "group", "sample" or "pair", as in `BetaRatio`: which
            samples share the ratio that is drawn. After the warp each pair has its own.
        interpolations: how many ratios each sample gets, an integer >= 1. They descend, as in `BetaRatio`.

    Raises:
        ValueError: for other arguments; for a call without distances.

    Source: Bouniot, Mozharovskyi, d'Alche-Buc, *Tailoring Mixup to Data for Calibration* (2025; first *... using
    Kernel Warping functions*, 2023), as the published code of the last version computes it. The first version, and
    torch-uncertainty, warp by the cumulative distribution of Beta(1/tau, 1/tau), not by the inverse of that of
    Beta(tau, tau); torch-uncertainty also divides d - 1 by the mean rather than d, so that results depend on the
    data's units. The mean is over the pairs that are mixed; a sample that is its own partner is one, as in the code.

    Example:
        >>> ratio = DistanceWarpedRatio()
        >>> near_and_far = tf.constant([0.1, 1.0, 5.0], tf.float64)
        >>> ratios = ratio(tf.zeros([3], tf.int32), seed=3, distances=near_and_far).numpy()
        >>> [round(float(min(ratio, 1 - ratio)), 2) for ratio in ratios]
        [0.36, 0.34, 0.0]
    """

    needs_distances = True
    in_range = True

    @_checks.speaks
    def __init__(
        self,
        alpha: float = 1.0,
        tau_max: float = 1.0,
        tau_std: float = 0.5,
        scope: str = "batch",
        interpolations: int = 1,
    ):
        self.alpha = _checks.number("alpha", alpha)
        self.tau_max = _checks.positive("tau_max", tau_max)
        self.tau_std = _checks.positive("tau_std", tau_std)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.interpolations = _checks.integer("interpolations", interpolations, minimum=1)
        self.mixtures = self.interpolations if self.interpolations > 1 else None

    @_checks.speaks_anew
    def __call__(self, group: tf.Tensor, seed: Any, distances: Any = None) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group` and whose pairs are so far apart.

        Args:
            group: int32 `(batch,)`, or `(times, batch)` if repeated. distances: float, of its shape, >= 0.

        Returns:
            float32 `(batch,)`, or `(interpolations, batch)`, or `(times, batch)`.
        """
        if distances is None:
            raise _checks.problem("distances of the pairs must be given. Received: distances=None.")
        log_tau = warps(tf.convert_to_tensor(distances), self.tau_max, self.tau_std)

        def draw(shape: tf.Tensor, seed: Any) -> tf.Tensor:
            return _logits(shape, self.alpha, seed)

        if self.alpha == 0:
            drawn = spread(lambda shape, seed: tf.ones(shape), group, seed, self.scope, self.interpolations)
            return drawn + tf.zeros_like(log_tau, tf.float32)
        drawn = spread(draw, group, seed, self.scope, self.interpolations)
        return _warped(drawn + tf.zeros_like(log_tau), log_tau + tf.zeros_like(drawn))


def warps(distances: tf.Tensor, tau_max: float, tau_std: float) -> tf.Tensor:
    """The logarithm of tau for pairs so far apart: float64, of the same shape, `(batch,)` or `(times, batch)`.

    Neither squares nor their mean over- or underflow; each of several pairings has a mean of its own.
    """
    distances = tf.stop_gradient(tf.cast(distances, tf.float64))
    unit = tf.reduce_max(distances, axis=-1, keepdims=True)
    squares = tf.square(distances / tf.where(unit > 0, unit, tf.ones_like(unit)))
    mean = tf.reduce_mean(squares, axis=-1, keepdims=True)
    usual = tf.where(mean > 0, squares / tf.where(mean > 0, mean, tf.ones_like(mean)), tf.ones_like(squares))
    # A number of Python's own: its square is not to underflow, either.
    return math.log(tau_max) - (usual - 1) / tau_std / (2 * tau_std)


def _logits(shape: tf.Tensor, alpha: float, seed: Any) -> tf.Tensor:
    """The draws of `sample_beta` as logits, float64, finite also where float32 ratios are 0 or 1.

    A warp brings them back from there: what is 1 but for 1e-20 is .99 after it, if the pair is near.
    """
    radius, angle = polar(shape, seed)
    exponent = tf.math.log(radius) * (-1 / alpha)
    cosine = tf.cos(2 * math.pi * angle)
    size = tf.math.log(tf.abs(cosine)) + 0.5 * (exponent + tf.math.log(-tf.math.expm1(-exponent)))
    small, large = tf.minimum(size, 0), tf.maximum(size, 0)
    away = tf.where(size < 0, tf.asinh(tf.exp(small)), large + tf.math.log1p(tf.sqrt(1 + tf.exp(-2 * large))))
    return tf.sign(cosine) * 2 * away


def _warped(logits: tf.Tensor, log_tau: tf.Tensor) -> tf.Tensor:
    """Ratios, float32, of draws as logits: the warp is symmetric, so each is seen from its nearer end."""
    log_tail = -tf.math.softplus(tf.abs(logits))
    smaller = beta_quantile(tf.reshape(log_tail, [-1]), tf.reshape(log_tau, [-1]))
    smaller = tf.ensure_shape(tf.reshape(smaller, tf.shape(logits)), logits.shape)
    # In a branch, even the gradient that nobody asks for would need what XLA cannot hand out.
    return tf.stop_gradient(tf.cast(tf.where(logits > 0, 1 - smaller, smaller), tf.float32))
