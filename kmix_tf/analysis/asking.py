"""Asking a model, a Keras model or any callable, for its outputs and losses."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.maths.losses import LOSSES


def ask(model: Callable, x: tf.Tensor) -> tf.Tensor:
    """What a model answers in inference; or a plain callable."""
    return model(x, training=False) if isinstance(model, keras.layers.Layer) else model(x)


def one_output(model: Callable, x: Any) -> int:
    """The number of outputs of a model, asked about one sample.

    Raises:
        TypeError: if it cannot be called. ValueError: if it does not return one tensor `(batch, outputs)`.
    """
    if not callable(model):
        _checks.refuse("model", "a Keras model or a callable", model, TypeError)
    answer = ask(model, tf.convert_to_tensor(x[:1]))
    if not tf.is_tensor(answer) or answer.shape.rank != 2 or answer.shape[0] != 1:
        raise _checks.problem(
            f"the model must return one tensor (batch, outputs). "
            f"Received: {answer.shape if tf.is_tensor(answer) else type(answer).__name__} for one sample."
        )
    return int(answer.shape[1])


def sample_losses(loss: Any) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function (targets, outputs) -> losses `(batch,)` of a name in `LOSSES`, a Keras loss or a callable.

    Raises:
        ValueError: for another name, and when called, if the loss is reduced over the batch. TypeError: for no loss.
    """
    if isinstance(loss, str):
        value = LOSSES[_checks.choice("loss", loss, tuple(LOSSES))].value
        # In float64, so that the gradient of a confident prediction does not round to 0 so soon.
        return lambda y, u: value(tf.cast(y, tf.float64), tf.cast(u, tf.float64))
    if not callable(loss):
        rule = "one of " + ", ".join(map(repr, LOSSES)) + ", a Keras loss or a callable"
        _checks.refuse("loss", rule, loss, TypeError)
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss

    def losses(y: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        values = tf.convert_to_tensor(function(y, u))
        if values.shape.rank in (None, 0):
            raise _checks.problem(
                f"loss must not reduce over the batch: (batch, ...). Received: shape {values.shape} for "
                f"outputs of shape {u.shape}."
            )
        return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))

    return losses
