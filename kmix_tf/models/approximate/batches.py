"""Batches on their way through Keras' own steps."""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.models.approximate.loss import plain_targets
from kmix_tf.models.approximate.outputs import Outputs
from kmix_tf.models.approximate.weights import by_weight


class Perturbed(NamedTuple):
    """A batch of features: what else belongs to it travels with it."""

    x: Any  # as the wrapped model takes them
    directions: Any  # leaves (batch, samples, ...), or () where no derivatives are wanted
    targets: Any  # as the user gave them, for the metrics, as are
    sample_weight: Any = None


def unperturbed(outputs: Outputs, targets: list[tf.Tensor], weights: list[Any]) -> tuple[Any, Any]:
    """Targets and weights as Keras' losses take them, of what was `weighed` and shrunk."""
    pairs = [
        (target, tf.ones_like(target[:, 0])) if weight is None else by_weight(target)
        for target, weight in zip(targets, weights, strict=True)
    ]
    packed = outputs.pack([target for target, _ in pairs])
    return packed, None if all(each is None for each in weights) else outputs.pack([weight for _, weight in pairs])


def beside(target: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
    """Targets `(batch, ...)` and their perturbations, `(batch, samples, 2, ...)`, as the loss takes them."""
    return tf.stack([tf.broadcast_to(target[:, tf.newaxis], tf.shape(epsilon)), epsilon], axis=2)


def as_output(y: tf.Tensor, outputs: int) -> tf.Tensor:
    """Targets float `(batch, outputs)`; integer classes one-hot.

    Raises:
        ValueError: for floats `(batch,)` where there are several outputs.
    """
    if y.dtype.is_bool:
        y = tf.cast(y, tf.int32)
    if y.dtype.is_floating and y.shape.rank == 1 and outputs > 1:
        raise _checks.problem(
            f"targets must be (batch, {outputs}) as the model's output, or integer classes. "
            f"Received: targets of dtype {y.dtype.name} and shape {y.shape}."
        )
    return plain_targets(y, outputs)
