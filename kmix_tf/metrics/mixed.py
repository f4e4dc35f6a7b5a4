"""Any metric, on mixtures."""

from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._compat import ON_TENSORFLOW, in_stateless_scope, mask_of, register
from kmix_tf._ops import Tensor, dims, ops
from kmix_tf.metrics.clean import Clean, clean_targets
from kmix_tf.metrics.stock import counterpart, kind_of
from kmix_tf.metrics.weights import place_weights


@register
class MixMetric(keras.metrics.Metric):
    """Computes a metric on both labels of each mixture, each counted by its share.

    The metric is asked for each clean label of a mixture with the share of that label as sample weight; its result is
    that on clean labels weighted so. Stock metrics do otherwise: AUC, precision and recall take any soft label above
    0 for positive, `BinaryAccuracy` is 0 unless labels are exactly 0 or 1.

    - Packed targets: y_a with ratio, y_b with 1 - ratio.
    - Soft labels `(batch, ..., classes)` that sum to 1: each class with its share, however many have one.
    - Soft labels of one unit, `(batch,)` or `(batch, ..., 1)`: 1 with share y, 0 with share 1 - y.
    - Soft labels of several labels at once: each label is there with its share. That is exact for metrics that ask
      each label by itself, such as AUC, precision, recall, F1 and `BinaryAccuracy`; for those that ask all of them
      together, such as whether a whole row is right, give `targets="packed"`.
    - Plain targets as they are, also integer classes, where the metric wants one-hot labels, and the reverse.

    Args:
        metric: a Keras metric, its name, or a function `(y_true, y_pred) -> (batch,)`. "accuracy" and "crossentropy"
            are the binary ones for a single output unit, else the categorical ones. Metrics of numbers, such as
            `MeanSquaredError`, see both numbers of packed targets; mixed numbers they see as they are.
        name: default that of the metric after `mix_`, as in `mix_auc`. dtype: as in `keras.metrics.Metric`.

    Call:
        `update_state(y_true, y_pred, sample_weight=None)`, y_pred `(batch, ..., outputs)`, or `(batch,)` for one
        unit. Places, as of maps, count as samples of their own. Weights `(batch,)`, or of each place, count samples;
        those in packed targets do not: give the metric as `metrics` or as `weighted_metrics`.

    Raises:
        TypeError: for what is no metric. ValueError: for targets that fit no form, or weights of single labels.
        InvalidArgumentError, on JAX and PyTorch ValueError: for soft labels outside [0, 1], classes out of range, or
            where `Sparse...` metrics get soft labels that do not sum to 1. Under XLA, which drops such checks, the
            result is NaN.

    Source: Zhang et al., *mixup* (2018), whose code counts hits so.

    Example:
        >>> metric = MixMetric(keras.metrics.Recall())
        >>> metric.update_state([0.75, 0.5, 0.0], [0.9, 0.2, 0.4])
        >>> round(float(metric.result()), 3)
        0.6
    """

    @_checks.speaks
    def __init__(self, metric: Any, name: str | None = None, dtype: Any = None):
        counted = counterpart(metric)
        super().__init__(name=name or f"mix_{counted.name}", dtype=dtype)
        self.metric = metric
        self._counted = counted
        self._kind = kind_of(counted)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mask = None if sample_weight is None else mask_of(y_pred)
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) == 1:
            y_pred = y_pred[:, None]
        with _checks.speaking_as(self):
            weight = _weight_of_rows(sample_weight, mask, y_pred)
            clean = clean_targets(y_true, y_pred, self._kind)
        rows = ops.at_least_float32(ops.reshape(y_pred, [-1, y_pred.shape[-1]]))
        parts = [each.part(number) for each in clean for number in range(each.usual)]
        self._counted.update_state(*_joined(parts, rows, weight))
        for each in clean:
            self._count_rest(each, rows, weight)

    def _count_rest(self, clean: Clean, y_pred: Tensor, weight: Tensor | None) -> None:
        """Counts what mixtures of two samples do not have: the parts after the usual ones, while any has a share."""

        def has_share(number: Tensor, *values: Any) -> Tensor:
            at = ops.minimum(number, clean.parts - 1)
            return (number < clean.parts) & ops.any(clean.part(at)[1] > 0)

        def count(number: Tensor) -> list[Tensor]:
            self._counted.update_state(*_joined([clean.part(number)], y_pred, weight))
            return [number + 1]

        def count_in(number: Tensor, *values: Any) -> list[Tensor]:
            labels, rows, share = _joined([clean.part(number)], y_pred, weight)
            return [number + 1, *self._counted.stateless_update_state(values, labels, rows, sample_weight=share)]

        if clean.parts == clean.usual:
            return
        first = ops.convert_to_tensor(clean.usual, dtype="int32")
        if ON_TENSORFLOW and not in_stateless_scope():
            ops.while_loop(has_share, count, [first])
        else:
            # What is assigned there, a loop must hand on: its tensors are unknown outside.
            variables = self._counted.variables
            given = [ops.convert_to_tensor(variable) for variable in variables]
            _, *values = ops.while_loop(has_share, count_in, [first, *given])
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def result(self) -> Any:
        return self._counted.result()

    def reset_state(self) -> None:
        self._counted.reset_state()

    def get_config(self) -> dict[str, Any]:
        metric = self.metric if isinstance(self.metric, str) else keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixMetric":
        config = dict(config)
        if isinstance(config["metric"], dict):
            config["metric"] = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**config)


def _joined(
    parts: list[tuple[Tensor, Tensor]], y_pred: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """So many clean targets of each row, predictions and weights, one after another."""
    labels, shares = zip(*parts, strict=True)
    share = ops.cast(ops.concatenate(shares, 0), "float32")
    weight = share if weight is None else share * ops.tile(weight, [len(parts)])
    return ops.concatenate(labels, 0), ops.tile(y_pred, [len(parts), 1]), weight


def _weight_of_rows(sample_weight: Any, mask: Any, y_pred: Tensor) -> Tensor | None:
    """float32 `(n,)`: of places that a mask leaves out, 0; as in Keras, if there are weights at all."""
    if sample_weight is None:
        return None
    weight = ops.convert_to_tensor(sample_weight)
    given = dims(weight)
    if given is not None and len(given) > len(y_pred.shape) - 1 and given[-1] != 1:
        raise _checks.problem(
            "sample_weight must be one number for each sample or place. Received: sample_weight of shape "
            f"{given} for predictions of shape {dims(y_pred)}."
        )
    weight = place_weights(weight, ops.shape(y_pred)[:-1])
    if mask is not None:
        weight *= ops.cast(mask, weight.dtype)
    return ops.cast(ops.reshape(weight, [-1]), "float32")
