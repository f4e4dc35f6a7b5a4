"""How likely a batch is mixed as training goes on."""

from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register


@register
class MixSchedule:
    """Mixes more and more batches during the first epochs, and none from some epoch on.

    A schedule is any callable `step -> probability`, step an integer scalar, in TensorFlow ops; this is the usual
    one. The layer is told the step by `kmix_tf.mix`, or by `layer(x, y, step=...)`.

    Args:
        steps_per_epoch: batches in an epoch, an integer >= 1.
        warmup: epochs, >= 0, over which the probability rises linearly from 0 to 1; default 0.
        off_after: epochs, >= 0, after which no batch is mixed; default None, never.

    Raises:
        ValueError: for other numbers.

    Source: none of the papers; training on unmixed data at the end is common advice.

    Example:
        >>> schedule = MixSchedule(steps_per_epoch=100, warmup=2, off_after=10)
        >>> [float(schedule(tf.constant(step))) for step in (0, 100, 200, 999, 1000)]
        [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    @_checks.speaks
    def __init__(self, steps_per_epoch: int, warmup: float = 0, off_after: float | None = None):
        self.steps_per_epoch = _checks.integer("steps_per_epoch", steps_per_epoch, minimum=1)
        self.warmup = _checks.number("warmup", warmup)
        self.off_after = None if off_after is None else _checks.number("off_after", off_after)

    def __call__(self, step: Any) -> tf.Tensor:
        """The probability, float32 in [0, 1], at a step counted from 0."""
        # A week's steps are more than float32 can count.
        epoch = tf.cast(step, tf.float64) / self.steps_per_epoch
        probability = tf.minimum(epoch / self.warmup, 1.0) if self.warmup else tf.ones_like(epoch)
        if self.off_after is not None:
            probability = tf.where(epoch < self.off_after, probability, tf.zeros_like(probability))
        return tf.cast(probability, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"steps_per_epoch": self.steps_per_epoch, "warmup": self.warmup, "off_after": self.off_after}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixSchedule":
        return cls(**config)
