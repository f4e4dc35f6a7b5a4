"""Distances of pairs, and what Local Mixup's weights would keep."""

import math
from typing import Any

import numpy as np

from kmix_tf.analysis.locality import distance_profile, locality
from kmix_tf.weight import EqualWeight, ThresholdWeight

_BINS, _PAIRS = 40, 100_000
_BATCH, _BATCHES = 128, 30


def local(x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, Any]:
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
    return {
        "edges": profile.edges.tolist(),
        "same": profile.same.tolist(),
        "other": profile.other.tolist(),
        "epsilon": profile.epsilon,
        "rate": profile.rate,
        "quantile": profile.quantile,
        "batch_size": size,
        "same_class": _or_none(kept.same_class),
        "plain_same_class": _or_none(plain.same_class),
        "effective_batch": kept.effective_batch,
    }


def _or_none(share: float) -> float | None:
    return None if math.isnan(share) else float(share)
