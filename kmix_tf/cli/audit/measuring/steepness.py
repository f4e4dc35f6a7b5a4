"""How steep a model must be for plain training, for local and for full mixup."""

from typing import Any

import numpy as np

from kmix_tf.analysis.lipschitz import lipschitz_lower_bounds

# Segments number with the square of samples, and pairs of segments are compared: 300 samples take below a second.
_SAMPLES = 300


def steepness(x: np.ndarray, y: np.ndarray, epsilon: float, seed: int) -> dict[str, Any]:
    """Q, the least Lipschitz constant that is right on all same-class mixtures of a random subset.

    Returns:
        samples, epsilon, and vanilla (no mixtures), local (of samples at most epsilon apart), full: floats, infinite
        where classes touch. Or None each, with the reason.
    """
    chosen = np.sort(np.random.default_rng([seed, 3]).permutation(len(x))[:_SAMPLES])
    told: dict[str, Any] = {"samples": len(chosen), "epsilon": epsilon}
    if len(np.unique(y[chosen])) < 2:
        return {**told, "vanilla": None, "local": None, "full": None, "reason": "the subset is of one class"}
    bounds = lipschitz_lower_bounds(x[chosen], y[chosen], [0.0, epsilon, np.inf])
    return {**told, **dict(zip(("vanilla", "local", "full"), map(float, bounds), strict=True))}
