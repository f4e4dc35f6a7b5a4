"""What mixup does to each sample: it shrinks it towards the mean, and perturbs it, by how much on average."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.analysis.matching import mean_cost
from kmix_tf.maths.matched import perturbation_of
from kmix_tf.maths.samples import require_memory, samples_of
from kmix_tf.maths.theta import theta_moments


class PerturbationCovariance(NamedTuple):
    """Covariances, float64, of a sample's perturbations of features and targets, both flattened.

    xx: `(d, d)`. yy: `(c, c)`. xy: `(d, c)`. Of all samples: with a leading axis, one for each.
    """

    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray


class ModifiedData(NamedTuple):
    """Features `(n, ...)` and targets `(n, ...)`, float64, shrunk towards their means."""

    x: np.ndarray
    y: np.ndarray


@_checks.speaks
def perturbation(
    x: Any, k: int, alpha: float, trials: int | None = None, seed: int = 0, precision: float = 0.01
) -> float:
    """xi: how far k-mixup moves samples, as a root mean square. The tables of the k-mixup paper are indexed by it.

    Args:
        x, k, trials, seed: as in `mean_matching_cost`. Distances are those of x as it is given, so scale it as the
            model is given it.
        alpha: of Beta(alpha, alpha), finite and >= 0.
        precision: as in `mean_matching_cost`; default 0.01. For k = 1 the result is exact.

    Returns:
        A float, sqrt(gamma_squared(alpha) times the mean matching cost), in the unit of x.

    Raises:
        ValueError: for other arguments, too few samples, or values that are not finite.

    Source: k-mixup, Section 5.2: "xi is used to denote the root mean square of the perturbation distances". What its
    Algorithm 1 calls xi is the square of this.

    Example:
        >>> from kmix_tf.analysis import perturbation
        >>> x = np.array([[0.0], [2.0]])
        >>> round(perturbation(x, k=1, alpha=1.0) ** 2, 6)  # 4 / 12
        0.333333
    """
    alpha = _checks.number("alpha", alpha)
    # An error of the cost is twice that of its root.
    cost, unit = mean_cost(x, k, trials, seed, 2 * _checks.positive("precision", precision))
    return perturbation_of(alpha, cost) * unit


@_checks.speaks
def perturbation_covariance(x: Any, y: Any, alpha: float, index: int | None = None) -> PerturbationCovariance:
    """The covariance of what mixup adds to one sample, or to each, once data are shrunk towards their mean.

    Mixup turns sample i into theta x_i + (1 - theta) x_j with a random partner j, itself included, and theta the
    larger of ratio and complement. Of that, x_bar + theta_bar (x_i - x_bar) is fixed, and the rest has mean zero and
    this covariance: sigma^2 (x_i - x_bar)(x_i - x_bar)^T + gamma^2 Sigma_xx, likewise for targets, and for both.

    Args:
        x: numeric `(n, ...)`, finite, n >= 1.
        y: integer classes `(n,)` of max(y) + 1 classes, at most 16,384; or floats `(n,)` or `(n, ...)`: one-hot, soft
            or regression.
        alpha: finite and >= 0. 0 perturbs nothing.
        index: which sample, an integer in [0, n); or None (default) for all of them.

    Returns:
        `PerturbationCovariance(xx, yy, xy)`, of the flattened features and targets; with a leading axis of n where
        index is None. That takes 8 n (d^2 + c^2 + d c) bytes for d features and c targets.

    Raises:
        ValueError: for other arguments; for all samples where they would take more than 2 GiB.

    Source: On Mixup Regularization, Lemma 1 (eq. 8), here on the data as they are rather than shrunk.

    Example:
        >>> from kmix_tf.analysis import perturbation_covariance
        >>> covariance = perturbation_covariance([[0.0], [1.0]], [0, 1], alpha=1.0, index=0)
        >>> covariance.xx.round(6).tolist(), covariance.yy.shape, covariance.xy.shape
        ([[0.026042]], (2, 2), (1, 2))
        >>> perturbation_covariance([[0.0], [1.0]], [0, 1], alpha=1.0).xy.shape
        (2, 1, 2)
    """
    x, y = samples_of(x, y)
    moments = theta_moments(_checks.number("alpha", alpha))
    x, y = (_centred(values).reshape(len(values), -1) for values in (x, y))
    rows = _all_rows(x, y) if index is None else _row(index, len(x))

    def covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        own = moments.variance * first[rows][..., np.newaxis] * second[rows][..., np.newaxis, :]
        own += moments.gamma_squared * first.T @ second / len(first)
        return own

    return PerturbationCovariance(covariance(x, x), covariance(y, y), covariance(x, y))


@_checks.speaks
def modified_data(x: Any, y: Any, alpha: float) -> ModifiedData:
    """The data that mixup trains on, but for its perturbations: shrunk towards their means.

    Args:
        x, y, alpha: as in `perturbation_covariance`.

    Returns:
        `ModifiedData(x, y)`: x_bar + theta_bar (x - x_bar), likewise y; integer classes as soft labels
        `(n, classes)`.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, eq. (5).

    Example:
        >>> from kmix_tf.analysis import modified_data
        >>> modified_data([[0.0], [1.0]], [0, 1], alpha=1.0).x.tolist()
        [[0.125], [0.875]]
    """
    x, y = samples_of(x, y)
    theta = theta_moments(_checks.number("alpha", alpha)).mean
    return ModifiedData(*(values - (1 - theta) * _centred(values) for values in (x, y)))


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)


def _row(index: Any, count: int) -> int:
    index = _checks.integer("index", index, minimum=0)
    if index >= count:
        _checks.refuse("index", f"in [0, {count})", index)
    return index


def _all_rows(x: np.ndarray, y: np.ndarray) -> slice:
    (count, d), c = x.shape, y.shape[1]
    require_memory(
        count * (d * d + c * c + d * c),
        f"the covariances of all {count} samples, {d} x {d} of features and {c} x {c} of targets each",
        "give an index for one of them, or take fewer features, by their principal components for instance",
    )
    return slice(None)
