"""The perturbations by which mixup departs from shrinking its data, drawn at random."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _checks
from kmix_tf.maths.samples import require_memory, samples_of
from kmix_tf.maths.theta import theta_moments
from kmix_tf.ratio import sample_beta
from kmix_tf.seeding import as_seed, checked_seed, random_bits, split


class SampledPerturbations(NamedTuple):
    """Draws for each sample, float64 but for the partners.

    theta: `(draws, n)`, in [1/2, 1]. partner: `(draws, n)`, int64, in [0, n). delta, epsilon: `(draws, n, ...)`, what
    is added to the shrunk features and targets.
    """

    theta: np.ndarray
    partner: np.ndarray
    delta: np.ndarray
    epsilon: np.ndarray


@_checks.speaks
def sample_perturbations(x: Any, y: Any, alpha: float, draws: int = 1, seed: int = 0) -> SampledPerturbations:
    """Draws what mixup adds to each sample's features and targets once these are shrunk towards their means.

    With `shrunk = modified_data(x, y, alpha)`, `shrunk.x[i] + delta[t, i]` is the mixture
    theta x_i + (1 - theta) x_j of `theta[t, i]` and j = `partner[t, i]`, and so are the targets: training on shrunk
    data with these perturbations is mixup. They have mean zero and the covariances of `perturbation_covariance`.

    Args:
        x, y, alpha: as in `perturbation_covariance`.
        draws: of each sample, an integer >= 1.
        seed: an integer in [0, 2^31). The draws are a function of it and of the shape.

    Returns:
        `SampledPerturbations(theta, partner, delta, epsilon)`; the last two have the shapes of x and of y, integer
        classes as soft labels, after the draws. theta follows Beta(alpha, alpha) truncated to [1/2, 1], partners are
        uniform over all samples, the sample itself among them, and all are independent.

    Raises:
        ValueError: for other arguments, or for more than 2 GiB of draws.

    Source: On Mixup Regularization, Theorem 1, eq. (6).

    Example:
        >>> from kmix_tf.analysis import modified_data, sample_perturbations
        >>> x, y = [[0.0], [4.0]], [0, 1]
        >>> drawn = sample_perturbations(x, y, alpha=1.0, draws=3)
        >>> mixed = modified_data(x, y, alpha=1.0).x + drawn.delta
        >>> theta, partner = drawn.theta[..., np.newaxis], np.take(x, drawn.partner, axis=0)
        >>> bool(np.allclose(mixed, theta * x + (1 - theta) * partner))
        True
    """
    x, y = samples_of(x, y)
    theta_bar = theta_moments(_checks.number("alpha", alpha)).mean
    draws, seed = _checks.integer("draws", draws, minimum=1), checked_seed(seed)
    require_memory(
        draws * (x.size + y.size),
        f"{draws} draws of {len(x)} samples, of {x[0].size} features and {y[0].size} targets each",
        "take fewer draws, and several seeds",
    )
    theta, partner = _drawn((draws, len(x)), alpha, seed)
    delta, epsilon = (_perturbations(values, theta, partner, theta_bar) for values in (x, y))
    return SampledPerturbations(theta, partner, delta, epsilon)


def _drawn(shape: tuple[int, int], alpha: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    ratio_seed, partner_seed = split(as_seed(seed), 2)
    ratio = sample_beta(shape, alpha, ratio_seed).numpy().astype(np.float64)
    # 2^32 is no multiple of n: some partners are drawn more often than others by n parts in 2^32.
    partner = random_bits(shape, partner_seed).numpy().astype(np.int64) % shape[1]
    return np.maximum(ratio, 1 - ratio), partner


def _perturbations(values: np.ndarray, theta: np.ndarray, partner: np.ndarray, theta_bar: float) -> np.ndarray:
    """(theta - theta_bar) v_i + (1 - theta) v_j - (1 - theta_bar) v_bar; of centred v the last part is none."""
    centred = values - values.mean(axis=0)
    theta = theta.reshape(*theta.shape, *[1] * (values.ndim - 1))
    return (theta - theta_bar) * centred + (1 - theta) * centred[partner]
