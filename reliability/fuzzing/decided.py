"""Whether who is paired with whom, and what each pair counts, is what the pairing and the weight say: by SciPy."""

from typing import Any

import numpy as np
from fuzzing.oracle import require, wide
from scipy.optimize import linear_sum_assignment

import kmix_tf


def flat(leaves: Any) -> np.ndarray:
    """All leaves of a batch side by side, in float64."""
    leaves = [wide(leaf) for leaf in leaves]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def excess(first: np.ndarray, second: np.ndarray, partner: np.ndarray, group: np.ndarray, cost: str) -> float:
    """By how much of its least cost the worst group's matching misses it."""
    unit = max(np.abs(first).max(initial=0), np.abs(second).max(initial=0)) or 1.0
    first, second, worst = first / unit, second / unit, 0.0
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        costs = np.square(first[rows][:, np.newaxis] - second[partner[rows]][np.newaxis]).sum(axis=2)
        costs = costs if cost == "sqeuclidean" else np.sqrt(costs)
        least = costs[linear_sum_assignment(costs)].sum()
        worst = max(worst, (np.trace(costs) - least) / max(least, 1e-9))
    return worst


def pairs(pairing: Any, found: Any, first: np.ndarray, second: np.ndarray, labels: Any, within: bool) -> None:
    """Whether partners are such as this pairing promises.

    Args:
        found: partner and group, as the pairing gave them. first, second: `(batch, features)` of both sides.
        labels: the class of each sample, or None where there are none. within: whether a batch is its own other.
    """
    if isinstance(pairing, kmix_tf.RepeatedPairing):
        for partner, group in zip(*map(np.asarray, found), strict=True):
            pairs(pairing.pairing, (partner, group), first, second, labels, within)
        return
    partner, group = map(np.asarray, found)
    size, rows = len(first), np.arange(len(first))
    require(((partner >= 0) & (partner < size)).all(), "partners that are no rows")
    is_bijective = isinstance(pairing, (kmix_tf.RandomPairing, kmix_tf.OptimalTransportPairing))
    require(not is_bijective or sorted(partner) == list(rows), "a sample is the partner of two, or of none")
    alone = getattr(pairing, "with_itself", False) or size < 2 or not within
    if isinstance(pairing, (kmix_tf.RandomPairing, kmix_tf.OptimalTransportPairing, kmix_tf.NearestNeighborPairing)):
        most = size % 2 if pairing.mutual else 0
        require(alone or (partner == rows).sum() <= most, "a sample is its own partner")
    if pairing.mutual and within:
        require((partner[partner] == rows).all(), "pairs are not mutual")
    elif isinstance(pairing, kmix_tf.OptimalTransportPairing) and size:
        require(np.bincount(group).max() <= pairing.k, "a group of more than k")
        missed = excess(first, second, partner, group, pairing.cost)
        require(missed < 1e-4, f"a group is matched at {missed:.3g} more than it need be")
    if isinstance(pairing, kmix_tf.SameClassPairing) and labels is not None:
        require((labels[partner] == labels).all(), "partners of another class")
    if isinstance(pairing, kmix_tf.OtherClassPairing) and labels is not None:
        there_are = np.array([(labels != label).any() for label in labels], bool)
        require((labels[partner] != labels)[there_are].all(), "partners of the same class")


def by_distance(weight: Any, first: np.ndarray, second: np.ndarray, partner: np.ndarray, within: bool) -> Any:
    """What each pair counts before the mean is divided out, and which of them are too near to a threshold to tell."""
    distances = np.sqrt(np.square(first[np.newaxis] - second[partner]).sum(axis=-1)).reshape(partner.shape)
    unit = 1e-4 * max(np.abs(first).max(initial=0), np.abs(second).max(initial=0), 1e-12) * first.shape[1] ** 0.5
    if isinstance(weight, kmix_tf.ExponentialWeight):
        if not isinstance(weight.rate, str):
            return np.exp(-weight.rate * (distances - distances.min(initial=np.inf))), np.zeros(partner.shape, bool)
        scale = np.quantile(distances, float(weight.rate.split(":")[1])) if distances.size else 1.0
        with np.errstate(all="ignore"):
            return np.where(distances > 0, np.exp(-distances / scale), 1.0), distances < unit
    if isinstance(weight, kmix_tf.ThresholdWeight):
        reach = weight.epsilon
        if isinstance(reach, str):
            reach = np.quantile(distances, float(reach.split(":")[1])) if distances.size else 0.0
        return (distances <= reach) * 1.0, np.abs(distances - reach) <= unit
    return _among_nearest(weight.neighbors, first, second, partner, within, unit)


def _among_nearest(
    count: int, first: np.ndarray, second: np.ndarray, partner: np.ndarray, within: bool, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    size = len(first)
    distances = np.sqrt(np.square(first[:, np.newaxis] - second[np.newaxis]).sum(axis=-1))
    others = np.where(np.eye(size, dtype=bool), np.inf, distances) if within else distances
    last = min(count, max(size - int(within), 1)) - 1
    reach = np.sort(others, axis=1)[:, last, np.newaxis], np.sort(others, axis=0)[np.newaxis, last]
    near = (distances <= reach[0]) | (distances <= reach[1]) | (np.eye(size, dtype=bool) if within else False)
    close = np.minimum(*(np.abs(distances - np.where(np.isfinite(each), each, 1e300)) for each in reach)) <= unit
    rows = np.broadcast_to(np.arange(size), partner.shape)
    return near[rows, partner] * 1.0, close[rows, partner]
