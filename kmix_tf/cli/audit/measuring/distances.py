"""How far samples are from one another: the nearest of each kind, and the distances of pairs."""

import math
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.analysis.locality import distance_profile, locality
from kmix_tf.analysis.nearest import nearest_rows
from kmix_tf.weight import EqualWeight, ThresholdWeight

_EXAMPLES = 5
_BINS, _PAIRS = 40, 100_000
_BATCH, _BATCHES = 128, 30


class Neighbors(NamedTuple):
    """Of each sample the nearest other one of its class and of the other classes: places `(n,)`, distances `(n,)`.

    A sample that is alone in its class has an infinite distance to its own.
    """

    same: np.ndarray
    same_distance: np.ndarray
    other: np.ndarray
    other_distance: np.ndarray


def nearest(x: np.ndarray, y: np.ndarray) -> Neighbors:
    """Finds neighbours among `x` `(n, d)` with classes `y` `(n,)`."""

    def not_of_ones_own(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] != y] = np.inf
        scores[np.arange(len(scores)), np.arange(len(y))[these]] = np.inf

    def not_of_another(scores: np.ndarray, these: slice) -> None:
        scores[y[these, np.newaxis] == y] = np.inf

    same, other = (
        nearest_rows(lambda these: x[these], len(x), x, forbid) for forbid in (not_of_ones_own, not_of_another)
    )
    return Neighbors(*same, *other)


def measure_closeness(x: np.ndarray, y: np.ndarray, unit: float) -> dict[str, Any]:
    """How near classes come to one another.

    Args:
        x: float32 `(n, d)`, centred, in units of `unit`. y: int `(n,)`.

    Returns:
        samples; least and median distance to the nearest sample of another class; nearest_is_other: the share of
        samples to which that is nearer than any of their own; examples: the closest pairs, rows of x.
    """
    _, own, other, distance = nearest(x, y)
    pairs, rows = np.unique(np.sort(np.stack([np.arange(len(x)), other]), axis=0), axis=1, return_index=True)
    closest = np.argsort(distance[rows], kind="stable")[:_EXAMPLES]
    found = zip(*pairs[:, closest].tolist(), distance[rows[closest]].tolist(), strict=True)
    return {
        "samples": len(x),
        "least": unit * float(distance.min()),
        "median": unit * float(np.median(distance)),
        "nearest_is_other": float((distance < own).mean()),
        "examples": [{"first": first, "second": second, "distance": unit * apart} for first, second, apart in found],
    }


def measure_locality(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Any]:
    """Histograms of distances, a threshold and a rate to begin with, and what the threshold leaves of a batch.

    Args:
        x: `(n, d)`. y: int `(n,)`.

    Returns:
        edges, same, other: histograms, numbers of pairs. epsilon, rate (infinite at epsilon 0), quantile. batch_size;
        same_class and plain_same_class: shares of pairs of one class in all weight, with the threshold and without,
        None if no pair has weight; effective_batch: how many mixtures of a batch still count.
    """
    profile = distance_profile(x, y, bins=_BINS, max_pairs=_PAIRS, seed=seed)
    size = min(_BATCH, len(x))
    kept, plain = (
        locality(x, y, weight, batch_size=size, batches=_BATCHES, seed=seed)
        for weight in (ThresholdWeight(profile.epsilon), EqualWeight())
    )
    same, plain_same = (None if math.isnan(share) else float(share) for share in (kept.same_class, plain.same_class))
    return {
        **{name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in profile._asdict().items()},
        "batch_size": size,
        "same_class": same,
        "plain_same_class": plain_same,
        "effective_batch": kept.effective_batch,
    }
