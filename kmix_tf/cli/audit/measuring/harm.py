"""What mixing does to labels: those contradicted, mixtures in conflict, mixtures near to others, and steepness."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.conflicts import Conflict, conflicts_by_alpha
from kmix_tf.analysis.flip import contradictions
from kmix_tf.analysis.intrusion import IntrusionDistances, intrusion_distances
from kmix_tf.analysis.lipschitz import lipschitz_lower_bounds
from kmix_tf.cli.audit.measuring.distances import nearest

# Samples whose mixtures count, and samples asked: 1,000 x 1,000 / 2 pairs for each takes some 0.07 s at 784 features.
_ASKED_AMONG, _ASKED = 1000, 150
_VALUES = 1_500_000
_LEAST_SAMPLES = 200
# Balls that are smaller than this, in units of the largest value, are rounding errors.
_SMALLEST = 1e-12
_EXAMPLES = 5
_MIXTURES = 4000
# Samples compared with the mixtures of one epoch of them.
_COMPARED = 4000
# Pairs of classes with fewer mixtures than this have no share worth naming.
_LEAST_MIXTURES = 20
_PAIRS_NAMED, _NEAREST_NAMED = 5, 6
# Segments number with the square of samples, and pairs of segments are compared: 300 samples take below a second.
_JOINED = 300


def measure_contradictions(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
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
    size = int(np.clip(_VALUES // x.shape[1], _LEAST_SAMPLES, _ASKED_AMONG))
    chosen, y = _drawn(y, size, [seed, 1])
    x = x[chosen].astype(np.float64)
    told = {"samples": len(x), "copies": 0, "asked": 0}
    if len(np.unique(y)) < 2:
        return {**told, "by_alpha": _untold(alphas, f"the {len(x)} samples drawn to be asked are of one class")}
    radius = nearest(x, y).other_distance / 2
    radius[radius <= _SMALLEST * np.abs(x).max()] = 0
    told["copies"] = int((radius == 0).sum())
    if not radius.any():
        return {**told, "by_alpha": _untold(alphas, "every sample has an equal one of another class")}
    found = contradictions(x, y, alphas, radius, max_points=_ASKED, seed=seed)
    rows = [
        {"alpha": alpha, "share": at.share, "examples": chosen[at.index[:_EXAMPLES]].tolist()}
        for alpha, at in zip(alphas, found, strict=True)
    ]
    return {**told, "asked": len(found[0].checked), "by_alpha": rows}


def _untold(alphas: Sequence[float], reason: str) -> list[dict[str, Any]]:
    return [{"alpha": alpha, "share": None, "reason": reason, "examples": []} for alpha in alphas]


def _drawn(y: np.ndarray, size: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """So many rows at random, and their classes without gaps: of thousands of classes, few may have been drawn."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(y))[:size])
    return chosen, np.unique(y[chosen], return_inverse=True)[1]


