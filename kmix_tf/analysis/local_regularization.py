"""What k-mixup does to a sample and to a model, told from the distribution of the sample's partner."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.analysis.asking import ask
from kmix_tf.analysis.matching_distribution import (
    MatchedPairs,
    checked_draws,
    flat_samples,
    matched_pairs,
    matching_distribution,
)
from kmix_tf.analysis.perturbation import PerturbationCovariance
from kmix_tf.analysis.risk import asked, checked_risk
from kmix_tf.maths.derivatives import INEXACT_IN_INFERENCE, directional_derivatives, refuse_layers
from kmix_tf.maths.losses import TaylorLoss
from kmix_tf.maths.samples import samples_of
from kmix_tf.maths.theta import theta_moments

# Numbers that a block of directions may hold.
_BLOCK = 2**20


class KMixupRegularization(NamedTuple):
    """Floats: the risk on the data themselves, the terms that k-mixup adds, and the sum of all.

    standard_error: of the total, for the groups that were drawn; 0 where all were enumerated.
    """

    base: float
    r1: float
    r2: float
    r3: float
    r4: float
    total: float
    standard_error: float


@_checks.speaks
def kmixup_perturbation_covariance(
    x: Any,
    y: Any,
    alpha: float,
    index: int,
    k: int,
    trials: int | None = 10_000,
    seed: int = 0,
    disjoint: bool = True,
) -> PerturbationCovariance:
    """The covariance of what k-mixup adds to one sample once it is shrunk towards its partners' mean.

    k-mixup turns sample i into theta x_i + (1 - theta) r, with theta the larger of ratio and complement and a partner
    r of distribution D_i, whose mean is r_bar. Of that, r_bar + theta_bar (x_i - r_bar) is fixed, and the rest has
    mean zero and this covariance: sigma^2 (x_i - r_bar)(x_i - r_bar)^T + gamma^2 Cov(r), likewise for targets, and
    for both.

    Args:
        x, index, k, trials, seed, disjoint: as in `matching_distribution`; n >= 2.
        y: integer classes `(n,)` of max(y) + 1 classes, at most 16,384; or floats `(n,)` or `(n, ...)`: one-hot, soft
            or regression.
        alpha: finite and >= 0. 0 perturbs nothing.

    Returns:
        `PerturbationCovariance(xx, yy, xy)`, of the flattened features and targets. With k = 1 and disjoint=False it
        is `perturbation_covariance`, Lemma 1 of On Mixup Regularization. With disjoint groups it is not even then:
        a sample is not its own partner, which makes a difference of order 1 / n.

    Raises:
        ValueError, TypeError: for other arguments.

    Source: k-mixup, Theorem I.1 and Lemma I.2, corrected: its second term is gamma^2 (there nu^2) times the
    covariance of the partners as they are, without 1 / theta_bar^2. The lemma holds the sample's own group fixed;
    here that is drawn, too, which makes the partner's distribution D_i.

    Example:
        >>> from kmix_tf.analysis import kmixup_perturbation_covariance
        >>> x, y = [[0.0], [1.0], [9.0], [8.0]], [0, 0, 1, 1]
        >>> kmixup_perturbation_covariance(x, y, 1.0, index=0, k=2, trials=None).xx.round(6).tolist()
        [[1.138889]]
    """
    x, y = samples_of(x, y)
    flat, _ = flat_samples(x, k, _checks.flag("disjoint", disjoint))
    moments = theta_moments(_checks.number("alpha", alpha))
    found = matching_distribution(flat, index, k, trials, seed, disjoint)
    weights = found.probabilities[found.indices]
    own, partners = [], []
    for values in (flat, y.reshape(len(y), -1)):
        mean = weights @ values[found.indices]
        own.append(values[index] - mean)
        partners.append(values[found.indices] - mean)

    def covariance(a: int, b: int) -> np.ndarray:
        spread = (partners[a].T * weights) @ partners[b]
        return moments.variance * np.outer(own[a], own[b]) + moments.gamma_squared * spread

    return PerturbationCovariance(covariance(0, 0), covariance(1, 1), covariance(0, 1))


@_checks.speaks
def kmixup_regularization(
    model: Callable,
    x: Any,
    y: Any,
    alpha: float,
    k: int,
    loss: str,
    trials: int | None = 20,
    seed: int = 0,
    disjoint: bool = True,
) -> KMixupRegularization:
    """The risk that k-mixup minimises, to second order in the steps to partners: the plain one and what it adds.

    With a sample x_i, its partner r of distribution D_i, and p the model's prediction (softmax, sigmoid or the output
    itself): r1 is the mean of E[1-l] (p(f(x_i)) - y_i)^T Jf(x_i) (r - x_i), the loss's slope on the way to partners;
    r2, half E[(1-l)^2] times the loss's second derivative along Jf(x_i) (r - x_i), flattens the model towards
    partners; r3, half E[(1-l)^2] times p(f(x_i)) - y_i times the model's second derivative along r - x_i, keeps
    it straight. Over l from Beta(alpha + 1, alpha), these are alpha / (2 alpha + 1) and alpha / (2 (2 alpha + 1)).
    A small alpha makes all terms small, those left out alike; near partners, so a large k, make the terms suffice.

    Args:
        model: a Keras model, asked as in inference, or any callable from a tensor `(batch, ...)` to one
            `(batch, outputs)`; logits for the cross-entropies. Twice differentiable: r3 is 0 with relu, and wrong in
            a callable with layer or group normalisation, whose second derivatives TensorFlow gets wrong.
        x: as in `matching_distribution`. float64 stays, all else is given to the model in float32.
        y: integer classes `(n,)`, or targets `(n, outputs)` as the loss takes them; `(n,)` for one output.
        alpha: finite and >= 0; 0 adds nothing. k: an integer >= 1.
        loss: "categorical_crossentropy" or "binary_crossentropy", both on logits, or "squared_error", which is
            1/2 |y - u|^2. The last two are summed over outputs.
        trials: how many shuffles of the data to cut into groups and match, an integer >= 2; or None to enumerate all
            pairs of groups, where there are at most 100,000.
        seed, disjoint: as in `matching_distribution`.

    Returns:
        `KMixupRegularization(base, r1, r2, r3, r4, total, standard_error)`. The total is the whole risk of linear
        models with the squared error, for which r4 is a constant, of the mixed targets' squares; else it is 0.

    Raises:
        ValueError, TypeError: for other arguments; for Keras models with layer or group normalisation.

    Source: k-mixup, Theorem 4.1, for losses h(f) - y^T f of any number of outputs.

    Example:
        >>> from kmix_tf.analysis import kmixup_regularization
        >>> x, y = [[0.0], [1.0], [3.0]], [0.0, 1.0, 2.0]
        >>> found = kmixup_regularization(lambda x: 2 * x, x, y, 1.0, 1, "squared_error", trials=None)
        >>> round(found.base, 6), round(found.r1, 6), round(found.r2, 6), found.r3, round(found.total, 6)
        (2.833333, -2.111111, 1.555556, 0.0, 2.111111)
    """
    flat, k = flat_samples(x, k, _checks.flag("disjoint", disjoint))
    x, y, loss_of = checked_risk(model, x, y, alpha, loss)
    refuse_layers(model, INEXACT_IN_INFERENCE)
    trials, seed = checked_draws(trials, seed, least=2)
    pairs = matched_pairs(flat, k, trials, seed, disjoint)
    base = float(loss_of.value(y, asked(model, x)).numpy().mean())
    terms = _totals(loss_of, model, x, y, pairs) * _ratio_moments(float(alpha))
    r1, r2, r3, r4 = (float(term) for term in terms.mean(axis=0))
    error = float(terms.sum(axis=1).std(ddof=1) / np.sqrt(trials)) if trials else 0.0
    return KMixupRegularization(base, r1, r2, r3, r4, base + r1 + r2 + r3 + r4, error)


def _ratio_moments(alpha: float) -> np.ndarray:
    """E[1-l], and half E[(1-l)^2] for the three of second order, for l from Beta(alpha + 1, alpha).

    The last is half E[l (1-l)] for l from Beta(alpha, alpha), which is the same number.
    """
    first = alpha / (2 * alpha + 1)
    return np.array([first, first / 4, first / 4, first / 4])


def _totals(loss_of: TaylorLoss, model: Callable, x: np.ndarray, y: np.ndarray, pairs: MatchedPairs) -> np.ndarray:
    """The four terms, but for the moments of the ratio, of each trial: `(trials, 4)`."""
    # Most pairs come more than once: each is differentiated along once.
    codes, places = np.unique(pairs.sample * len(x) + pairs.partner, return_inverse=True)
    sample, partner = np.divmod(codes, len(x))
    size = max(1, _BLOCK // max(1, x[0].size))
    blocks = [slice(start, start + size) for start in range(0, len(codes), size)]
    terms = np.concatenate([_terms(loss_of, model, x, y, sample[rows], partner[rows]) for rows in blocks])
    return np.einsum("tp,tpj->tj", pairs.weights, terms[places.reshape(pairs.sample.shape)])


def _terms(
    loss_of: TaylorLoss, model: Callable, x: np.ndarray, y: np.ndarray, sample: np.ndarray, partner: np.ndarray
) -> np.ndarray:
    """Of each pair, `(pairs, 4)`: the derivatives of the loss along r - x, and the curvature in the targets."""
    own, step = x[sample], x[partner] - x[sample]
    outputs, slope, bend = (
        tf.cast(values, tf.float64)
        for values in directional_derivatives(
            lambda leaves: ask(model, leaves[0]), [tf.constant(own)], [tf.constant(step)], order=2
        )
    )
    residual = loss_of.mean(outputs) - y[sample]
    targets = -loss_of.target_curvature * np.square(y[partner] - y[sample]).sum(axis=1)
    columns = (
        tf.reduce_sum(residual * slope, axis=1),
        loss_of.curvature(outputs, slope),
        tf.reduce_sum(residual * bend, axis=1),
        tf.constant(targets),
    )
    return np.stack([column.numpy() for column in columns], axis=1)
