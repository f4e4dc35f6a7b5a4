"""Ratios from the symmetric Beta distribution, sampled without rejection and without gammas."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.ratio.base import RatioStrategy
from kmix_tf.seeding import as_seed, random_uniform

SCOPES = ("batch", "group", "sample", "pair")


@_checks.speaks
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
    alpha = _checks.number("alpha", alpha)
    return _beta(tf.convert_to_tensor(shape, tf.int32), alpha, seed)


def _beta(shape: tf.Tensor, alpha: float, seed: Any) -> tf.Tensor:
    if alpha == 0:
        return tf.ones(shape)
    radius, angle = polar(shape, seed)
    # Where expm1 overflows, the ratio is nearer to 0 or 1 than float32 can tell.
    t = tf.cos(2 * math.pi * angle) * tf.sqrt(tf.math.expm1(tf.math.log(radius) * (-1 / alpha)))
    return tf.cast(tf.sigmoid(2 * tf.asinh(t)), tf.float32)


def polar(shape: tf.Tensor, seed: Any) -> list[tf.Tensor]:
    """Two uniforms for each ratio, float64, of which `sample_beta` makes it: the U and V of its docstring."""
    # float32 uniforms are multiples of 2^-23 and may be 0: half a step up they are strictly inside (0, 1).
    uniform = tf.cast(random_uniform(tf.concat([[2], shape], 0), as_seed(seed)), tf.float64) + 2.0**-24
    return tf.unstack(uniform, 2)


@register
class BetaRatio(RatioStrategy):
    """Ratios from Beta(alpha, alpha): one for the batch, for each k-group or for each sample; or several, ordered.

    Args:
        alpha: a finite number >= 0, default 1 (uniform). 0 means no mixing, large values mean halves.
        scope: "batch" (default, as in the papers), "group", "sample" or "pair": which samples share a ratio. "pair"
            is for mutual pairings, such as `RandomPairing(mutual=True)`: both samples of a pair have one ratio.
        interpolations: how many ratios each sample gets, an integer >= 1. They descend: the first mixture is the
            nearest to the sample itself, as in the multi-mix paper, whose lambda is 1 - ratio and ascends.

    Raises:
        ValueError: for another alpha, scope or number.

    Source: k-mixup, Section 2; multi-mix, Section III-A (the whole batch shares the ratios: scope "batch").

    Example:
        >>> ratio = BetaRatio(alpha=0.5, scope="group")
        >>> ratio(tf.constant([0, 0, 1, 1]), seed=3).shape
        TensorShape([4])
        >>> BetaRatio(interpolations=5)(tf.constant([0, 0, 1, 1]), seed=3).shape
        TensorShape([5, 4])
    """

    in_range = True

    @_checks.speaks
    def __init__(self, alpha: float = 1.0, scope: str = "batch", interpolations: int = 1):
        self.alpha = _checks.number("alpha", alpha)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.interpolations = _checks.integer("interpolations", interpolations, minimum=1)
        self.mixtures = self.interpolations if self.interpolations > 1 else None

    def __call__(self, group: tf.Tensor, seed: Any, distances: Any = None) -> tf.Tensor:
        """Draws ratios for samples whose k-groups are `group`, int32 `(batch,)`, or `(times, batch)` if repeated.

        Returns float32 `(batch,)`, or `(interpolations, batch)` if there are several.
        """

        def draw(shape: tf.Tensor, seed: Any) -> tf.Tensor:
            return _beta(shape, self.alpha, seed)

        return spread(draw, group, seed, self.scope, self.interpolations)


def spread(draw: Callable, group: tf.Tensor, seed: Any, scope: str, interpolations: int) -> tf.Tensor:
    """Ratios that `draw(shape, seed)` gives to all samples, groups or the batch, for each of the interpolations.

    Groups `(times, batch)`, of several pairings, each have ratios of their own where groups do, and otherwise share
    those of the samples or the batch; or, if there are as many interpolations, have one of these each.
    """
    *times, size = tf.unstack(tf.shape(group), group.shape.rank) if None in group.shape else group.shape
    # Where pairs share a ratio, they are the groups.
    scope = "group" if scope == "pair" else scope
    by_pairing = scope == "group" and bool(times)
    lead = [] if interpolations == 1 else [interpolations]
    outer = times if by_pairing and not lead else lead
    ratios = draw(tf.stack([*outer, 1 if scope == "batch" else size]), seed)
    if lead:  # Descending.
        ratios = tf.transpose(tf.math.top_k(tf.transpose(ratios, [1, 0]), interpolations).values, [1, 0])
    if by_pairing:
        return tf.gather(ratios, group, axis=1, batch_dims=1)
    if scope == "group":
        return tf.gather(ratios, group, axis=-1)
    return tf.broadcast_to(ratios, tf.stack([*lead, size]))