def measure_conflicts(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """Mixes random pairs, as plain mixup does, and asks whose sample is nearest to each mixture.

    Args:
        x: `(n, d)`. y: int `(n,)`.

    Returns:
        mixtures: how many for each alpha. by_alpha: the share in conflict with its 95 % interval low, high; baseline:
        the same of the samples mixed, unmixed; excess, what mixing adds, with its interval; and the worst pairs of
        classes, by what mixing adds.
    """
    rows, named = [], ("share", "low", "high", "baseline", "excess", "excess_low", "excess_high")
    for alpha, found in zip(alphas, conflicts_by_alpha(x, y, alphas, mixtures=_MIXTURES, seed=seed), strict=True):
        worst = [_conflict(kind) for kind in found.triples if kind.mixtures >= _LEAST_MIXTURES]
        worst = sorted(worst, key=lambda pair: pair["baseline"] - pair["share"])[:_PAIRS_NAMED]
        rows.append({"alpha": alpha, **{name: getattr(found, name) for name in named}, "worst": worst})
    return {"mixtures": _MIXTURES, "by_alpha": rows}


def _conflict(kind: Conflict) -> dict[str, Any]:
    told = {name: getattr(kind, name) for name in ("conflicts", "mixtures", "share", "low", "baseline")}
    return {"classes": [kind.first_class, kind.second_class], "third": kind.nearest_class, **told}


def measure_intrusion(x: np.ndarray, y: np.ndarray, alphas: Sequence[float], seed: int) -> dict[str, Any]:
    """How near mixtures of other classes come to samples, and the nearest of them, on a random subset.

    Returns:
        samples. by_alpha: for each alpha least and mean of samples' distances to the nearest mixture, or None and the
        reason. examples, at alpha 1 or the first: sample, first, second (rows of x), ratio (what first weighs),
        distance.
    """
    chosen, classes = _drawn(y, _COMPARED, [seed, 2])
    # Several epochs, that samples of few data meet mixtures of other classes, too.
    epochs = int(np.clip(_COMPARED // len(chosen), 1, 10))
    rows, examples = [], []
    for alpha in alphas:
        try:
            found = intrusion_distances(
                x[chosen], classes, alpha, epochs=epochs, same_class=True, seed=seed, offenders=5 * _NEAREST_NAMED
            )
        except ValueError:
            reason = "too few samples for each to meet a mixture of other classes"
            rows.append({"alpha": alpha, "least": None, "mean": None, "reason": reason})
            continue
        rows.append({"alpha": alpha, "least": found.minimum, "mean": found.mean})
        if alpha == (1.0 if 1.0 in alphas else alphas[0]):
            examples = _clearest(found, chosen)
    return {"samples": len(chosen), "by_alpha": rows, "examples": examples}


def _clearest(found: IntrusionDistances, chosen: np.ndarray) -> list[dict[str, Any]]:
    """One mixture may come near to several samples, and is named once."""
    different = {(near.first, near.second): near for near in reversed(found.nearest)}
    clearest = sorted(different.values(), key=lambda near: near.distance)[:_NEAREST_NAMED]
    rows = [chosen[[near.index, near.first, near.second]].tolist() for near in clearest]
    return [
        dict(zip(("sample", "first", "second"), row, strict=True), ratio=near.ratio, distance=float(near.distance))
        for row, near in zip(rows, clearest, strict=True)
    ]


def measure_steepness(x: np.ndarray, y: np.ndarray, epsilon: float, seed: int) -> dict[str, Any]:
    """Q, the least Lipschitz constant that is right on all same-class mixtures of a random subset.

    Returns:
        samples, epsilon, and vanilla (no mixtures), local (of samples at most epsilon apart), full: floats, infinite
        where classes touch. Or None each, with the reason.
    """
    chosen, classes = _drawn(y, _JOINED, [seed, 3])
    told: dict[str, Any] = {"samples": len(chosen), "epsilon": epsilon}
    if len(np.unique(classes)) < 2:
        return {**told, "vanilla": None, "local": None, "full": None, "reason": "the subset is of one class"}
    bounds = lipschitz_lower_bounds(x[chosen], classes, [0.0, epsilon, np.inf])
    return {**told, **dict(zip(("vanilla", "local", "full"), map(float, bounds), strict=True))}


def in_typical_slopes(found: dict[str, Any], median: float) -> dict[str, Any]:
    """Q of `measure_steepness` with a scale that no unit of the data changes.

    Args:
        median: of the distances of samples to the nearest of another class. One over it is the slope with which a
            typical label changes, and what a model must do anyhow.

    Returns:
        the same, with unit_slope, and relative: vanilla, local and full in that slope. None where there is none.
    """
    if found["full"] is None or not median:
        return {**found, "unit_slope": None, "relative": None}
    relative = {name: median * found[name] for name in ("vanilla", "local", "full")}
    return {**found, "unit_slope": 1 / median, "relative": relative}
