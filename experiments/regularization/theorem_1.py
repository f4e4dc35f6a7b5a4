"""Mixup is training on shrunk data that are perturbed: Theorems 1 and 2 and Lemma 1

All pairs are enumerated, and ratios integrated over, for a smooth network of random weights on a small set.
"""

import numpy as np
import tensorflow as tf
from scipy.special import betaln, logsumexp, roots_jacobi

from experiments.regularization.common import digits
from kmix_tf.analysis import approximate_mixup_risk, mixup_risk, modified_data, perturbation_covariance, theta_moments
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment

LOSS = "categorical_crossentropy"
FIRST, LEMMA, SECOND, PACKAGE = "Theorem 1", "Lemma 1", "Theorem 2", "mixup_risk"


def measure(seed, alpha, count, pixels, width, nodes, step):
    """How far the sides of each identity are apart, and how far Theorem 1's without its perturbations."""
    x, y = a_few(seed, count, pixels)
    f = smooth_network(pixels, width, y.shape[1], seed)
    shrunk = modified_data(x, y, alpha)
    theta, weights = folded(alpha, nodes)
    noise_x, noise_y = (perturbations(values, other, theta) for values, other in ((x, shrunk.x), (y, shrunk.y)))

    def perturbed(size):
        """Eq. (7) with perturbations of so many times their size."""
        values = loss(shrunk.y[:, np.newaxis, np.newaxis] + size * noise_y,
                      f(shrunk.x[:, np.newaxis, np.newaxis] + size * noise_x).numpy())  # fmt: skip
        return float(weights @ values.mean(axis=(0, 1)))

    of_pairs, of_shrunk = by_pairs(f, x, y, alpha, nodes), perturbed(0)
    second_order = of_shrunk + (perturbed(step) + perturbed(-step) - 2 * of_shrunk) / (2 * step**2)
    return {
        FIRST: {
            "risk": of_pairs, "apart": abs(of_pairs - perturbed(1)),
            "apart without perturbations": abs(of_pairs - of_shrunk),
        },
        LEMMA: {"apart": covariances_apart(x, y, alpha, weights, noise_x, noise_y)},
        SECOND: {
            "risk": second_order, "apart": abs(second_order - approximate_mixup_risk(f, x, y, alpha, LOSS).total),
        },
        PACKAGE: {"apart": abs(of_pairs - mixup_risk(f, x, y, alpha, LOSS))},
    }  # fmt: skip


def a_few(seed, count, pixels):
    """Some pixels of a few digits, and one-hot targets, float64."""
    data = digits(seed, count)
    x = data.x.reshape(count, -1)[:, np.random.default_rng(seed).choice(np.arange(18, 46), pixels, replace=False)]
    return x.astype(np.float64), data.y.astype(np.float64)


def smooth_network(inputs, width, outputs, seed):
    generator = np.random.default_rng(seed)
    first, second = (tf.constant(generator.normal(size=size)) for size in ((inputs, width), (width, outputs)))
    return lambda x: tf.tensordot(tf.tanh(tf.tensordot(tf.convert_to_tensor(x), first, 1)), second, 1)


def loss(y, u):
    return logsumexp(u, axis=-1) - (y * u).sum(axis=-1)


def by_pairs(f, x, y, alpha, nodes):
    """Eq. (4): all pairs, and ratios in [0, 1] by Gauss and Jacobi's quadrature."""
    points, weights = roots_jacobi(nodes, alpha - 1, alpha - 1)
    ratio = ((1 + points) / 2)[:, np.newaxis]
    mixed = [ratio * v[:, np.newaxis, np.newaxis] + (1 - ratio) * v[np.newaxis, :, np.newaxis] for v in (x, y)]
    return float(weights @ loss(mixed[1], f(mixed[0]).numpy()).mean(axis=(0, 1)) / weights.sum())


def folded(alpha, nodes):
    """theta and weights: a quadrature of its own, over [1/2, 1], in which only one end is singular."""
    points, weights = roots_jacobi(nodes, 0, alpha - 1)
    smaller = (1 + points) / 4
    weights = weights * (1 - smaller) ** (alpha - 1) * 4.0**-alpha * 2 * np.exp(-betaln(alpha, alpha))
    return 1 - smaller, weights


def perturbations(values, shrunk, theta):
    """Eq. (6), `(n, n, nodes, ...)`: of each sample, with each partner and theta."""
    theta = theta[:, np.newaxis]
    mixed = theta * values[:, np.newaxis, np.newaxis] + (1 - theta) * values[np.newaxis, :, np.newaxis]
    return mixed - shrunk[:, np.newaxis, np.newaxis]


def covariances_apart(x, y, alpha, weights, noise_x, noise_y):
    """The largest entry by which means, or covariances of any sample, are other than Lemma 1 says."""
    apart = [abs(weights.sum() - 1), abs(weights @ folded(alpha, len(weights))[0] - theta_moments(alpha).mean)]
    for i in range(len(x)):
        said = perturbation_covariance(x, y, alpha, i)
        pairs = ((said.xx, noise_x, noise_x), (said.yy, noise_y, noise_y), (said.xy, noise_x, noise_y))
        for covariance, first, second in pairs:
            found = np.einsum("q,jqa,jqb->ab", weights, first[i], second[i]) / len(x)
            apart += [np.abs(found - covariance).max(), np.abs(np.einsum("q,jqa->a", weights, first[i])).max()]
    return float(max(apart))


EXPERIMENT = Experiment(
    name="regularization/theorem-1",
    items="Theorem 1, Lemma 1, Theorem 2",
    title="Mixup is training on shrunk data that are perturbed: Theorems 1 and 2 and Lemma 1",
    measure=measure,
    settings={"alpha": 0.4, "count": 25, "pixels": 5, "width": 8, "nodes": 60, "step": 0.001},
    quick={"count": 8, "nodes": 40},
    seeds=10,
    claims=[
        Claim("eq. (4), over all pairs and ratios, is eq. (7): apart by rounding alone", AtMost("apart", FIRST, 1e-9),
              "0", unit="nats", is_exact=True),
        Claim("eq. (4) is not eq. (7) without the perturbations", AtLeast("apart without perturbations", FIRST, 1e-3),
              unit="nats", is_exact=True),
        Claim("perturbations have mean 0 and the covariances of Lemma 1", AtMost("apart", LEMMA, 1e-9), "0", unit="",
              is_exact=True),
        Claim("eq. (12) is the second-order expansion of eq. (7)", AtMost("apart", SECOND, 1e-5), "0", unit="nats",
              is_exact=True),
        Claim("mixup_risk of this package is eq. (4)", AtMost("apart", PACKAGE, 1e-9), unit="nats", is_exact=True,
              ours=True),
    ],
    notes="""Eq. (12) is computed with pseudo-inverses, since the printed inverses do not exist; it is
compared with second differences of eq. (7) in the size of the perturbations, which are right to six digits.""",
)  # fmt: skip
