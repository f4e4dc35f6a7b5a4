"""How good what a network predicts is, for every task in percent."""

from typing import NamedTuple

import keras
import numpy as np

from kmix_tf.analysis.calibration import expected_calibration_error
from kmix_tf.trial.problem import CLASSES, MULTILABEL, REGRESSION
from kmix_tf.trial.splits import Part

_AT_ONCE = 2048


class Scores(NamedTuple):
    """error: percent of rows, or of labels of several; of a regression, RMSE in percent of the targets' spread.

    loss: cross-entropy in nats; of a regression, squared error in squares of the spread. calibration: expected
    calibration error in percent, of ten bins, without weights; NaN of a regression.
    """

    error: float
    loss: float
    calibration: float


def predicted(network: keras.Model, x: np.ndarray) -> np.ndarray:
    """What the network gives, float64 `(n, units)`."""
    parts = [np.asarray(network(x[at : at + _AT_ONCE], training=False)) for at in range(0, len(x), _AT_ONCE)]
    return np.concatenate(parts).astype(np.float64).reshape(len(x), -1)


def score(part: Part, values: np.ndarray, task: str, is_balanced: bool) -> Scores:
    """Scores of predicted values against a part of the data."""
    found = error(part, values, task, is_balanced)
    return Scores(found, loss(part, values, task), _calibration(part.y, values, task))


def error(part: Part, values: np.ndarray, task: str, is_balanced: bool) -> float:
    """The error alone; see `Scores`."""
    weight = _weight(part)
    if task == REGRESSION:
        squares = np.average(np.square(values - part.y), axis=0, weights=weight)
        return 100 * float(np.sqrt(squares).mean())
    if task == CLASSES:
        return 100 * _share(
            values.argmax(axis=1) != part.y.argmax(axis=1), part.y.argmax(axis=1), weight, is_balanced
        )
    wrong = (values > 0) != (part.y > 0.5)
    columns = zip(wrong.T, part.y.T, strict=True)
    return 100 * float(np.mean([_share(one, y, weight, is_balanced) for one, y in columns]))


def _weight(part: Part) -> np.ndarray:
    weight = np.ones(len(part.y)) if part.weight is None else part.weight.astype(np.float64)
    return weight if weight.any() else np.ones(len(part.y))


def _share(wrong: np.ndarray, groups: np.ndarray, weight: np.ndarray, is_balanced: bool) -> float:
    """Of wrong rows: of all, or the mean over the groups that weigh anything."""
    if is_balanced:
        return float(np.average(wrong, weights=weight))
    each = [groups == group for group in np.unique(groups)]
    return float(np.mean([np.average(wrong[rows], weights=weight[rows]) for rows in each if weight[rows].any()]))


def loss(part: Part, values: np.ndarray, task: str) -> float:
    """The loss alone; see `Scores`."""
    if task == REGRESSION:
        each = np.square(values - part.y).mean(axis=1)
    elif task == CLASSES:
        each = (part.y * (_log_sum(values) - values)).sum(axis=1)
    else:
        each = (np.logaddexp(0, values) - part.y * values).mean(axis=1)
    return float(np.average(each, weights=_weight(part)))


def _log_sum(values: np.ndarray) -> np.ndarray:
    most = values.max(axis=1, keepdims=True)
    return most + np.log(np.exp(values - most).sum(axis=1, keepdims=True))


def _calibration(y: np.ndarray, values: np.ndarray, task: str) -> float:
    if task == REGRESSION or not np.isfinite(values).all():
        return float("nan")
    if task == CLASSES:
        return 100 * expected_calibration_error(y.argmax(axis=1), np.exp(values - _log_sum(values)))
    one = 1 / (1 + np.exp(-np.clip(values.reshape(-1), -500, 500)))
    return 100 * expected_calibration_error(y.reshape(-1).astype(np.int64), np.stack([1 - one, one], axis=1))


def chance(part: Part, task: str, is_balanced: bool) -> float:
    """The least error of a prediction that is the same for all rows, less what may be luck in so many rows."""
    weight = _weight(part)
    if task == REGRESSION:
        return 99.0
    shares = np.average(part.y, axis=0, weights=weight)
    if task == CLASSES:
        least = 1 - 1 / len(shares) if not is_balanced else 1 - shares.max()
    else:
        least = 0.5 if not is_balanced else np.minimum(shares, 1 - shares).mean()
    rows = len(part.y) * (part.y.shape[1] if task == MULTILABEL else 1)
    return 100 * float(least - 2 * np.sqrt(least * (1 - least) / rows))
