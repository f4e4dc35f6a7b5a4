"""What is minimised: losses and their weights as `compile` takes them, for each of a model's outputs."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.models.approximate.adapting import AdaptedModel, require_fit
from kmix_tf.models.approximate.kinds import known_loss, require_logits
from kmix_tf.models.approximate.loss import ApproximateMixupLoss
from kmix_tf.models.approximate.outputs import Outputs, outputs_of
from kmix_tf.models.endings import endings

_DEFAULT = "categorical_crossentropy"
_OF_OUTPUTS = ("metrics", "weighted_metrics")


class _Given:
    """Known losses and their weights, structured as they came; a class, because Keras 2 wraps dictionaries."""

    def __init__(self, losses: Any, weights: Any):
        self.losses, self.weights = losses, weights

    def losses_of(self, outputs: Outputs) -> list[ApproximateMixupLoss]:
        return outputs.each("loss", self.losses, shared=True)

    def weights_of(self, outputs: Outputs) -> list[float]:
        if self.weights is None:
            return [1.0] * outputs.count
        return [1.0 if each is None else each for each in outputs.each("loss_weights", self.weights, shared=True)]


class CompiledModel(AdaptedModel):
    """A wrapper whose losses are `ApproximateMixupLoss`."""

    loss_kind: str | None
    terms: tuple[str, ...]
    _given: _Given | None = None

    @_checks.speaks
    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, *, loss_weights: Any = None, **kwargs: Any
    ) -> None:
        """As of any model. What is minimised is the loss on shrunk data, with the terms that belong to it.

        Args:
            loss: `CategoricalCrossentropy`, `SparseCategoricalCrossentropy` or `BinaryCrossentropy` with
                `from_logits=True`, `MeanSquaredError`, or their names, which here mean losses of logits too; or a
                structure of these like the model's outputs. They are means over outputs, as in Keras. None: the one
                that the model was wrapped with, or "categorical_crossentropy".
            optimizer, loss_weights, kwargs: as `keras.Model.compile`.

        Raises:
            ValueError: for losses of which the derivatives are not known; for `from_logits=False`, a softmax or a
                sigmoid at the end of the model; for targets that were learnt and do not fit the loss.
        """
        self._given = _Given(self._known_losses(loss), loss_weights)
        outputs = self._known_outputs()
        if outputs is None:  # of a subclassed model, before `adapt`
            losses = self._given.losses
        else:
            self._require_fitting(outputs)
            losses = outputs.pack(outputs.called(self._given.losses_of(outputs)))
            loss_weights = None if loss_weights is None else outputs.pack(self._given.weights_of(outputs))
            kwargs |= {name: outputs.by_place(kwargs[name]) for name in _OF_OUTPUTS if name in kwargs}
        super().compile(optimizer=optimizer, loss=losses, loss_weights=loss_weights, **kwargs)

    def _known_outputs(self) -> Outputs | None:
        return self._outputs or outputs_of(self.model)

    def _known_losses(self, loss: Any) -> Any:
        if self.loss_kind is not None:
            if loss is not None:
                rule = f"given once: compile has one, and the model was wrapped with loss={self.loss_kind!r}"
                _checks.refuse("loss", rule, loss)
            return ApproximateMixupLoss(self.loss_kind, self.terms)
        if loss is None:
            return ApproximateMixupLoss(_DEFAULT, self.terms)
        return tf.nest.map_structure(lambda each: known_loss(each, self.terms), loss)

    def _require_fitting(self, outputs: Outputs) -> None:
        """Refuses losses that the model's endings contradict, and those that the targets do not fit."""
        kinds, ends = self._kinds(outputs), endings(self.model)
        if len(ends) == len(kinds):
            require_logits(kinds, ends, outputs.names)
        require_fit(kinds, self._unfit)

    def _kinds(self, outputs: Outputs) -> list[str]:
        given = self._given or _Given(self._known_losses(None), None)
        return [loss.kind for loss in given.losses_of(outputs)]

    def _known_kinds(self, outputs: Outputs) -> list[str | None]:
        is_known = self._given is not None or self.loss_kind is not None
        return list(self._kinds(outputs)) if is_known else [None] * outputs.count

    def _parts_of(self, y: Any, y_pred: Any) -> dict[str, tf.Tensor]:
        """The base and the terms, each `(batch,)`: of several outputs their sums, weighted as the losses are."""
        outputs = self._require_adapted()
        total: dict[str, tf.Tensor] = {}
        assert self._given is not None  # Keras asks for metrics only of what is compiled.
        each = zip(outputs.each("targets", y), tf.nest.flatten(y_pred), strict=True)
        losses = zip(self._given.losses_of(outputs), self._given.weights_of(outputs), strict=True)
        for (loss, weight), (target, answer) in zip(losses, each, strict=True):
            for name, part in loss.parts(target, answer).items():
                total[name] = total.get(name, 0.0) + weight * part
        return total

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras takes a `compile` that is overridden for one that it cannot call.
        arguments = dict(keras.saving.deserialize_keras_object(config))
        if self.loss_kind is not None:
            arguments.pop("loss", None)
        self.compile(**arguments)
        self.optimizer.build(self.trainable_variables)
