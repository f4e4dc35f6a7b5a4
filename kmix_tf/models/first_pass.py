"""A pass over the batch as it is, before it is mixed: for what matters in it, and for the model's own gradients."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3
from kmix_tf._graph import at_least_float32
from kmix_tf._images import image_of
from kmix_tf.saliency.coarse import enlarged, shrunk, taking_smaller
from kmix_tf.saliency.gradient import saliency_of_gradient
from kmix_tf.saliency.pooling import smooth


class FirstPass(NamedTuple):
    """saliency: float32 `(batch, *axes)`, or None. gradients: of the trainable weights, or empty."""

    saliency: tf.Tensor | None
    gradients: list[tf.Tensor]


def first_pass(
    model: keras.Model,
    axes: int | None,
    data: Any,
    *,
    with_weights: bool,
    with_added: bool = False,
    smoothing: Sequence[float] | None = None,
    shrink: int = 1,
) -> FirstPass:
    """Asks a compiled `MixModel` for its loss on the batch, and differentiates it once, by all that is wanted.

    Args:
        model: its layer converts the batch. data: `(x, y, sample_weight)`.
        axes: those of the image that saliency is wanted of, or None.
        with_weights: whether gradients of the weights are wanted. If so, the model is asked as in training, which is
            what they belong to; otherwise as in inference.
        with_added: whether the loss has weight penalties and `add_loss` in it.
        smoothing: of saliency, a standard deviation for each axis, or None.
        shrink: the model is asked of means of so many places along each axis; 1 if gradients of the weights are
            wanted.
    """
    leaves, converted = model.layer.converted(*data)
    with _checks.speaking_as(model):
        whole = None if axes is None else image_of(leaves, axes)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(converted)
        x, image = (x, []) if axes is None else _smaller(x, leaves, axes, shrink)
    silence = contextlib.nullcontext() if with_added else model.without_penalties()
    with tf.GradientTape() as tape, silence:
        tape.watch(image)
        with _checks.speaking_as(model), taking_smaller("saliency_shrink", shrink):
            y_pred = model(x, training=with_weights)
        loss = data_loss(model, x, y, y_pred, sample_weight)
        objective, scale = scaled(model.optimizer, loss)
    sources = [*image, *(values_of(model.trainable_variables) if with_weights else [])]
    gradients = tape.gradient(objective, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    saliency = None
    if axes is not None and whole is not None:
        saliency = enlarged(saliency_of_gradient(gradients.pop(0), axes), whole, shrink)
        saliency = saliency if smoothing is None else smooth(saliency, smoothing)
    return FirstPass(saliency, [unscaled(gradient, scale) for gradient in gradients])


def _smaller(x: Any, leaves: Sequence[tf.Tensor], axes: int, factor: int) -> tuple[Any, list[tf.Tensor]]:
    """x, with means of so many places along each axis for the image among its leaves, and a list of that image."""
    small = shrunk(leaves, axes, factor)
    instead = {id(leaf): each for leaf, each in zip(leaves, small, strict=True)}
    return tf.nest.map_structure(lambda leaf: instead.get(id(leaf), leaf), x), [image_of(small, axes)]


def carrying(weights: Sequence[Any], gradients: list[tf.Tensor], factor: float) -> tf.Tensor:
    """Zero, with `factor` times these gradients: added to a loss, it takes them through whatever scaling there is.

    Args:
        weights: trainable ones. gradients: of each, float32 or float64, whatever the weights are.
    """

    @tf.custom_gradient
    def zero(*values: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def carried(upstream: tf.Tensor) -> list[tf.Tensor]:
            scaled = [factor * tf.cast(upstream, gradient.dtype) * gradient for gradient in gradients]
            return [tf.cast(each, value.dtype) for each, value in zip(scaled, values, strict=True)]

        return tf.zeros([]), carried

    return zero(*[tf.convert_to_tensor(value) for value in values_of(weights)])


def data_loss(model: keras.Model, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
    """The loss, leaving no trace in the metrics of `fit`, whose logs are those of the mixtures."""
    if not IS_KERAS_3 and not model.compiled_loss.built:
        model.compiled_loss.build(y_pred)  # So that its metrics exist, to be left alone.
    tracked = [variable for metric in model.metrics for variable in metric.variables]
    before = [tf.identity(value) for value in values_of(tracked)]
    loss = model.compute_loss(x, y, y_pred, sample_weight)
    if loss is None:
        raise ValueError(
            f"{type(model).__name__}: saliency is the gradient of a loss. Received: compile() without a loss, and a "
            "model that adds none by add_loss."
        )
    for variable, value in zip(tracked, before, strict=True):
        variable.assign(value)
    return loss


def scaled(optimizer: Any, loss: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The loss as a mixed precision optimizer scales it, so that float16 gradients do not vanish, and by how much."""
    one = tf.ones([])
    if hasattr(optimizer, "get_scaled_loss"):
        return optimizer.get_scaled_loss(loss), optimizer.get_scaled_loss(one)
    if hasattr(optimizer, "scale_loss"):
        return optimizer.scale_loss(loss), optimizer.scale_loss(one)
    return loss, one


def unscaled(gradient: Any, scale: tf.Tensor) -> tf.Tensor:
    """In float32 at least: float16 has neither room for the scale nor for what is left without it."""
    gradient = at_least_float32(tf.convert_to_tensor(gradient))
    return gradient / tf.cast(scale, gradient.dtype)


def values_of(variables: Sequence[Any]) -> list[Any]:
    """What a tape and `tf.identity` know of variables: those of Keras 3 wrap TensorFlow's."""
    return [getattr(variable, "value", variable) if IS_KERAS_3 else variable for variable in variables]
