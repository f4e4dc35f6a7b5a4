"""How good predicted probabilities are."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kmix_tf.analysis.calibration import expected_calibration_error


class Scores(NamedTuple):
    """error and calibration (expected calibration error, 10 bins) in percent; loss, cross-entropy in nats."""

    error: float
    calibration: float
    loss: float


def probabilities(model: keras.Model, x: np.ndarray, batch: int = 1024) -> np.ndarray:
    """Class probabilities `(n, classes)`, float64, of a model that returns logits."""
    logits = [np.asarray(model(x[start : start + batch], training=False)) for start in range(0, len(x), batch)]
    return tf.nn.softmax(np.concatenate(logits).astype(np.float64)).numpy()


def score(y: Any, predicted: np.ndarray) -> Scores:
    """Scores of predicted probabilities `(n, classes)` against integer classes `(n,)`."""
    y = np.asarray(y)
    of_truth = predicted[np.arange(len(y)), y]
    return Scores(
        error=100 * float(np.mean(predicted.argmax(axis=1) != y)),
        calibration=100 * expected_calibration_error(y, predicted),
        loss=float(-np.log(np.maximum(of_truth, np.finfo(float).tiny)).mean()),
    )


def scores(model: keras.Model, x: np.ndarray, y: Any) -> dict[str, float]:
    """error, calibration and loss of a model that returns logits, as measures of an arm."""
    return dict(score(y, probabilities(model, x))._asdict())
