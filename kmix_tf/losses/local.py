"""The loss of Local Mixup, for targets that come apart."""

from collections.abc import Callable
from typing import Any, Unpack

import keras

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, dims, may_be, ops
from kmix_tf.losses.decoupled import DecoupledMixupLoss
from kmix_tf.losses.options import KerasOptions
from kmix_tf.losses.packed import BY_HAND, deaf_to_no_weight, unpacked_at_places, weighed


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
        TypeError, ValueError: for something that is no loss; targets that fit neither form; packed targets for a loss
            of the whole batch or of whole maps, such as Dice, or one whose targets have other places than the
            predictions, such as CTC: for those, write a function that takes `unpack_targets(y_true)` apart. Also for
            `DecoupledMixupLoss`, which takes packed targets by itself.

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

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The loss of each sample: `y_pred` without its last axis."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        with _checks.speaking_as(self):
            packed = unpacked_at_places(y_true, y_pred)
        if packed is None:
            return self._per_sample(y_true, y_pred)
        y_a, y_b, ratio, weight = packed
        y_pred = deaf_to_no_weight(y_pred, weight)
        with _checks.speaking_as(self):
            first, second = (self._of_each(y, y_pred, ratio) for y in (y_a, y_b))
        ratio, weight = ops.cast(ratio, first.dtype), ops.cast(weight, first.dtype)
        return weighed(ratio * first + (1 - ratio) * second, weight)

    def _of_each(self, y: Tensor, y_pred: Tensor, ratio: Tensor) -> Tensor:
        try:
            loss = self._per_sample(y, y_pred)
        except ops.WRONG_SHAPES as error:
            raise _checks.problem(
                f"loss must take each of both targets by itself. Received: {_shown(self.loss)}, which stopped on "
                f"targets of shape {dims(y)} for predictions of shape {dims(y_pred)}: {error} {BY_HAND}."
            ) from error
        return _one_for_each(ops.convert_to_tensor(loss), ratio, _shown(self.loss))

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
    if isinstance(loss, DecoupledMixupLoss):
        # Of either target by itself there is nothing to decouple, and no word of it would be said.
        raise _checks.problem(
            "loss must be one of plain targets. DecoupledMixupLoss takes packed ones by itself: "
            "give it to compile as it is."
        )
    if isinstance(loss, keras.losses.Loss):
        return loss.call
    if not callable(loss):
        _checks.refuse("loss", "a Keras loss, its name or a function", loss, TypeError)
    return loss


def _one_for_each(loss: Tensor, ratio: Tensor, name: str) -> Tensor:
    """The loss, if there is one at each place that has a ratio.

    Raises:
        ValueError: saying what to do. InvalidArgumentError: where the shapes do not show it beforehand.
    """
    given, places = dims(loss), dims(ratio)
    message = (
        "loss must give one number for each sample, or each place in it: y_pred's shape without the last axis, "
        f"{places}. Received: {name}, which gives {given}, as losses of a whole batch or map do, such as "
        f"Dice. {BY_HAND}."
    )
    if not may_be(given, places):
        raise _checks.problem(message)
    if given is not None and None not in given and given == places:
        return loss
    return ops.checked(ops.same_shape(loss, ratio), message, [loss])[0]


def _shown(loss: Any) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
