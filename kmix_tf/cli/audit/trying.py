"""A short trial: a small network trained with and without the mixup that is judged."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kmix_tf.layers import KMixupLayer
from kmix_tf.trial import Trial, compare_mixes

MIXUP = "mixup"


def code_of(alpha: float, classes: int | None) -> str:
    """The line that makes what is tried."""
    told = f", num_classes={classes}" if classes else ""
    return f"KMixupLayer(1, alpha={alpha:g}{told})"


def tried(
    x: np.ndarray,
    y: np.ndarray,
    task: str,
    alpha: float,
    minutes: float,
    seed: int,
    tell: Callable[[float, str], None],
    **dependent: Any,
) -> Trial:
    """A trial of mixup at `alpha` alone, beside no mixing; see `compare_mixes`.

    Args:
        task: "classes", "multilabel" or "regression". dependent: groups or time.
    """
    # Targets are one-hot rows by then, of the classes that have rows enough.
    mixes = {MIXUP: KMixupLayer(1, alpha=alpha)}
    return compare_mixes(x, y, mixes, minutes=minutes, task=task, seed=seed, progress=tell, **dependent)
