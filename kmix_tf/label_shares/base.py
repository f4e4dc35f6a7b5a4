"""Shares in the label: what every rule for them is told and gives."""

from typing import Any

import tensorflow as tf

from kmix_tf._graph import refusing_host_calls
from kmix_tf.decision import Decision, Wrapped, as_decision


class LabelShareStrategy(Decision):
    """Chooses the share of the sample itself in the label of its mixture. A subclass says how in `__call__`.

    Call:
        `label_shares(first, second, ratio)`: first and second, the target of the sample and that of its partner in
        each mixture, `(mixtures, ...)`, as the mix prepares them (soft labels where `num_classes` is given); ratio,
        float32 `(mixtures,)`, the sample's share in the input, as the blend realised it. Returns float `(mixtures,)`
        in [0, 1]. With several interpolations, mixtures are those of the whole batch one after another.

    What shows one sample only, at a ratio of 0 or 1, keeps that sample's label, whatever the rule says.

    Example:
        >>> class Larger(LabelShareStrategy):  # the whole label to whom more is seen of
        ...     def __call__(self, first, second, ratio):
        ...         return tf.round(ratio)
        >>> x, y = MixLayer(label_shares=Larger())(tf.random.uniform([4, 3]), tf.eye(4))
        >>> bool(tf.reduce_all((y == 0) | (y == 1)))
        True
    """

    kind = "label_shares"
    signature = "(first, second, ratio) -> ratios"

    def __call__(self, first: tf.Tensor, second: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError(f"{self.shown} must say in __call__ how much of each sample is in the label.")

    def require_classes(self, count: int) -> None:
        """Refuses a number of classes that this cannot be of. By default, any will do."""


class _WrappedLabelShares(Wrapped, LabelShareStrategy):
    """A plain callable as a rule."""

    def __call__(self, first: tf.Tensor, second: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
        with refusing_host_calls(self.shown):
            return self.function(first, second, ratio)


def as_label_shares(value: Any) -> LabelShareStrategy:
    """A rule for shares in the label, of one or of a callable of its signature."""
    return as_decision(value, LabelShareStrategy, _WrappedLabelShares, told=3)
