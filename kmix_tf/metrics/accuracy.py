"""Accuracy on mixtures."""

from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, ops
from kmix_tf.batch.packing import has_outputs, unpack_for


@register
class MixAccuracy(keras.metrics.Mean):
    """Counts a prediction as right by the share of each of the two classes in the mixture.

    That is ratio * [a hit] + (1 - ratio) * [b hit]. Takes packed targets, mixed soft labels (for which it is the
    label's share of the predicted class: the same), one-hot labels and integer classes (for which it is accuracy).

    Args:
        threshold: for models of one output unit, above which class 1 is predicted; default 0.5, 0 for logits.
        name, dtype: as in `keras.metrics.Mean`.

    Call:
        `update_state(y_true, y_pred, sample_weight=None)`, y_pred `(batch, ..., classes)`. The weights in packed
        targets do not count, sample weights do: give the metric as `metrics` or as `weighted_metrics`.

    Raises:
        ValueError: for targets that fit no form.

    Source: the metric of mixup's published code, Zhang et al. 2018.

    Example:
        >>> metric = MixAccuracy()
        >>> y = pack_targets([2, 0], [1, 1], ratio=[0.75, 0.5])
        >>> _ = metric.update_state(y, [[0.1, 0.2, 0.7], [0.1, 0.8, 0.1]])
        >>> float(metric.result())
        0.625
    """

    @_checks.speaks
    def __init__(self, name: str = "mix_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(name=name, dtype=dtype)
        self.threshold = _checks.number("threshold", threshold, minimum=float("-inf"))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        return super().update_state(self._hits(y_true, y_pred), sample_weight=sample_weight)

    def _hits(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        with _checks.speaking_as(self):
            packed = unpack_for(y_true, y_pred)
        if packed is None:
            return self._hit(y_true, y_pred)
        y_a, y_b, ratio, _ = packed
        ratio = ops.cast(ratio, "float32")
        return ratio * self._hit(y_a, y_pred) + (1 - ratio) * self._hit(y_b, y_pred)

    def _hit(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The share of the predicted class in the target, of y_pred's shape without its last axis."""
        classes = y_pred.shape[-1]
        if classes == 1:
            y = ops.cast(ops.reshape(y_true, ops.shape(y_pred)[:-1]), "float32")
            return ops.where(y_pred[..., 0] > self.threshold, y, 1 - y)
        predicted = ops.argmax(y_pred, axis=-1)
        if has_outputs(y_true, y_pred):
            is_predicted = ops.equal(predicted[..., None], ops.arange(classes, "int32"))
            return ops.sum(ops.cast(y_true, "float32") * ops.cast(is_predicted, "float32"), axis=-1)
        label = ops.reshape(ops.cast(y_true, "int32"), ops.shape(predicted))
        return ops.cast(ops.equal(label, predicted), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}
