"""Mixup leaves linear least squares as it is: Corollary 3

All pairs are enumerated. Eq. (19) as printed lacks a factor; its conclusion stands.
"""

import numpy as np
from scipy.special import roots_jacobi

from experiments.regularization.theorem_1 import a_few
from kmix_tf.analysis import theta_moments
from kmix_tf.paired import AtMost, Claim, Experiment

FIT, CORRECTED, PRINTED = "least squares of mixtures", "eq. (19), corrected", "eq. (19), as printed"


def measure(seed, alphas, count, pixels, functions):
    """Largest differences over alphas: of coefficients, and of risks of random linear functions."""
    x, y = a_few(seed, count, pixels)
    plain = least_squares(x, y, np.ones(len(x)))
    worst = {FIT: 0.0, CORRECTED: 0.0, PRINTED: 0.0}
    for alpha in alphas:
        mixtures = all_mixtures(x, y, alpha)
        worst[FIT] = max(worst[FIT], np.abs(least_squares(*mixtures) - plain).max())
        for name, said in ((CORRECTED, corrected), (PRINTED, printed)):
            worst[name] = max(worst[name], apart(mixtures, x, y, alpha, said, functions, seed))
    return {name: {"apart": value} for name, value in worst.items()}


def all_mixtures(x, y, alpha):
    """Features, targets and weights of all pairs and ratios; two nodes are exact for squares."""
    points, weights = roots_jacobi(2, alpha - 1, alpha - 1)
    ratio = ((1 + points) / 2)[:, np.newaxis]
    mixed = [
        (ratio * v[:, np.newaxis, np.newaxis] + (1 - ratio) * v[np.newaxis, :, np.newaxis]).reshape(-1, v.shape[1])
        for v in (x, y)
    ]
    return *mixed, np.tile(weights / weights.sum() / len(x) ** 2, len(x) ** 2)


def least_squares(x, y, weights):
    """W and b, `(d + 1, c)`."""
    root = np.sqrt(weights)[:, np.newaxis]
    return np.linalg.lstsq(root * np.column_stack([x, np.ones(len(x))]), root * y, rcond=None)[0]


def risk(x, y, weights, w, b):
    return float(weights @ np.square(x @ w + b - y).sum(axis=1)) / 2


def corrected(x, y, alpha, w, b):
    """FORMULAS: (alpha + 1) / (2 alpha + 1) of the risk at the best intercept, and 1/2 |b - b_bar|^2."""
    moments, best = theta_moments(alpha), y.mean(axis=0) - x.mean(axis=0) @ w
    factor = 2 * moments.variance + moments.mean**2 + (1 - moments.mean) ** 2
    return factor * risk(x, y, np.full(len(x), 1 / len(x)), w, best) + np.square(b - best).sum() / 2


def printed(x, y, alpha, w, b):
    moments, best = theta_moments(alpha), y.mean(axis=0) - x.mean(axis=0) @ w
    factor = moments.variance + moments.mean**2 + (1 - moments.mean) ** 2 / 2
    return factor * risk(x, y, np.full(len(x), 1 / len(x)), w, best) + np.square(b - best).sum()


def apart(mixtures, x, y, alpha, said, functions, seed):
    """By how much differences of risk between random functions are other than the formula says."""
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(functions):
        w, b = generator.normal(size=(x.shape[1], y.shape[1])), generator.normal(size=y.shape[1])
        values.append(risk(*mixtures, w, b) - said(x, y, alpha, w, b))
    return float(np.ptp(values))


EXPERIMENT = Experiment(
    name="regularization/corollary-3",
    items="Corollary 3, eq. (19)",
    title="Mixup leaves linear least squares as it is: Corollary 3",
    measure=measure,
    settings={"alphas": [0.1, 0.4, 1, 8], "count": 100, "pixels": 5, "functions": 10},
    quick={"count": 20},
    seeds=10,
    claims=[
        Claim("least squares fitted to mixtures are those fitted to the data: coefficients apart by rounding alone",
              AtMost("apart", FIT, 1e-9), "0", unit="", is_exact=True),
        Claim("eq. (19), as corrected by us, is the mixup risk of linear functions",
              AtMost("apart", CORRECTED, 1e-9), "0", unit="", is_exact=True, ours=True),
        Claim("eq. (19), as printed, is the mixup risk of linear functions up to a constant",
              AtMost("apart", PRINTED, 1e-9), "0", unit="", is_exact=True),
    ],
    notes="""Right is (2 sigma^2 + theta_bar^2 + (1 - theta_bar)^2) / n times the sum of losses at the best
intercept, plus 1/2 |b - b_bar|^2, without a constant; the factor is (alpha + 1) / (2 alpha + 1). Printed is (2
sigma^2 + 2 theta_bar^2 + (1 - theta_bar)^2) / 2n and |b - b_bar|^2. In both, W appears in the squared errors
alone: so the conclusion stands.""",
)  # fmt: skip
