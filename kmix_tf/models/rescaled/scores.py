"""How good predictions are, summed up batch by batch, so that two kinds of them can be compared in one pass."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

# As Keras' losses: the least probability whose logarithm is taken.
_LEAST = 1e-7


class Scores(NamedTuple):
    """Means over samples, floats.

    error: the share of wrong classes (or labels), or for regression the mean squared error. loss: cross-entropy
    (binary for single units and labels), or for regression the mean squared error again. calibration_error: the
    expected calibration error, with bins of equal width; None for regression, which has no confidences. As in Keras'
    losses, probabilities below 1e-7 count as 1e-7.
    """

    error: float
    loss: float
    calibration_error: float | None


class Comparison(NamedTuple):
    """plain: `Scores` of the wrapped model. rescaled: those of its rescaled predictions. Printed, it is a table."""

    plain: Scores
    rescaled: Scores

    def __str__(self) -> str:
        rows = [f"{'':17}  {'plain':>9}  {'rescaled':>9}"]
        for name, *pair in zip(Scores._fields, *self, strict=True):
            if None not in pair:
                rows.append(f"{name.replace('_', ' '):17}  {pair[0]:9.4g}  {pair[1]:9.4g}")
        return "\n".join(rows)


class ScoreSums:
    """Weighted sums from which `Scores` follow, of the predictions of one output.

    Args:
        kind: of the output, as in `RescaledModel`.
        bins: of the calibration error, an integer >= 1.
    """

    def __init__(self, kind: str, bins: int):
        self._kind = kind
        self._sums = np.zeros(3)  # of weights, errors and losses
        self._bins = np.zeros((2, bins))  # of confidence and of hits, each times weight

    def update(self, targets: np.ndarray, answer: Any, weights: np.ndarray) -> None:
        """Adds a batch: targets and answer `(batch, ...)` of one shape, weights `(batch,)` or `(batch, *places)`."""
        targets, answer = (np.asarray(values, dtype=np.float64) for values in (targets, answer))
        if self._kind == "regression":
            squares = np.square(targets - answer).mean(axis=tuple(range(weights.ndim, answer.ndim)))
            self._add(squares, squares, weights)
            return
        is_binary = self._kind.startswith("multilabel") or answer.shape[-1] == 1
        scored = _binary if is_binary else _classes
        hit, loss, confidence = scored(targets, answer, self._kind.endswith("logits"))
        # Each label, and each place of a map, counts as much as its sample.
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (hit.ndim - weights.ndim)), hit.shape)
        self._add(1.0 - hit, loss, weights)
        self._add_to_bins(hit, confidence, weights)

    def result(self) -> Scores:
        total, error, loss = self._sums
        gap = None if self._kind == "regression" else float(np.abs(self._bins[0] - self._bins[1]).sum() / total)
        return Scores(float(error / total), float(loss / total), gap)

    def _add(self, error: np.ndarray, loss: np.ndarray, weights: np.ndarray) -> None:
        self._sums += [weights.sum(), (error * weights).sum(), (loss * weights).sum()]

    def _add_to_bins(self, hit: np.ndarray, confidence: np.ndarray, weights: np.ndarray) -> None:
        count = self._bins.shape[1]
        # The same edges as in kmix_tf.analysis.reliability_curve.
        index = np.clip(np.ceil(np.round(confidence * count, 12)).astype(int) - 1, 0, count - 1).ravel()
        for row, values in zip(self._bins, (confidence, hit), strict=True):
            row += np.bincount(index, (values * weights).ravel(), minlength=count)


def _classes(targets: np.ndarray, answer: np.ndarray, logits: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hit, loss and confidence of each vector of classes."""
    probabilities = softmax(answer, axis=-1) if logits else answer
    logs = log_softmax(answer, axis=-1) if logits else np.log(np.maximum(answer, _LEAST))
    hit = answer.argmax(axis=-1) == targets.argmax(axis=-1)
    return hit, -(targets * logs).sum(axis=-1), probabilities.max(axis=-1)


def _binary(targets: np.ndarray, answer: np.ndarray, logits: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hit, loss and confidence of each label."""
    probability = expit(answer) if logits else answer
    if logits:
        logs = log_expit(answer), log_expit(-answer)
    else:
        logs = tuple(np.log(np.maximum(each, _LEAST)) for each in (answer, 1 - answer))
    hit = (probability > 0.5) == (targets > 0.5)
    loss = -(targets * logs[0] + (1 - targets) * logs[1])
    return hit, loss, np.maximum(probability, 1 - probability)
