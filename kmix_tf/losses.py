"""The loss of Local Mixup, for targets that come apart."""

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.batch.packing import unpack_for


class KerasOptions(TypedDict, total=False):
    """What Keras' own losses take besides."""

    reduction: Any
    dtype: Any


@register
class LocalMixupLoss(keras.losses.Loss):
    """Weighs each mixture's loss, and mixes the losses of its two targets instead of the targets.

    For packed targets it is weight * (ratio * loss(y_a, y_pred) + (1 - ratio) * loss(y_b, y_pred)). For losses that
    are linear in the target, such as cross-entropy, that equals the weighted loss of the mixed target; it also serves
    losses that are not, and sparse integer labels. Weights come divided by their mean, so the mean over the batch is
    the paper's sum over the weights; if all are zero, so are loss and gradients.

    Plain targets, as validation data have them, give the plain loss: packed ones are told by their shape.

    Args:
        loss: a Keras loss, its name, or a function `(y_true, y_pred) -> (batch, ...)`. Default
            "categorical_crossentropy", on probabilities; for logits, give
            `keras.losses.CategoricalCrossentropy(from_logits=True)`. A Keras loss' own reduction is not used.
        name, reduction: as in `keras.losses.Loss`.

    Call:
        `loss(y_true, y_pred)`: y_true from a layer with `targets="packed"`, or plain; y_pred `(batch, ..., d)`.

    Raises:
        TypeError, ValueError: for something that is no loss, or targets that fit neither form.

    Source: Local Mixup, eq. (3), normalised by the sum of the weights; a mix of two losses, Zhang et al. 2018.

    Example:
        >>> loss = LocalMixupLoss("sparse_categorical_crossentropy")
        >>> y = pack_targets([2, 0], [1, 1], ratio=[0.75, 0.5], weight=[2.0, 0.0])
        >>> round(float(loss(y, tf.constant([[0.25, 0.25, 0.5], [0.3, 0.3, 0.4]]))), 4)
        0.8664
    """

    @_checks.speaks
    def __init__(
        self,
        loss: Any = "categorical_crossentropy",
        name: str = "local_mixup_loss",
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(name=name, **kwargs)
        self.loss = loss
        self._per_sample = _per_sample(loss)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The loss of each sample: `y_pred` without its last axis."""
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        with _checks.speaking_as(self):
            packed = unpack_for(y_true, y_pred)
        if packed is None:
            return self._per_sample(y_true, y_pred)
        y_a, y_b, ratio, weight = packed
        # The gradient of an infinite loss is not a number, which a factor of 0 would keep.
        y_pred = tf.where(weight[..., tf.newaxis] > 0, y_pred, tf.stop_gradient(y_pred))
        first, second = (self._per_sample(y, y_pred) for y in (y_a, y_b))
        ratio, weight = tf.cast(ratio, first.dtype), tf.cast(weight, first.dtype)
        mixed = ratio * first + (1 - ratio) * second
        # A weight of 0 silences a loss that is infinite, too, and its gradient.
        return tf.where(weight > 0, weight * mixed, tf.zeros_like(mixed))

    def get_config(self) -> dict[str, Any]:
        loss = self.loss if isinstance(self.loss, str) else keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LocalMixupLoss":
        config = dict(config)
        if isinstance(config["loss"], dict):
            config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


def _per_sample(loss: Any) -> Callable:
    """A function that reduces no further than to samples."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss.call
    if not callable(loss):
        _checks.refuse("loss", "a Keras loss, its name or a function", loss, TypeError)
    return loss
