"""Whether a model ends as its user says."""

import numpy as np

from kmix_tf import _checks
from kmix_tf.models.endings import LINEAR, SIGMOID, SOFTMAX, Ending, are_probabilities, endings
from kmix_tf.models.rescaled.outputs import LOGITS, PROBABILITIES

__all__ = ["doubt", "endings", "require_fitting"]


def require_fitting(endings: list[Ending], kinds: list[str], names: list[str]) -> None:
    """Refuses outputs of another kind than is said.

    Raises:
        ValueError: naming the remedy.
    """
    for ending, kind, name in zip(endings, kinds, names, strict=True):
        remedy = _remedy(ending, kind)
        if remedy is not None:
            raise _checks.problem(
                f"{name} must say what the model returns. Received: {name}={kind!r}, but the model ends in "
                f"{'no activation' if ending.activation == LINEAR else ending.activation}. Set {name}={remedy!r}."
            )


def _remedy(ending: Ending, kind: str) -> str | None:
    """What kind an output is, if it is certain that it is not the one said."""
    activation, units = ending
    if activation == LINEAR and kind in PROBABILITIES:
        return LOGITS[PROBABILITIES.index(kind)]
    if activation == SOFTMAX and (kind in LOGITS or kind == "multilabel_probabilities"):
        return "probabilities"
    if activation == SIGMOID and kind in LOGITS:
        return "probabilities" if units == 1 and kind == "logits" else "multilabel_probabilities"
    if activation == SIGMOID and kind == "probabilities" and units not in (1, None):
        return "multilabel_probabilities"
    return None


def doubt(values: np.ndarray, kind: str) -> str | None:
    """What speaks against an output's kind in some of its values; None if nothing does."""
    if not values.size:
        return None
    lowest, highest = values.min(), values.max()
    if kind in PROBABILITIES and (lowest < -1e-3 or highest > 1 + 1e-3):
        return f"values from {lowest:g} to {highest:g}"
    totals = values.sum(axis=-1, dtype=np.float64)
    if kind == "probabilities" and values.shape[-1] > 1 and not (np.abs(totals - 1) < _checks.SUM_TOLERANCE).all():
        return f"sums from {totals.min():g} to {totals.max():g}"
    if kind in LOGITS and are_probabilities(values):
        return "values >= 0 that sum to 1, as probabilities do"
    return None
