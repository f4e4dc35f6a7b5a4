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
        samples, asked: how many. by_alpha: for each alpha the share contradicted, and examples, rows of x. A share is
        None, with a reason, where every sample has an equal one of another class.
    """
    size = int(np.clip(_VALUES // x.shape[1], _LEAST_SAMPLES, _SAMPLES))
    chosen = np.sort(np.random.default_rng([seed, 1]).permutation(len(x))[:size])
    x, y = x[chosen].astype(np.float64), y[chosen]
    radius = nearest(x, y).other_distance / 2 if len(np.unique(y)) > 1 else np.zeros(len(y))
    radius[radius <= _SMALLEST * np.abs(x).max()] = 0
    if not radius.any():
        return {"samples": len(x), "asked": 0, "by_alpha": [_untold(alpha) for alpha in alphas]}
    found = contradicted_at(x, y, alphas, radius, max_points=_POINTS, seed=seed)
    return {
        "samples": len(x),
        "asked": len(found[0].checked),
        "by_alpha": [
            {"alpha": alpha, "share": at.share, "examples": chosen[at.index[:_EXAMPLES]].tolist()}
            for alpha, at in zip(alphas, found, strict=True)
        ],
    }


def _untold(alpha: float) -> dict[str, Any]:
    reason = "every sample has an equal one, or none, of another class"
    return {"alpha": alpha, "share": None, "reason": reason, "examples": []}
