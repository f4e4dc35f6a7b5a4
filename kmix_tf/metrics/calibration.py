"""How far confidences are from accuracies."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import after, require
from kmix_tf.batch.packing import unpack_for
from kmix_tf.metrics.weights import place_weights


@register
class ExpectedCalibrationError(keras.metrics.Metric):
    """Mean distance between confidence and accuracy over bins of confidence, weighted by their share of samples.

    Bins are of equal width and their sums run over all batches since the last reset, in float64: the result is that
    of `kmix_tf.analysis.expected_calibration_error` on all samples at once.

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
        ValueError: for other arguments, or targets that fit no form. InvalidArgumentError: for predictions that are
            no probabilities, such as logits, labels out of range, or negative weights. Under XLA, which drops such
            checks, the result is NaN.

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
        self.gaps = self.add_weight(name="gaps", shape=(self.bins,), initializer="zeros", dtype="float64")
        self.total = self.add_weight(name="total", shape=(), initializer="zeros", dtype="float64")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        with _checks.speaking_as(self):
            self._update(y_true, y_pred, sample_weight)

    def _update(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any) -> None:
        shares = _shares(y_true, y_pred)
        probabilities = self._probabilities(y_pred)
        weight = place_weights(sample_weight, tf.shape(shares)[:-1])
        valid = _valid(probabilities, shares, weight)
        problem = (
            "y_pred must be probabilities that sum to 1 (or from_logits=True), targets "
            f"classes in [0, {probabilities.shape[-1]}) or soft labels, and sample weights >= 0. Received: others."
        )
        probabilities, weight = after(require(tf.reduce_all(valid), problem), [probabilities, weight])
        confidence = tf.reduce_max(probabilities, axis=-1)
        hit = tf.cast(tf.equal(tf.argmax(probabilities, axis=-1), tf.argmax(shares, axis=-1)), tf.float64)
        # XLA drops assertions, and what is wrong must not pass for a number.
        weight = tf.where(valid, weight, float("nan"))
        gap = (confidence - hit) * weight
        index = _bin(tf.where(valid, confidence, 1.0), self.bins)
        self.gaps.assign_add(tf.math.unsorted_segment_sum(tf.reshape(gap, [-1]), tf.reshape(index, [-1]), self.bins))
        self.total.assign_add(tf.reduce_sum(weight))

    def result(self) -> tf.Tensor:
        gaps, total = tf.convert_to_tensor(self.gaps), tf.convert_to_tensor(self.total)
        return tf.cast(tf.math.divide_no_nan(tf.reduce_sum(tf.abs(gaps)), total), self.dtype)

    def reset_state(self) -> None:
        # Keras 2 can only reset scalars itself.
        for variable in self.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "from_logits": self.from_logits}

    def _probabilities(self, y_pred: tf.Tensor) -> tf.Tensor:
        """float64, of at least two classes."""
        values = tf.cast(y_pred, tf.float64)
        if values.shape[-1] == 1:
            values = tf.sigmoid(values) if self.from_logits else values
            return tf.concat([1 - values, values], axis=-1)
        return tf.nn.softmax(values) if self.from_logits else values


def _shares(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """How much of each class is in the target, float64 `(batch, ..., classes)`; of no class where labels are bad."""
    packed = unpack_for(y_true, y_pred)
    if packed is None:
        return _share(y_true, y_pred)
    ratio = tf.cast(packed.ratio, tf.float64)[..., tf.newaxis]
    return ratio * _share(packed.y_a, y_pred) + (1 - ratio) * _share(packed.y_b, y_pred)


def _share(y: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    classes, places = y_pred.shape[-1], tf.shape(y_pred)[:-1]
    if classes == 1:
        second = tf.cast(tf.reshape(y, places), tf.float64)
        return tf.where(((second >= 0) & (second <= 1))[..., tf.newaxis], tf.stack([1 - second, second], -1), 0.0)
    if y.shape.rank == y_pred.shape.rank and y.shape[-1] == classes:
        return tf.cast(y, tf.float64)
    label = tf.cast(tf.reshape(y, places), tf.float64)
    is_whole = tf.equal(label, tf.floor(label))
    return tf.one_hot(tf.where(is_whole, tf.cast(label, tf.int64), -1), classes, dtype=tf.float64)


def _valid(probabilities: tf.Tensor, shares: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Whether each place holds probabilities, a class and a weight."""
    sums_to_1 = tf.abs(tf.reduce_sum(probabilities, axis=-1) - 1) < _checks.SUM_TOLERANCE
    is_positive = tf.reduce_min(probabilities, axis=-1) > -1e-6
    has_class = tf.reduce_max(shares, axis=-1) > 0
    is_finite = tf.reduce_all(tf.math.is_finite(shares), axis=-1)
    return sums_to_1 & is_positive & has_class & is_finite & (weight >= 0) & tf.math.is_finite(weight)


def _bin(confidence: tf.Tensor, bins: int) -> tf.Tensor:
    """As `kmix_tf.analysis.reliability_curve`: up to and with the right edge, to 12 digits."""
    digits = 1e12
    edges = tf.round(confidence * bins * digits) / digits
    return tf.clip_by_value(tf.cast(tf.math.ceil(edges), tf.int32) - 1, 0, bins - 1)
