"""Cross-entropy with decoupled mixup's regularizer."""

from typing import Any, Unpack

import keras

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._ops import Tensor, dims, ops
from kmix_tf.batch.packing import has_outputs
from kmix_tf.losses.options import KerasOptions
from kmix_tf.losses.packed import deaf_to_no_weight, unpacked_at_places, weighed

# A logit that no softmax notices, and that arithmetic bears.
_LOWEST = -1e30
# Keras' own least probability.
_LEAST = 1e-7


@register
class DecoupledMixupLoss(keras.losses.Loss):
    """Cross-entropy that also asks for each class of a mixture as if the mixture's other classes did not exist.

    In a softmax, the two classes of a mixture hold each other down: however clearly both show, neither may exceed its
    share. So to the cross-entropy of the mixed label y this adds, for each class c that is in the mixture,

        -eta * y_c^power * log(exp(z_c) / (exp(z_c) + the sum of exp(z_j) over classes j that are not in it)).

    A class is in the mixture if its share exceeds `threshold`. Labels of one class, as those of validation data or of
    pairs of one class, have the plain cross-entropy: there is nothing to decouple. So has a mixture of all classes
    that there are. Mixtures of more than two samples have a term for each of their classes.

    Args:
        eta: how much the added terms count, finite and >= 0, default 0.1; 0 for the plain cross-entropy. The authors
            give 0.01 with mixup and 0.1 with CutMix (ResNeXt-50, CIFAR-100).
        power: of the share in each term's factor, finite and >= 0, default 1, with which a class counts by its share;
            0 counts all alike.
        threshold: the share up to which a class is not in the mixture, in [0, 1), default 1e-3. Of labels that were
            smoothed over d classes, more than smoothing / d.
        from_logits: True if the model returns logits; default False, probabilities, as in Keras' own losses.
        name, reduction: as in `keras.losses.Loss`.

    Call:
        `loss(y_true, y_pred)`: y_pred `(batch, ..., d)` of d >= 2 classes, float; y_true soft labels of its shape,
        classes `(batch, ...)` or `(batch, ..., 1)`, or what a layer with `targets="packed"` makes. It computes in
        float32 at least.

    Raises:
        ValueError: for other arguments; targets or predictions of other shapes; one output unit; outputs that are
            known to come of a softmax where `from_logits=True`. InvalidArgumentError (ValueError on other back ends):
            for y_pred that does not sum to 1 where `from_logits=False`, and classes outside [0, d); under XLA these
            give NaN instead.

    Source: Liu et al., *Harnessing Hard Mixed Samples with Decoupled Regularizer* (2023), as its published code
        computes it, with the defaults of its general configurations. There, one ratio serves a batch; equal shares
        have no terms; whether a term has the factor of its own class or the other's depends on the order of two class
        numbers; and mixtures of one class are averaged by themselves. Here each sample stands for itself. Settings
        by which the larger or the smaller share alone has a term are left out.

    Example:
        >>> loss = DecoupledMixupLoss(eta=0.5, power=0, from_logits=True)
        >>> logits = tf.math.log([[0.4, 0.2, 0.4]])
        >>> round(float(loss(tf.constant([[0.75, 0.25, 0.0]]), logits)), 4)  # 1.0896 + 0.5 * (log 2 + log 3)
        1.9855
    """

    @_checks.speaks
    def __init__(
        self,
        eta: float = 0.1,
        power: float = 1.0,
        threshold: float = 1e-3,
        from_logits: bool = False,
        name: str = "decoupled_mixup_loss",
        **kwargs: Unpack[KerasOptions],
    ):
        super().__init__(name=name, **kwargs)
        self.eta = _checks.number("eta", eta)
        self.power = _checks.number("power", power)
        self.threshold = _checks.probability("threshold", threshold)
        if self.threshold == 1:
            _checks.refuse("threshold", "in [0, 1)", threshold)
        self.from_logits = _checks.flag("from_logits", from_logits)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The loss of each sample: `y_pred` without its last axis."""
        # Keras' activations leave what they were made of with their outputs.
        is_activated = hasattr(y_pred, "_keras_logits")
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        with _checks.speaking_as(self):
            _require_classes(y_pred)
            if self.from_logits and is_activated:
                _checks.refuse("from_logits", "False for what comes of a softmax or sigmoid", True)
            packed = unpacked_at_places(y_true, y_pred)
            y_pred = ops.at_least_float32(y_pred)
            if packed is None:
                return self._of_shares(_shares(y_true, y_pred), y_pred)
            y_a, y_b = (_shares(y, y_pred) for y in (packed.y_a, packed.y_b))
            ratio, weight = (ops.cast(each, y_pred.dtype) for each in (packed.ratio, packed.weight))
            y = ratio[..., None] * y_a + (1 - ratio[..., None]) * y_b
            return weighed(self._of_shares(y, deaf_to_no_weight(y_pred, weight)), weight)

    def _of_shares(self, y: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else _logits(y_pred)
        likely = ops.log_softmax(logits, axis=-1)
        # A class without a share may be impossible, and infinity times 0 is not a number.
        plain = -ops.sum(ops.where(ops.equal(y, 0), ops.zeros_like(y), y * likely), axis=-1)
        return plain + self.eta * self._decoupled(y, logits) if self.eta else plain

    def _decoupled(self, y: Tensor, logits: Tensor) -> Tensor:
        is_in = y > self.threshold
        others = ops.where(is_in, ops.cast(_LOWEST, logits.dtype), logits)
        rest = ops.logsumexp(others, axis=-1)[..., None]
        share = ops.where(is_in, y, ops.ones_like(y))
        terms = share**self.power * ops.softplus(rest - logits)
        is_mixed = ops.sum(ops.cast(is_in, "int32"), axis=-1) > 1
        counts = is_in & is_mixed[..., None]
        return ops.sum(ops.where(counts, terms, ops.zeros_like(terms)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("eta", "power", "threshold", "from_logits")}
        return {**super().get_config(), **own}


def _require_classes(y_pred: Tensor) -> None:
    shape = dims(y_pred)
    if shape is None or len(shape) < 2 or shape[-1] in (None, 1):
        raise _checks.problem(
            f"y_pred must be (batch, ..., classes), of 2 or more. Received: y_pred of shape {shape}. For 0/1 labels "
            "give the model two units, and the mix num_classes=2."
        )


def _shares(y: Tensor, y_pred: Tensor) -> Tensor:
    """Soft labels as they are, and classes as one-hot rows.

    Raises:
        ValueError: for what is no class. Where that shows only under XLA, such a row is NaN.
    """
    if has_outputs(y, y_pred):
        return ops.cast(y, y_pred.dtype)
    classes = (dims(y_pred) or (None,))[-1]
    label = ops.cast(ops.reshape(y, ops.shape(y_pred)[:-1]), y_pred.dtype)
    is_class = (label >= 0) & (label < classes) & ops.equal(label, ops.floor(label))
    rule = f"targets must be soft labels, or classes in [0, {classes}). Received: others."
    (label,) = ops.checked(ops.all(is_class), rule, [label])
    one_hot = ops.cast(ops.equal(ops.cast(label, "int32")[..., None], ops.arange(classes, "int32")), y_pred.dtype)
    return ops.where(is_class[..., None], one_hot, float("nan"))


def _logits(probabilities: Tensor) -> Tensor:
    """The logarithms of probabilities.

    Raises:
        ValueError: for others. Where that shows only under XLA, they are NaN. So are those of a model that diverged.
    """
    is_wrong = ops.absolute(ops.sum(probabilities, axis=-1) - 1) >= _checks.SUM_TOLERANCE
    is_wrong = is_wrong | (ops.min(probabilities, axis=-1) < -1e-6)
    rule = "y_pred must be probabilities that sum to 1, or from_logits=True. Received: others."
    (probabilities,) = ops.checked(ops.all(~is_wrong), rule, [probabilities])
    logits = ops.log(ops.maximum(probabilities, _LEAST))
    return ops.where(is_wrong[..., None], float("nan"), logits)
