"""What is measured on a sample, one question after another."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kmix_tf.cli.audit.measuring.distances import measure_closeness, measure_locality, measure_matching
from kmix_tf.cli.audit.measuring.harm import (
    in_typical_slopes,
    measure_conflicts,
    measure_contradictions,
    measure_intrusion,
    measure_steepness,
)
from kmix_tf.cli.reading.sample import Sample
from kmix_tf.cli.terminal import CannotSay, UserError

# Weak, the common default, and strong: On Mixup's data dependency, Section 2.3, fails its toy at 32.
ALPHAS = (0.2, 1.0, 32.0)
STEPS = 7
# Times as many features as rows from which on turning is worth its time.
_FAR_MORE = 2
# Squares of smaller features underflow, and squares of larger ones than its inverse overflow.
_SMALLEST = 1e-100


def flattened(x: np.ndarray, standardize: bool) -> np.ndarray:
    """Rows `(n, d)`, centred, which changes no distance but saves digits; in units of columns' spread if asked."""
    flat = x.reshape(len(x), -1)
    flat = flat - flat.mean(axis=0, dtype=np.float64).astype(flat.dtype)
    if standardize:
        spread = flat.std(axis=0, dtype=np.float64).astype(flat.dtype)
        flat /= np.where(spread > 0, spread, 1)
    return flat


def turned(x: np.ndarray) -> np.ndarray:
    """Rows `(n, d)` in at most n coordinates, which changes no distance between them or their mixtures.

    Only where there are far more features than rows. Equal rows stay equal.
    """
    if x.shape[1] < _FAR_MORE * len(x):
        return x
    kinds, places = np.unique(x, axis=0, return_inverse=True)
    # Columns of R are the rows in the coordinates of the orthonormal columns of Q.
    _, r = np.linalg.qr(kinds.T.astype(np.float64))
    return np.ascontiguousarray(r.T.astype(x.dtype)[places.reshape(-1)])


def measure(
    sample: Sample,
    standardize: bool,
    seed: int,
    tell: Callable[[str, int], object] = lambda what, done: None,
    alpha: float = 1.0,
) -> dict[str, Any]:
    """Measures a sample. Rows in what comes back are those of the sample.

    Args:
        standardize: divides features by their spread first.
        tell: is called with the name of each measure before it begins, and how many of `STEPS` are done.
        alpha: is measured besides `ALPHAS`.
    """
    x, y, alphas = flattened(sample.x, standardize), sample.y, tuple(sorted({*ALPHAS, alpha}))
    unit = float(np.abs(x).max())
    if not _SMALLEST <= unit <= 1 / _SMALLEST:
        received = "all samples are equal" if unit == 0 else f"values of size {unit:g}"
        error = UserError if unit else CannotSay
        raise error(f"{sample.source.name}: distances must be measurable. Received: {received}.")
    scales = _scales(sample, x)
    x = turned(x)
    # Of size 1, so that squares in float32 neither over- nor underflow.
    near = (x / unit).astype(np.float32)
    copies = {"searched": sample.searched, "found": sum(map(len, sample.contradictions))}
    measures: dict[str, Any] = {"balance": _balance(sample), "scales": scales, "copies": copies}
    # What is said meanwhile, and what is measured; later ones look at what earlier ones found.
    course: dict[str, tuple[str, Callable[[], Any]]] = {
        "closeness": ("nearest samples", lambda: measure_closeness(near, y, unit)),
        "contradictions": ("contradicted labels", lambda: measure_contradictions(near, y, alphas, seed)),
        "conflicts": ("conflicts", lambda: measure_conflicts(x, y, alphas, seed)),
        "intrusion": ("nearest mixtures", lambda: measure_intrusion(x, y, alphas, seed)),
        "matching": ("matching", lambda: measure_matching(x, y, alphas, seed)),
        "locality": ("distances", lambda: measure_locality(x, y, seed)),
        "steepness": ("steepness", lambda: _steepness(x, y, measures, seed)),
    }
    for done, (name, (words, ask)) in enumerate(course.items()):
        tell(words, done)
        measures[name] = ask()
    tell("measured", STEPS)
    return measures


def _steepness(x: np.ndarray, y: np.ndarray, measures: dict[str, Any], seed: int) -> dict[str, Any]:
    found = measure_steepness(x, y, measures["locality"]["epsilon"], seed)
    return in_typical_slopes(found, measures["closeness"]["median"])


def _balance(sample: Sample) -> dict[str, Any]:
    shares = sample.counts / sample.counts.sum()
    measured = np.bincount(sample.y, minlength=len(sample.classes))
    found = zip(sample.classes, sample.counts.tolist(), shares.tolist(), measured.tolist(), strict=True)
    names = ("class", "samples", "share", "measured")
    return {"classes": [dict(zip(names, row, strict=True)) for row in found]}


def _scales(sample: Sample, x: np.ndarray) -> dict[str, Any] | None:
    """Which feature of a vector makes up most of squared distances, and how much of them."""
    if sample.x.ndim != 2:
        return None
    variance = np.square(x.std(axis=0, dtype=np.float64))
    widest = int(variance.argmax())
    name = sample.source.columns[widest] if sample.source.columns else str(widest)
    return {"features": x.shape[1], "widest": name, "share": float(variance[widest] / (variance.sum() or 1.0))}
