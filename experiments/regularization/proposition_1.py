"""Label smoothing raises the entropy of predictions: Proposition 1

Linear models are fitted to convergence, so that nothing random is in it.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from experiments.regularization.theorem_1 import a_few
from kmix_tf.analysis import theta_moments
from kmix_tf.paired import Claim, Experiment, More

PLAIN, SMOOTHED, BOUND = "plain", "label smoothing", "Proposition 1's bound"


def measure(seed, alpha, count, pixels):
    """Mean entropies of predictions on the training data, in nats."""
    x, y = a_few(seed, count, pixels)
    theta = theta_moments(alpha).mean
    mean = y.mean(axis=0)
    plain = entropy(fitted(x, y))
    bound = theta * plain + (1 - theta) * entropy(mean[np.newaxis])
    return {
        PLAIN: {"entropy": plain}, SMOOTHED: {"entropy": entropy(fitted(x, theta * y + (1 - theta) * mean))},
        BOUND: {"entropy": bound},
    }  # fmt: skip


def fitted(x, y):
    """Probabilities of the linear model without intercept that has the least cross-entropy."""

    def risk(flat):
        u = x @ flat.reshape(x.shape[1], -1)
        slope = x.T @ (softmax(u, axis=1) - y) / len(x)
        return (logsumexp(u, axis=1) - (y * u).sum(axis=1)).mean(), slope.ravel()

    def curvature(flat):
        p = softmax(x @ flat.reshape(x.shape[1], -1), axis=1)
        of_logits = p[:, :, np.newaxis] * (np.eye(p.shape[1]) - p[:, np.newaxis])
        return np.einsum("ni,nj,nab->iajb", x, x, of_logits, optimize=True).reshape(2 * flat.shape) / len(x)

    start = np.zeros(x.shape[1] * y.shape[1])
    found = minimize(risk, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-8})
    if np.abs(found.jac).max() > 1e-6:
        raise ValueError(
            f"proposition-1: the fit did not converge. Received: a slope of {np.abs(found.jac).max():g}."
        )
    return softmax(x @ found.x.reshape(x.shape[1], -1), axis=1)


def entropy(p):
    return float(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1).mean())


EXPERIMENT = Experiment(
    name="regularization/proposition-1",
    items="Proposition 1",
    title="Label smoothing raises the entropy of predictions: Proposition 1",
    measure=measure,
    settings={"alpha": 1.0, "count": 400, "pixels": 5},
    quick={"count": 200},
    seeds=10,
    claims=[
        Claim("with label smoothing predictions have more entropy than the proposition's bound",
              More("entropy", SMOOTHED, BOUND), unit="nats", is_exact=True),
        Claim("with label smoothing predictions have more entropy than without",
              More("entropy", SMOOTHED, PLAIN), unit="nats", is_exact=True),
    ],
    notes="Five pixels do not separate ten classes of digits, so both minima exist.",
)  # fmt: skip
