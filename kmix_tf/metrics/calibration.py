"""How far confidences are from accuracies."""

from typing import Any

import keras

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, ops
from kmix_tf.batch.packing import has_outputs, unpack_for
from kmix_tf.metrics import sums
from kmix_tf.metrics.weights import place_weights


@register
class ExpectedCalibrationError(keras.metrics.Metric):
    """Mean distance between confidence and accuracy over bins of confidence, weighted by their share of samples.

    Bins are of equal width and their sums run over all batches since the last reset, in float64: the result is that
    of `kmix_tf.analysis.expected_calibration_error` on all samples at once. On JAX and PyTorch, confidences are
    float32 and each sum is a pair of float32, which counts on where one of them would stop.

    Args:
        bins: an integer >= 1; default 10. Bin b holds confidences in (b / bins, (b + 1) / bins].
        from_logits: True if the model returns logits; default False, probabilities.
        name, dtype: as in `keras.metrics.Metric`; dtype is the result's.

    Call:
        `update_state(y_true, y_pred, sample_weight=None)`, y_pred `(batch, ..., classes)`, or `(batch, ..., 1)` for
        one unit that stands for the second of two classes. y_true holds integer classes, one-hot, soft or packed
        labels. Of a mixture its dominant class is the right one, the first of equal ones: mixed targets are not what
        confidences should be held against, so validate on data that are not mixed. Weights `(batch,)` or of the
        targets' shape, >= 0, count samples; those in packed targets do not.

    Raises:
        ValueError: for other arguments, or targets that fit no form. InvalidArgumentError, on JAX and PyTorch
            ValueError: for predictions that are no probabilities, such as logits, labels out of range, or negative
            weights. Under XLA, which drops such checks, the result is NaN.

    Source: On Mixup Regularization, Figure 4, and Multi-mix, section IV-H (ECE), after Guo et al. 2017.

    Example:
        >>> metric = ExpectedCalibrationError()
        >>> _ = metric.update_state([0, 1], [[0.9, 0.1], [0.65, 0.35]])
        >>> round(float(metric.result()), 3)
        0.375
    """

    @_checks.speaks
    def __init__(
        self,
        bins: int = 10,
        from_logits: bool = False,
        name: str = "expected_calibration_error",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.bins = _checks.integer("bins", bins, minimum=1)
        self.from_logits = _checks.flag("from_logits", from_logits)
        # float32 would stop counting at 2^24 samples.
        self.gaps, self._gaps_rest = sums.sum_of(self, "gaps", (self.bins,))
        self.total, self._total_rest = sums.sum_of(self, "total", ())

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        with _checks.speaking_as(self):
            self._update(y_true, y_pred, sample_weight)

    def _update(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any) -> None:
        shares = _shares(y_true, y_pred)
        probabilities = self._probabilities(y_pred)
        weight = place_weights(sample_weight, ops.shape(shares)[:-1])
        valid = _valid(probabilities, shares, weight)
        problem = (
            "y_pred must be probabilities that sum to 1 (or from_logits=True), targets "
            f"classes in [0, {probabilities.shape[-1]}) or soft labels, and sample weights >= 0. Received: others."
        )
        probabilities, weight = ops.checked(ops.all(valid), problem, [probabilities, weight])
        confidence = ops.max(probabilities, axis=-1)
        is_hit = ops.equal(ops.argmax(probabilities, axis=-1), ops.argmax(shares, axis=-1))
        # XLA drops assertions, and what is wrong must not pass for a number.
        weight = ops.where(valid, weight, float("nan"))
        gap = ops.reshape((confidence - ops.cast(is_hit, ops.WIDE)) * weight, [-1])
        index = ops.searchsorted(sums.edges_of(self.bins), ops.reshape(ops.where(valid, confidence, 1.0), [-1]))
        sums.add(self.gaps, self._gaps_rest, ops.segment_sum(gap, index, self.bins))
        sums.add(self.total, self._total_rest, ops.sum(weight))

    def result(self) -> Tensor:
        gaps, total = sums.value_of(self.gaps, self._gaps_rest), sums.value_of(self.total, self._total_rest)
        return ops.cast(ops.divide_no_nan(ops.sum(ops.absolute(gaps)), total), self.dtype)

    def reset_state(self) -> None:
        # Keras 2 can only reset scalars itself.
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "from_logits": self.from_logits}

    def _probabilities(self, y_pred: Tensor) -> Tensor:
        """Of the dtype of sums, of at least two classes."""
        values = ops.cast(y_pred, ops.WIDE)
        if values.shape[-1] == 1:
            values = ops.sigmoid(values) if self.from_logits else values
            return ops.concatenate([1 - values, values], axis=-1)
        return ops.softmax(values) if self.from_logits else values


def _shares(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """How much of each class is in the target, `(batch, ..., classes)`; of no class where labels are bad."""
    packed = unpack_for(y_true, y_pred)
    if packed is None:
        return _share(y_true, y_pred)
    ratio = ops.cast(packed.ratio, ops.WIDE)[..., None]
    return ratio * _share(packed.y_a, y_pred) + (1 - ratio) * _share(packed.y_b, y_pred)


def _share(y: Tensor, y_pred: Tensor) -> Tensor:
    classes, places = y_pred.shape[-1], ops.shape(y_pred)[:-1]
    if classes > 1 and has_outputs(y, y_pred):
        return ops.cast(y, ops.WIDE)
    label = ops.cast(ops.reshape(y, places), ops.WIDE)
    if classes > 1:
        return ops.cast(ops.equal(label[..., None], ops.arange(classes, ops.WIDE)), ops.WIDE)
    is_share = (label >= 0) & (label <= 1)
    return ops.where(is_share[..., None], ops.stack([1 - label, label], axis=-1), 0.0)


def _valid(probabilities: Tensor, shares: Tensor, weight: Tensor) -> Tensor:
    """Whether each place holds probabilities, a class and a weight."""
    sums_to_1 = ops.absolute(ops.sum(probabilities, axis=-1) - 1) < _checks.SUM_TOLERANCE
    is_positive = ops.min(probabilities, axis=-1) > -1e-6
    has_class = ops.max(shares, axis=-1) > 0
    is_finite = ops.all(ops.isfinite(shares), axis=-1)
    return sums_to_1 & is_positive & has_class & is_finite & (weight >= 0) & ops.isfinite(weight)
