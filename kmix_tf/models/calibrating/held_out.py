"""What is wrong with held-out data, said before anybody believes a number fitted on them."""

import warnings

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import beta

from kmix_tf import _checks
from kmix_tf.models.calibrating.links import BINARY, CLASSES, REGRESSION
from kmix_tf.models.calibrating.rows import Rows

# Which share of samples the model is surest of; how many of them are right if labels are; how many there must be.
_SURE_SHARE, _SHOULD_BE_RIGHT, _ENOUGH = 0.25, 0.95, 20


def require_held_out(rows: Rows, name: str, method: str | None) -> None:
    """Refuses data on which a method cannot be fitted.

    Args:
        name: of the output. method: or None, if nothing is fitted.

    Raises:
        ValueError: for fewer than two samples; for targets of one class alone, or of too few of them for the method.

    Warns:
        UserWarning: for classes without a sample.
    """
    if method is None:
        return
    count = len(np.unique(rows.samples))
    if count < 2:
        raise _checks.problem(f"held-out data must be at least two samples. Received: {count} with a weight.")
    if rows.law == REGRESSION:
        return
    if rows.law == BINARY:
        alike = np.flatnonzero(np.ptp(rows.targets, axis=0) == 0)
        if len(alike) == rows.targets.shape[1]:
            raise _checks.problem(
                f"held-out data must have samples of both classes. Received: for {name}, only labels "
                f"{rows.targets[0, 0]:g}."
            )
        return
    missing = np.flatnonzero(rows.targets.sum(axis=0) == 0)
    if len(missing) == rows.targets.shape[1] - 1:
        raise _checks.problem(
            f"held-out data must have samples of all classes. Received: for {name}, only class "
            f"{int(rows.targets[0].argmax())}."
        )
    if not len(missing):
        return
    said = f"{len(missing)} of {rows.targets.shape[1]} classes have no held-out sample ({_listed(missing)})"
    if method == "vector":
        raise _checks.problem(
            f"method='vector' needs held-out samples of all classes. Received: for {name}, {said}. "
            "Take method='temperature'."
        )
    _warn(f"held-out data should have samples of all classes. Received: for {name}, {said}")


def warn_of_doubts(rows: Rows, logits: np.ndarray, name: str) -> None:
    """Warns of labels that are wrong even where the model is surest.

    A temperature fitted to noisy labels makes confidences true of noisy labels, and far from true of right ones.
    """
    if rows.law == REGRESSION or (rows.law == BINARY and logits.shape[1] > 1):
        return
    right, count = right_where_surest(rows, logits)
    if count < _ENOUGH:
        return
    highest = beta.ppf(0.975, right + 1, count - right) if right < count else 1.0
    if highest < _SHOULD_BE_RIGHT:
        _warn(
            f"held-out labels may be wrong: for {name}, the model gets {count - right} of the {count} samples that "
            "it is surest of wrong. Confidences fitted to noisy labels are those of noisy labels, too low for right "
            "ones. If these labels are right, all is well: the model has reason to be sure of nothing"
        )


def right_where_surest(rows: Rows, logits: np.ndarray) -> tuple[int, int]:
    """How many are right of the quarter with the highest confidences, and how many these are."""
    likely = expit(np.abs(logits[:, 0])) if rows.law == BINARY else _most_likely(logits)
    count = int(len(likely) * _SURE_SHARE)
    surest = np.argsort(-likely, kind="stable")[:count]
    if rows.law == CLASSES:
        right = logits[surest].argmax(axis=1) == rows.targets[surest].argmax(axis=1)
    else:
        right = (logits[surest, 0] > 0) == (rows.targets[surest, 0] > 0.5)
    return int(right.sum()), count


def warn_if_seen(share: float | None) -> None:
    """Warns of held-out samples that the model was adapted to, which are training data.

    Args:
        share: of held-out samples, estimated; None if it is not known.
    """
    if share is not None and share >= 0.1:
        _warn(
            "held-out data must not be training data, of which models are too sure. Received: samples of which "
            f"about {100 * share:.0f} % have the features of samples given to adapt. Hold out samples that the model "
            "was not trained on"
        )


def _most_likely(logits: np.ndarray) -> np.ndarray:
    size = max(1, 2**20 // logits.shape[1])
    blocks = [logits[start : start + size].astype(np.float64) for start in range(0, len(logits), size)]
    return np.concatenate([softmax(block, axis=1).max(axis=1) for block in blocks])


def _listed(classes: np.ndarray) -> str:
    return ", ".join(str(each) for each in classes[:5]) + (", ..." if len(classes) > 5 else "")


def _warn(message: str) -> None:
    warnings.warn(f"{_checks.speaker()}: {message}.", UserWarning, stacklevel=5)
