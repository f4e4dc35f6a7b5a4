"""Which training labels a model that fits all mixtures would contradict."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.chords import ball_around
from kmix_tf.analysis.optimal_classifier import chords_of, label_means, mixture_weights, ratio_law
from kmix_tf.cli.audit.measuring.neighbors import nearest

# Samples whose mixtures count, and samples asked: 1,000 x 1,000 / 2 pairs for each takes some 0.07 s at 784 features.
_SAMPLES, _POINTS = 1000, 150
_VALUES = 1_500_000
_LEAST_SAMPLES = 200
# By so much another class must lead: more than rounding.
_LEAD = 1e-9
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
    generator = np.random.default_rng([seed, 1])
    size = int(np.clip(_VALUES // x.shape[1], _LEAST_SAMPLES, _SAMPLES))
    chosen = np.sort(generator.permutation(len(x))[:size])
    x, y = x[chosen].astype(np.float64), y[chosen]
    radius = nearest(x, y).other_distance / 2 if len(np.unique(y)) > 1 else np.zeros(len(y))
    asked = np.flatnonzero((radius > 1e-12 * np.abs(x).max()) & np.isfinite(radius))
    asked = np.sort(generator.permutation(asked)[:_POINTS])
    hot = np.eye(y.max() + 1)[y]
    wrong = np.zeros((len(asked), len(alphas)), bool)
    for row, index in enumerate(asked):
        wrong[row] = _contradicted(x, y, hot, int(index), float(radius[index]), alphas)
    return {
        "samples": len(x),
        "asked": len(asked),
        "by_alpha": [_told(alpha, wrong[:, i], chosen[asked]) for i, alpha in enumerate(alphas)],
    }


def _contradicted(
    x: np.ndarray, y: np.ndarray, hot: np.ndarray, index: int, radius: float, alphas: Sequence[float]
) -> list[bool]:
    ball = ball_around("audit", x[index], x, radius)
    # The chords through the ball are the same for all alphas, and take most of the time.
    chords = list(chords_of(ball))
    found = []
    for alpha in alphas:
        weights = mixture_weights(ball, ratio_law("audit", alpha), lambda: chords)
        prediction = label_means(weights[np.newaxis], hot)[0]
        found.append(bool(prediction.max() > prediction[y[index]] + _LEAD))
    return found


def _told(alpha: float, wrong: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    if not len(wrong):
        reason = "every sample has an equal one, or none, of another class"
        return {"alpha": alpha, "share": None, "reason": reason, "examples": []}
    return {"alpha": alpha, "share": float(wrong.mean()), "examples": rows[wrong][:_EXAMPLES].tolist()}
