"""The three losses of the paper, each with the derivatives that its Taylor approximation needs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.maths.samples import COLUMNS, real_array


class TaylorLoss(NamedTuple):
    """A loss l(y, u) of targets y and outputs u, `(..., outputs)`, whose mixed derivative in y and u is -I.

    value: l(y, u), `(...,)`. mean: u -> the prediction p(u) with gradient p(u) - y in u, of u's shape. curvature:
    (u, a) -> a^T H(u) a, `(...,)`, where H(u), the Jacobian of p, does not depend on y. target_curvature: the second
    derivative in y, which is this number times I.
    """

    value: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    mean: Callable[[tf.Tensor], tf.Tensor]
    curvature: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    target_curvature: float


def _total(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=-1)


def _softmax_curvature(u: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
    # The variance of a under softmax(u): centring first keeps it >= 0 and free of cancellation.
    p = tf.nn.softmax(u)
    return _total(p * tf.square(a - tf.reduce_sum(p * a, axis=-1, keepdims=True)))


# The value of the logistic loss is written with softplus, which overflows nowhere. Source: On Mixup Regularization,
# eq. (3) and (15); sections A.4 to A.6 for the derivatives.
LOSSES = {
    "categorical_crossentropy": TaylorLoss(
        lambda y, u: tf.reduce_logsumexp(u, axis=-1) - _total(y * u), tf.nn.softmax, _softmax_curvature, 0.0
    ),
    "binary_crossentropy": TaylorLoss(
        lambda y, u: _total(tf.nn.softplus(u) - y * u),
        tf.sigmoid,
        lambda u, a: _total(tf.sigmoid(u) * tf.sigmoid(-u) * tf.square(a)),
        0.0,
    ),
    "squared_error": TaylorLoss(
        lambda y, u: 0.5 * _total(tf.square(y - u)), tf.identity, lambda u, a: _total(tf.square(a)), 1.0
    ),
}


def targets_of(y: Any, outputs: int, loss: str) -> np.ndarray:
    """Targets float64 `(n, outputs)` for a loss: integer classes one-hot where there are several outputs.

    Raises:
        ValueError: for labels outside the classes, targets of another shape, not finite, or such as the loss does not
            take: soft labels that are no probabilities.
    """
    y = real_array("y", y, COLUMNS)
    if loss == "categorical_crossentropy" and outputs < 2:
        raise _checks.problem(
            f"loss='categorical_crossentropy' needs a model of at least two outputs. Received: {outputs}. "
            "For one logit take 'binary_crossentropy'."
        )
    if outputs > 1 and y.dtype.kind in "iub" and (y.ndim == 1 or y.shape[1:] == (1,)):
        return np.eye(outputs)[_labels(y, outputs)]
    if y.ndim == 1 and outputs == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != outputs:
        raise _checks.problem(
            f"y must be (n, {outputs}) as the model's output is, or integer classes. "
            f"Received: y of dtype {y.dtype} and shape {y.shape}."
        )
    y = y.astype(np.float64)
    _require_fit(y, loss)
    return y


def _labels(y: np.ndarray, outputs: int) -> np.ndarray:
    labels = y.reshape(len(y)).astype(np.int64)
    if labels.size and not (labels.min() >= 0 and labels.max() < outputs):
        raise _checks.problem(
            f"labels must be in [0, {outputs}), the model's classes. "
            f"Received: labels from {labels.min()} to {labels.max()}."
        )
    return labels


def _require_fit(y: np.ndarray, loss: str) -> None:
    if not np.isfinite(y).all():
        raise _checks.problem("y must be finite. Received: y with NaN or infinite values.")
    if loss == "squared_error" or y.size == 0:
        return
    if y.min() < -1e-6 or y.max() > 1 + 1e-6:
        raise _checks.problem(
            f"soft labels must be in [0, 1] for loss={loss!r}. Received: entries from {y.min():g} to {y.max():g}."
        )
    totals = y.sum(axis=1)
    if loss == "categorical_crossentropy" and np.abs(totals - 1).max() > 1e-4:
        raise _checks.problem(
            f"soft labels must sum to 1 for loss='categorical_crossentropy'. "
            f"Received: sums from {totals.min():g} to {totals.max():g}."
        )
