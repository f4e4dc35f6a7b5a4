"""Which training labels a model that fits all mixtures would contradict."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.flip import contradictions as contradicted_at
from kmix_tf.cli.audit.measuring.neighbors import nearest

# Samples whose mixtures count, and samples asked: 1,000 x 1,000 / 2 pairs for each takes some 0.07 s at 784 features.
_SAMPLES, _POINTS = 1000, 150
_VALUES = 1_500_000
_LEAST_SAMPLES = 200
# Balls that are smaller than this, in units of the largest value, are rounding errors.
_SMALLEST = 1e-12
_EXAMPLES = 5


def contradictions(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """Asks the mixup-optimal classifier about samples of a random subset, which are mixed with one another.

    It is constant in a ball around each sample, whose radius is half the distance to the nearest sample of another
    class: all of the ball is nearer to the sample than to any of another class. So what it contradicts, mixing did.

    Args:
        x: float32 `(n, d)`, centred. y: int `(n,)`.

    Returns:
        samples, copies, asked: how many, how many of them have an equal one of another class, and how many of the
        others were asked. by_alpha: for each alpha the share contradicted, and examples, rows of x. A share is None,
        with a reason, where none could be asked.
    """
    size = int(np.clip(_VALUES // x.shape[1], _LEAST_SAMPLES, _SAMPLES))
    chosen = np.sort(np.random.default_rng([seed, 1]).permutation(len(x))[:size])
    # Without gaps: of thousands of classes, few may have been drawn.
    x, y = x[chosen].astype(np.float64), np.unique(y[chosen], return_inverse=True)[1]
    told = {"samples": len(x), "copies": 0, "asked": 0}
    if len(np.unique(y)) < 2:
        return {**told, "by_alpha": _untold(alphas, f"the {len(x)} samples drawn to be asked are of one class")}
    radius = nearest(x, y).other_distance / 2
    radius[radius <= _SMALLEST * np.abs(x).max()] = 0
    told["copies"] = int((radius == 0).sum())
    if not radius.any():
        return {**told, "by_alpha": _untold(alphas, "every sample has an equal one of another class")}
    found = contradicted_at(x, y, alphas, radius, max_points=_POINTS, seed=seed)
    return {
        **told,
        "asked": len(found[0].checked),
        "by_alpha": [
            {"alpha": alpha, "share": at.share, "examples": chosen[at.index[:_EXAMPLES]].tolist()}
            for alpha, at in zip(alphas, found, strict=True)
        ],
    }


def _untold(alphas: Sequence[float], reason: str) -> list[dict[str, Any]]:
    return [{"alpha": alpha, "share": None, "reason": reason, "examples": []} for alpha in alphas]
