"""The space in which answers of every kind are calibrated: logits, or for regression, distances from the mean.

Log-probabilities are logits, too. So a temperature means the same for a model that ends in a softmax and one without.
"""

from typing import Any

from kmix_tf._ops import Tensor, ops

# As Keras' losses: the least probability whose logarithm is taken.
LEAST = 1e-7
CLASSES, BINARY, REGRESSION = "classes", "binary", "regression"


def law_of(kind: str, units: int) -> str:
    """What an output tells: one of several "classes", "binary" labels each by itself, or "regression"."""
    if kind == "regression":
        return REGRESSION
    return BINARY if kind.startswith("multilabel") or units == 1 else CLASSES


def to_logits(answer: Any, kind: str, mean: Any) -> Tensor:
    """An answer `(batch, ..., units)` in the space of logits, float32 or float64. mean: of the targets."""
    answer = ops.at_least_float32(ops.convert_to_tensor(answer))
    law = law_of(kind, answer.shape[-1])
    if law == REGRESSION:
        return answer - ops.cast(mean, answer.dtype)
    if kind.endswith("logits"):
        return answer
    if law == CLASSES:
        return ops.log(ops.maximum(answer, LEAST))
    return _log_odds(answer)


def from_logits(logits: Tensor, kind: str, mean: Any) -> Tensor:
    """The inverse of `to_logits`."""
    law = law_of(kind, logits.shape[-1])
    if law == REGRESSION:
        return logits + ops.cast(mean, logits.dtype)
    if kind.endswith("logits"):
        return logits
    return ops.softmax(logits) if law == CLASSES else ops.sigmoid(logits)


def _log_odds(probability: Tensor) -> Tensor:
    probability = ops.clip(probability, LEAST, 1 - LEAST)
    return ops.log(probability) - ops.log(1 - probability)
