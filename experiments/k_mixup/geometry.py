"""Where the toys' classes are, and who is matched with whom in random groups of samples."""

import functools

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.special import gammaln

from experiments.k_mixup.common import BARS, RING, ROLL

# As in `kmix_tf.analysis.toys`: radii of the disc and of the ring; the bars' middles, half widths and half length.
_RINGS = ((0.0, 0.2), (0.4, 0.6))
_MIDDLES, _HALF_WIDTH, _HALF_LENGTH = ((-1.5, 0.5), (-0.5, 1.5)), 0.2, 2.65
_ARM_POINTS = 20_000


def to_class(toy, points, label):
    """Distances `(m,)` of points from where a class of a toy is, 0 inside it."""
    if toy == RING:
        inner, outer = _RINGS[label]
        radius = np.hypot(*points.T)
        return np.maximum(0, np.maximum(inner - radius, radius - outer))
    if toy == BARS:
        aside = np.abs(points[:, :1] - _MIDDLES[label]) - _HALF_WIDTH
        beyond = np.maximum(0, np.abs(points[:, 1:]) - _HALF_LENGTH)
        return np.hypot(np.maximum(0, aside), beyond).min(axis=1)
    return _arm(label).query(points)[0]


@functools.cache
def _arm(label):
    along = np.linspace(1, 3, _ARM_POINTS)
    radius, angle = (1 - 2 * label) * 2.2 * along, 1.5 * np.pi * along
    return cKDTree(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))


def injectivity_radius(toy):
    """Half the least distance between the toy's classes: a wider neighbourhood joins them."""
    if toy == ROLL:
        return float(to_class(toy, _arm(0).data, 1).min()) / 2
    return {RING: 0.1, BARS: 0.3}[toy]


def near(toy, points):
    """Whether points `(m, 2)` are near the toy's data, a quarter of the injectivity radius at most, and whose class.

    So near, since all of what lies between discs or bars is within the radius itself.
    """
    distances = np.stack([to_class(toy, points, label) for label in (0, 1)])
    return distances.min(axis=0) < injectivity_radius(toy) / 4, distances.argmin(axis=0)


def groups(size, k, trials, generator):
    """Pairs of random disjoint groups of k, int `(trials, 2, k)`."""
    return np.array([generator.permutation(size)[: 2 * k].reshape(2, k) for _ in range(trials)])


def transported(x, pairs):
    """Partners by optimal transport of the first groups' samples, rows of x `(trials, k)`."""
    return np.array([second[linear_sum_assignment(_costs(x, first, second))[1]] for first, second in pairs])


def nearest(x, pairs):
    """Partners that are the nearest of the second group, rows of x `(trials, k)`."""
    return np.array([second[_costs(x, first, second).argmin(axis=1)] for first, second in pairs])


def _costs(x, first, second):
    return cdist(x[first], x[second], "sqeuclidean")


def nearest_distribution(x, index, k):
    """Probabilities `(n,)` of a sample's partner, if it is the nearest of k random other samples.

    That the one of rank r (from 0) is: it is among the k, and the k - 1 others are of higher rank.
    """
    others = np.delete(np.arange(len(x)), index)
    order = others[np.argsort(np.linalg.norm(x[others] - x[index], axis=1), kind="stable")]
    beyond = np.arange(len(order) - 1, -1, -1)
    found = np.zeros(len(x))
    found[order] = np.exp(_log_choices(beyond, k - 1) - _log_choices(len(order), k))
    return found


def _log_choices(size, chosen):
    size = np.asarray(size, dtype=np.float64)
    safe = np.maximum(size, chosen)
    log = gammaln(safe + 1) - gammaln(chosen + 1) - gammaln(safe - chosen + 1)
    return np.where(size >= chosen, log, -np.inf)
