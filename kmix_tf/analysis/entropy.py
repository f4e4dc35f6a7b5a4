"""How uncertain predictions are, and how much more uncertain smoothed labels must make them."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import entr

from kmix_tf import _checks
from kmix_tf.analysis.calibration import class_probabilities
from kmix_tf.maths.losses import targets_of
from kmix_tf.maths.samples import as_numbers


class EntropyBound(NamedTuple):
    """Mean entropies in nats, floats.

    predictions: of the model trained on plain labels. labels: of the mean label. bound: theta predictions + (1 -
    theta) labels, the least mean entropy of a linear model trained on smoothed labels. sharper: the mean entropy of
    theta p_i + (1 - theta) y_bar, which the proof passes on its way: between the bound and that model's entropy.
    """

    predictions: float
    labels: float
    bound: float
    sharper: float


@_checks.speaks
def prediction_entropy(probabilities: Any, logits: bool = False) -> float:
    """Mean entropy of predictions, in nats: 0 for certainty, log(classes) for none.

    Args:
        probabilities: `(n, classes)`, n >= 1, rows that sum to 1; of a single unit `(n, 1)`, the probability of the
            second of two classes.
        logits: True if they are logits instead. Small entropies are more exact so: to full relative precision, where
            the probability next to 1 no longer tells them.

    Returns:
        A float.

    Raises:
        ValueError: for other shapes, values that are no probabilities, or logits that are not finite.

    Source: On Mixup Regularization, section 2 (the entropy Z) and Proposition 1.

    Example:
        >>> from kmix_tf.analysis.entropy import prediction_entropy
        >>> round(prediction_entropy([[0.5, 0.5], [1.0, 0.0]]), 6)
        0.346574
        >>> prediction_entropy([[100.0, 0.0]], logits=True) > 0
        True
    """
    if _checks.flag("logits", logits):
        return float(_of_logits(_logits(probabilities)).mean())
    return float(entr(class_probabilities(probabilities)).sum(axis=1).mean())


@_checks.speaks
def entropy_bound(y: Any, probabilities: Any, theta: float, logits: bool = False) -> EntropyBound:
    """Bounds from below the mean entropy that label smoothing, mixup's effect on labels, leaves a linear model.

    A linear model that minimises the cross-entropy of labels y_bar + theta (y_i - y_bar) has at least this mean
    entropy on its data, told from the predictions of the one that minimises that of y_i. "Linear" is in the
    parameters, so that it holds of the last layer of a network whose other layers are held fixed. With an intercept,
    predictions are no less certain than without smoothing, and shrinking the inputs as mixup does changes nothing.

    Args:
        y: integer classes `(n,)`, or one-hot or soft `(n, classes)`: the labels before smoothing.
        probabilities: `(n, classes)`, at least two, predictions on the same data by the model trained without
            smoothing, to its minimum: the bound holds for no other.
        theta: in [0, 1]: `theta_moments(alpha).mean` for mixup, 1 - epsilon for label smoothing towards y_bar.
        logits: True if predictions are logits instead.

    Returns:
        `EntropyBound(predictions, labels, bound, sharper)`. Where predictions <= labels, as with an intercept, the
        bound says that smoothing raises the mean entropy.

    Raises:
        ValueError: for other arguments.

    Source: On Mixup Regularization, Proposition 1 and its proof, A.7.

    Example:
        >>> from kmix_tf.analysis.entropy import entropy_bound
        >>> bound = entropy_bound([0, 1], [[0.9, 0.1], [0.1, 0.9]], theta=0.75)
        >>> bound.predictions < bound.bound < bound.sharper
        True
    """
    theta = _checks.probability("theta", theta)
    is_logits = _checks.flag("logits", logits)
    probabilities = as_numbers("probabilities", probabilities)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            "entropy_bound: probabilities must be (n, classes), at least two. "
            f"Received: probabilities of shape {probabilities.shape}."
        )
    values = _logits(probabilities) if is_logits else probabilities
    p = class_probabilities(values, is_logits)
    labels = targets_of(y, p.shape[1], "categorical_crossentropy")
    if len(labels) != len(p):
        raise ValueError(f"entropy_bound: y must be ({len(p)},) or {p.shape}. Received: y of shape {np.shape(y)}.")
    mean = labels.mean(axis=0)
    predictions, prior = prediction_entropy(values, is_logits), float(entr(mean).sum())
    smoothed = float(entr(theta * p + (1 - theta) * mean).sum(axis=1).mean())
    return EntropyBound(predictions, prior, theta * predictions + (1 - theta) * prior, smoothed)


def _logits(logits: Any) -> np.ndarray:
    """float64 `(n, classes)`, a single unit as two classes."""
    logits = as_numbers("logits", logits)
    if logits.ndim != 2 or logits.size == 0 or not np.isfinite(logits).all():
        raise _checks.problem(
            f"logits must be (n, classes), n >= 1, and finite. Received: shape {logits.shape}"
            f"{'' if np.isfinite(logits).all() else ', with NaN or infinite values'}."
        )
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits


def _of_logits(logits: np.ndarray) -> np.ndarray:
    """log(1 + s) + sum of p_j times the distance to the largest logit: nothing but positive terms."""
    below = np.sort(logits.max(axis=1, keepdims=True) - logits, axis=1)[:, 1:]
    weights = np.exp(-below)
    others = weights.sum(axis=1)
    return np.log1p(others) + (weights * below).sum(axis=1) / (1 + others)
