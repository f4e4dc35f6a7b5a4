"""How far a classifier's confidence is from how often it is right."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax

from kmix_tf import _checks
from kmix_tf.analysis.asking import ask
from kmix_tf.maths.reliability import ReliabilityCurve
from kmix_tf.maths.samples import COLUMNS, as_numbers, real_array


class Predictions(NamedTuple):
    """y: the targets of a dataset, `(n,)` or `(n, ...)`. probabilities: of each class, float64 `(n, classes)`."""

    y: np.ndarray
    probabilities: np.ndarray


@_checks.speaks
def reliability_curve(y: Any, probabilities: Any, bins: int = 10, binning: str = "width") -> ReliabilityCurve:
    """Sorts predictions into bins by confidence, the probability of the class predicted.

    Args:
        y: integer classes `(n,)` or `(n, 1)`, or one-hot `(n, classes)`; of soft labels the largest entry counts, the
            first of equal ones. NumPy arrays or tensors; see `predictions_of` for datasets.
        probabilities: `(n, classes)`, rows of probabilities that sum to 1; of a single unit `(n, 1)`, the
            probability of the second of two classes.
        bins: an integer >= 1.
        binning: "width" for bins of equal width: bin b holds confidences in (b / bins, (b + 1) / bins]. "mass" for
            bins of equal numbers of samples, from the least confident up; equal confidences (to 12 digits) stay
            together, in the bin in which the middle one of them falls, so that numbers differ and bins may be empty.

    Returns:
        `ReliabilityCurve(confidence, accuracy, count)`.

    Raises:
        ValueError: if shapes do not fit, there is no sample, labels are no classes, or rows are no probabilities.

    Source: Guo et al. 2017; bins of equal mass after Nixon et al. 2019.

    Example:
        >>> curve = reliability_curve([0, 1], [[0.9, 0.1], [0.65, 0.35]])
        >>> curve.count.astype(int).tolist()
        [0, 0, 0, 0, 0, 0, 1, 0, 1, 0]
        >>> reliability_curve([0, 1], [[0.9, 0.1], [0.65, 0.35]], bins=2, binning="mass").confidence.tolist()
        [0.65, 0.9]
    """
    classes, probabilities = _classified(y, probabilities)
    bins = _checks.integer("bins", bins, minimum=1)
    binning = _checks.choice("binning", binning, tuple(_BINNINGS))
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == classes
    index = _BINNINGS[binning](confidence, bins)
    count = np.bincount(index, minlength=bins).astype(float)
    with np.errstate(invalid="ignore"):
        mean, accuracy = (np.bincount(index, values, minlength=bins) / count for values in (confidence, correct))
    return ReliabilityCurve(mean, accuracy, count)


def expected_calibration_error(y: Any, probabilities: Any, bins: int = 10, binning: str = "width") -> float:
    """Mean distance between confidence and accuracy over bins of confidence, weighted by their share of samples.

    Args, raises: as `reliability_curve`.

    Returns:
        A float in [0, 1]; 0 is calibrated.

    Source: On Mixup Regularization, Figure 4, and Multi-mix, section IV-H (ECE), after Guo et al. 2017.

    Example:
        >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.65, 0.35]]), 3)
        0.375
    """
    with _checks.speaking_as("expected_calibration_error"):
        curve = reliability_curve(y, probabilities, bins, binning)
    filled = curve.count > 0
    gaps = np.abs(curve.confidence - curve.accuracy)[filled]
    return float(gaps @ curve.count[filled] / curve.count.sum())


@_checks.speaks
def predictions_of(model: Callable, dataset: tf.data.Dataset, logits: bool = False) -> Predictions:
    """Targets and predicted probabilities of a whole dataset, for the functions here.

    Args:
        model: a Keras model, asked as in inference, or a callable from a batch to `(batch, classes)`, or to
            `(batch, 1)` for one unit that stands for the second of two classes.
        dataset: of finitely many batches `(x, y)`.
        logits: True if the model returns logits: softmax, or for one unit the sigmoid, makes them probabilities.

    Returns:
        `Predictions(y, probabilities)`.

    Raises:
        TypeError: if `dataset` is none. ValueError: for other elements, such as with sample weights, which these
            functions do not count (`ExpectedCalibrationError` does); or if the model returns no probabilities.

    Example:
        >>> from kmix_tf.analysis.calibration import predictions_of
        >>> dataset = tf.data.Dataset.from_tensor_slices(([[2.0, 0.0]], [0])).batch(1)
        >>> predictions_of(lambda x: x, dataset, logits=True).probabilities.round(3).tolist()
        [[0.881, 0.119]]
    """
    _checks.flag("logits", logits)
    if not callable(model):
        _checks.refuse("model", "a Keras model or a callable", model, TypeError)
    if not isinstance(dataset, tf.data.Dataset):
        _checks.refuse("dataset", "a tf.data.Dataset", type(dataset).__name__, TypeError)
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[1], tf.TensorSpec):
        raise _checks.problem(f"dataset must be of batches (x, y), y one tensor. Received: elements {spec}.")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise _checks.problem("dataset must end. Received: one that repeats for ever.")
    pairs = [(np.asarray(y), class_probabilities(ask(model, x), logits)) for x, y in dataset]
    if not pairs:
        raise _checks.problem("dataset must not be empty. Received: no batch.")
    return Predictions(*(np.concatenate(parts) for parts in zip(*pairs, strict=True)))


def class_probabilities(values: Any, logits: bool = False) -> np.ndarray:
    """float64 `(n, classes)`, n >= 1, checked; a single unit becomes two classes.

    Raises:
        ValueError: if they are none.
    """
    values = as_numbers("probabilities", values)
    if values.ndim != 2 or values.size == 0:
        raise _checks.problem(
            f"probabilities must be (n, classes), n >= 1. Received: probabilities of shape {values.shape}."
        )
    if logits:
        values = expit(values) if values.shape[1] == 1 else softmax(values, axis=1)
    if values.shape[1] == 1:
        values = np.concatenate([1 - values, values], axis=1)
    totals = values.sum(axis=1)
    if not (np.abs(totals - 1) < _checks.SUM_TOLERANCE).all() or values.min() < -1e-6:
        raise _checks.problem(
            f"rows of probabilities must be >= 0 and sum to 1; take a softmax of logits first. "
            f"Received: entries from {values.min():g}, sums from {totals.min():g} to {totals.max():g}.",
        )
    return values


def _classified(y: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    y, probabilities = real_array("y", y, COLUMNS), as_numbers("probabilities", probabilities)
    shape = probabilities.shape
    if y.ndim not in (1, 2) or len(shape) != 2 or len(y) != shape[0] or len(y) == 0:
        raise _checks.problem(
            f"y must be (n,) or (n, classes) and probabilities (n, classes), n >= 1. "
            f"Received: y of shape {y.shape} and probabilities of shape {shape}.",
        )
    probabilities = class_probabilities(probabilities)
    return _labels(y, probabilities.shape[1]), probabilities


def _labels(y: np.ndarray, classes: int) -> np.ndarray:
    """Integer classes `(n,)`."""
    y = y[:, 0] if y.shape[1:] == (1,) else y
    if y.ndim == 2 and (y.shape[1] != classes or not np.isfinite(y.astype(np.float64)).all()):
        raise _checks.problem(f"y must be (n,) or (n, {classes}) and finite. Received: y of shape {y.shape}.")
    labels = y.argmax(axis=1) if y.ndim == 2 else y.astype(np.float64)
    if not ((labels >= 0) & (labels < classes) & (labels == np.floor(labels))).all():
        raise _checks.problem(
            f"labels must be integers in [0, {classes}). Received: labels from {labels.min():g} to {labels.max():g}.",
        )
    return labels.astype(int)


def _by_width(confidence: np.ndarray, bins: int) -> np.ndarray:
    # Rounding up puts a confidence on an edge into the lower bin; 12 digits forgive a last-bit excess over it.
    return np.clip(np.ceil(np.round(confidence * bins, 12)).astype(int) - 1, 0, bins - 1)


def _by_mass(confidence: np.ndarray, bins: int) -> np.ndarray:
    _, group, sizes = np.unique(np.round(confidence, 12), return_inverse=True, return_counts=True)
    # Twice the rank of the middle of each group, an integer: sample i of n, all different, goes to bin i bins // n.
    middles = 2 * (np.cumsum(sizes) - sizes) + sizes - 1
    return (middles * bins // (2 * len(confidence)))[group.reshape(-1)]


_BINNINGS = {"width": _by_width, "mass": _by_mass}
