"""Numbers on the test set, and the table made of them."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kmix_tf.analysis import expected_calibration_error

COLUMNS = {"error": "test error, %", "calibration": "calibration error, %", "loss": "test loss"}


class Scores(NamedTuple):
    """error and calibration (expected calibration error, 10 bins) in percent; loss, cross-entropy in nats."""

    error: float
    calibration: float
    loss: float


def probabilities(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Class probabilities `(n, classes)` of a model that returns logits."""
    return tf.nn.softmax(tf.cast(model.predict(x, batch_size=1024, verbose=0), tf.float64)).numpy()


def score(y: np.ndarray, predicted: np.ndarray) -> Scores:
    """Scores of predicted probabilities against integer classes."""
    of_truth = predicted[np.arange(len(y)), y]
    return Scores(
        error=100 * float(np.mean(predicted.argmax(axis=1) != y)),
        calibration=100 * expected_calibration_error(y, predicted),
        loss=float(-np.log(np.maximum(of_truth, np.finfo(float).tiny)).mean()),
    )


def summary(scores: dict[str, list[Scores]]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over seeds, by method and column."""
    return {
        method: {
            column: {
                "mean": float(np.mean([getattr(run, column) for run in runs])),
                "spread": float(np.std([getattr(run, column) for run in runs], ddof=1)) if len(runs) > 1 else 0.0,
            }
            for column in COLUMNS
        }
        for method, runs in scores.items()
    }


def markdown(table: dict[str, dict[str, dict[str, float]]]) -> str:
    """The summary as a Markdown table: mean ± standard deviation."""
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "--:|" * len(COLUMNS)]
    for method, row in table.items():
        digits = {"error": 1, "calibration": 1, "loss": 2}
        cells = [f"{row[c]['mean']:.{digits[c]}f} ± {row[c]['spread']:.{digits[c]}f}" for c in COLUMNS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
