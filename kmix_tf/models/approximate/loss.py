"""The loss of the approximate mixup, of targets and outputs that carry their perturbations with them."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, at_least_float32, require
from kmix_tf.maths.losses import LOSSES, TaylorLoss

# The terms of Theorem 2, each with the order of the model's derivatives that it needs. r1 and r3 come as their sum,
# eq. (33), which has no inverse in it.
TERMS = {"r1_r3": 1, "r2": 2, "r4": 0}


def derivative_order(terms: Sequence[str]) -> int:
    """The highest derivative of the model that the terms need."""
    return max((TERMS[term] for term in terms), default=0)


def checked_terms(terms: Any) -> tuple[str, ...]:
    """The terms in one order.

    Raises:
        TypeError, ValueError: for anything but a sequence of different ones.
    """
    rule = "a sequence of different ones of " + ", ".join(map(repr, TERMS))
    if isinstance(terms, str) or not isinstance(terms, Sequence):
        _checks.refuse("terms", rule, terms, TypeError)
    if not set(terms) <= set(TERMS) or len(set(terms)) < len(terms):
        _checks.refuse("terms", rule, terms)
    return tuple(term for term in TERMS if term in terms)


def plain_targets(y: tf.Tensor, outputs: int) -> tf.Tensor:
    """Targets `(batch, outputs)`: classes `(batch,)` or `(batch, 1)` one-hot, where there are several outputs.

    The dtype does not say which are classes, because Keras makes all targets of a loss floats.
    """
    if outputs > 1 and (y.shape.rank == 1 or y.shape[1:] == [1]):
        return _one_hot(tf.reshape(y, [-1]), outputs)
    if y.shape.rank == 1:
        y = y[:, tf.newaxis]
    if y.shape.rank != 2 or y.shape[1] not in (None, outputs):
        raise ValueError(
            f"ApproximateMixupModel: targets must be (batch, {outputs}) as the model's output, or integer classes. "
            f"Received: targets of shape {y.shape}."
        )
    return at_least_float32(y)


def _one_hot(y: tf.Tensor, classes: int) -> tf.Tensor:
    labels = tf.cast(y, tf.int64)
    is_class = (labels >= 0) & (labels < classes) & (tf.cast(labels, y.dtype) == y)
    message = f"labels must be in [0, {classes}), the model's classes. Received: one that is not."
    with _checks.speaking_as("ApproximateMixupModel"):
        (labels,) = after(require(tf.reduce_all(is_class), message), [labels])
    # XLA drops the check: such a label then makes the loss NaN, rather than a number that means nothing.
    return tf.where(is_class[:, tf.newaxis], tf.one_hot(labels, classes), math.nan)


@register
class ApproximateMixupLoss(keras.losses.Loss):
    """A loss of plain targets `(batch, outputs)`; or of perturbed ones, with the terms that perturbations add.

    Perturbed targets are `(batch, samples, 2, outputs)`: the target and its perturbation epsilon. Of samples with
    weights they have one entry more at the end, the weight, and the targets are multiplied by it. Perturbed outputs
    are `(batch, samples, order + 1, outputs)`: f, Df[delta], D^2 f[delta, delta].

    Args:
        kind: a name among `LOSSES`. terms: those that are added. mean: True for Keras' losses, which are means over
            outputs where the paper's are sums, and have no 1/2. label_smoothing: as Keras' cross-entropies have it.

    Source: On Mixup Regularization, eq. (33).
    """

    def __init__(
        self,
        kind: str,
        terms: Sequence[str],
        mean: bool = False,
        label_smoothing: float = 0.0,
        name: str = "approximate_mixup",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.kind = kind
        self.terms = tuple(terms)
        self.mean = mean
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        if y_pred.shape.rank == 2:
            outputs = int(y_pred.shape[1])
            targets = self._smoothed(tf.cast(plain_targets(y_true, outputs), y_pred.dtype), 1.0, outputs)
            return self._scale(outputs) * LOSSES[self.kind].value(targets, y_pred)
        return tf.add_n(list(self.parts(y_true, y_pred).values()))

    def parts(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> dict[str, tf.Tensor]:
        """Base and chosen terms, each `(batch,)`, of perturbed targets and outputs."""
        outputs = int(y_pred.shape[-1])
        target, weight, epsilon, turn = _apart(y_true, y_pred)
        target, epsilon = self._smoothed(target, weight, outputs), self._smoothed(epsilon, turn, outputs)
        found = _terms(LOSSES[self.kind], self.terms, (target, weight, epsilon, turn), tf.unstack(y_pred, axis=2))
        return {name: self._scale(outputs) * tf.reduce_mean(value, axis=1) for name, value in found.items()}

    def _scale(self, outputs: int) -> float:
        of_a_mean = {
            "categorical_crossentropy": 1.0,
            "binary_crossentropy": 1 / outputs,
            "squared_error": 2 / outputs,
        }
        return of_a_mean[self.kind] if self.mean else 1.0

    def _smoothed(self, target: tf.Tensor, weight: Any, outputs: int) -> tf.Tensor:
        """Targets, or what is added to them, drawn to equal probabilities; of a sum of so much weight."""
        if not self.label_smoothing:
            return target
        among = 2 if self.kind == "binary_crossentropy" else outputs
        return (1 - self.label_smoothing) * target + self.label_smoothing / among * weight

    def get_config(self) -> dict[str, Any]:
        values = {"kind": self.kind, "terms": list(self.terms), "mean": self.mean}
        return {**super().get_config(), **values, "label_smoothing": self.label_smoothing}


def _terms(
    loss: TaylorLoss, terms: Sequence[str], perturbed: tuple[tf.Tensor, ...], outputs: Sequence[tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Each `(batch, samples)`; perturbed as `_apart` gives it, outputs f and its derivatives."""
    target, weight, epsilon, turn = perturbed
    f, *derivatives = outputs
    scale = weight[..., 0]
    unit = tf.where(weight > 0, tf.math.divide_no_nan(target, weight), target)
    values = {"base": scale * loss.value(unit, f)}
    if "r1_r3" in terms:
        pull = tf.reduce_sum((turn * loss.mean(f) - epsilon) * derivatives[0], axis=-1)
        values["r1_r3"] = 0.5 * scale * loss.curvature(f, derivatives[0]) + pull
    if "r2" in terms:
        values["r2"] = 0.5 * tf.reduce_sum((weight * loss.mean(f) - target) * derivatives[1], axis=-1)
    if "r4" in terms:
        apart = tf.reduce_sum(tf.square(epsilon - turn * unit), axis=-1)
        values["r4"] = 0.5 * loss.target_curvature * tf.math.divide_no_nan(apart, scale)
    return values


def _apart(y: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Targets and weights, and the perturbations of both; where there are no weights, all are 1."""
    target, epsilon = tf.unstack(tf.cast(y, outputs.dtype), axis=2)
    if target.shape[-1] == outputs.shape[-1]:
        ones = tf.ones_like(target[..., :1])
        return target, ones, epsilon, tf.zeros_like(ones)
    return target[..., :-1], target[..., -1:], epsilon[..., :-1], epsilon[..., -1:]
