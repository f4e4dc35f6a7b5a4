"""Which mixtures fall where another class lives."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.intrusion import IntrusionDistances, intrusion_distances, label_conflicts

_MIXTURES = 4000
# Samples compared with the mixtures of one epoch of them.
_SAMPLES = 4000
# Pairs of classes with fewer mixtures than this have no share worth naming.
_LEAST_MIXTURES = 20
_NAMED, _EXAMPLES = 5, 6


def conflicts(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """Mixes random pairs, as plain mixup does, and asks whose sample is nearest to each mixture.

    Args:
        x: `(n, d)`. y: int `(n,)`.

    Returns:
        mixtures: how many for each alpha. by_alpha: the share in conflict with its 95 % interval, and the worst pairs
        of classes.
    """
    told = []
    for alpha in alphas:
        found = label_conflicts(x, y, alpha, mixtures=_MIXTURES, seed=seed)
        worst = [
            {
                "classes": [kind.first_class, kind.second_class],
                "third": kind.nearest_class,
                "conflicts": kind.conflicts,
                "mixtures": kind.mixtures,
                "share": kind.share,
                "low": kind.low,
            }
            for kind in found.triples
            if kind.mixtures >= _LEAST_MIXTURES
        ]
        worst.sort(key=lambda pair: -pair["share"])
        told.append(
            {"alpha": alpha, "share": found.share, "low": found.low, "high": found.high, "worst": worst[:_NAMED]}
        )
    return {"mixtures": _MIXTURES, "by_alpha": told}


def intrusion(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """How near mixtures of other classes come to samples, and the nearest of them, on a random subset.

    Returns:
        samples. by_alpha: for each alpha least and mean of samples' distances to the nearest mixture, or None and the
        reason. examples, at alpha 1 or the first: sample, first, second (rows of x), ratio (what first weighs),
        distance.
    """
    chosen = np.sort(np.random.default_rng([seed, 2]).permutation(len(x))[:_SAMPLES])
    # Without gaps: of thousands of classes, few may have been drawn.
    classes = np.unique(y[chosen], return_inverse=True)[1]
    by_alpha, examples = [], []
    for alpha in alphas:
        try:
            # Several epochs, that samples of few data meet mixtures of other classes, too.
            epochs = int(np.clip(_SAMPLES // len(chosen), 1, 10))
            found = intrusion_distances(
                x[chosen], classes, alpha, epochs, same_class=True, offenders=5 * _EXAMPLES, seed=seed
            )
        except ValueError:
            reason = "too few samples for each to meet a mixture of other classes"
            by_alpha.append({"alpha": alpha, "least": None, "mean": None, "reason": reason})
            continue
        by_alpha.append({"alpha": alpha, "least": found.minimum, "mean": found.mean})
        if alpha == (1.0 if 1.0 in alphas else alphas[0]):
            examples = _clearest(found, chosen)
    return {"samples": len(chosen), "by_alpha": by_alpha, "examples": examples}


def _clearest(found: IntrusionDistances, chosen: np.ndarray) -> list[dict[str, Any]]:
    """One mixture may come near to several samples, and is named once."""
    different = {(near.first, near.second): near for near in reversed(found.nearest)}
    clearest = sorted(different.values(), key=lambda near: near.distance)[:_EXAMPLES]
    return [
        {
            "sample": int(chosen[near.index]),
            "first": int(chosen[near.first]),
            "second": int(chosen[near.second]),
            "ratio": near.ratio,
            "distance": float(near.distance),
        }
        for near in clearest
    ]
