"""Data whose targets are no classes, one each: what mixing does to numbers, and what a trial says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmix_tf.analysis.label_distance import label_distance
from kmix_tf.cli.audit.measuring import flattened
from kmix_tf.cli.reading.rows import Rows
from kmix_tf.trial.problem import CLASSES, REGRESSION, task_of

# Rows whose mixtures are asked; of several times as many the mean is not known much better.
_ASKED = 4000
_MIXTURES = 4000


def task_for(asked: str, labels: np.ndarray) -> str:
    """What targets are: as asked for, or as they look. What is no number, or not finite, counts as a class here."""
    if asked != "auto":
        return asked
    y = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if y.dtype.kind not in "fiub" or y.ndim > 2 or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        return CLASSES
    return task_of(y, asked)[0]


def measure_numbers(
    rows: Rows, task: str, standardize: bool, seed: int, alphas: Sequence[float]
) -> dict[str, Any] | None:
    """How far labels of mixtures are from those near them, at each alpha; None of several labels or a constant one.

    Returns:
        samples; by_alpha: alpha, distance, baseline, excess, low, high, in spreads of the target.
    """
    if task != REGRESSION or rows.y.dtype.kind not in "fiub":
        return None
    chosen = np.sort(np.random.default_rng([seed, 7]).permutation(len(rows.x))[:_ASKED])
    y = rows.y[chosen].reshape(len(chosen), -1)
    if len(chosen) < 3 or not np.isfinite(y).all() or not (y != y[:1]).any(axis=0).all():
        return None
    found = label_distance(flattened(rows.x[chosen], standardize), y, alphas, _MIXTURES, seed)
    by_alpha = [{"alpha": alpha, **at._asdict()} for alpha, at in zip(alphas, found, strict=True)]
    return {"samples": len(chosen), "mixtures": _MIXTURES, "by_alpha": by_alpha}
