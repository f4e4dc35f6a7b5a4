"""Gradients as saliency: places that a small change of which would move the loss most."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.batch.leaves import at_least_float32, image_of
from kmix_tf.saliency.pooling import gaussian_sizes, smooth

# Gradients of half-precision models are multiplied by this on their way, lest they underflow; saliency has no scale.
_SCALE = 256.0


def saliency_of_gradient(gradient: tf.Tensor, axes: int, smoothing: Any = None) -> tf.Tensor:
    """How much each place matters to a loss: the norm of its gradient over the channels.

    Args:
        gradient: float `(batch, *axes, ...)`, the loss differentiated with respect to images.
        axes: how many spatial axes, 1 to 3.
        smoothing: standard deviation, in places, of a Gaussian to smooth it by, or one for each axis; default None.

    Returns:
        float `(batch, *axes)`, >= 0, float32, or float64 for float64. NaN and infinity stay: see `checked`.

    Raises:
        ValueError: for a gradient with fewer axes.

    Source: Kim et al. 2020 (Puzzle Mix), Section 3: saliency is the l2 norm over the input's channels.

    Example:
        >>> saliency_of_gradient(tf.constant([[[3.0, 4.0], [0.0, 1.0]]]), axes=1).numpy()
        array([[5., 1.]], dtype=float32)
    """
    gradient = at_least_float32(image_of("saliency_of_gradient", [tf.convert_to_tensor(gradient)], axes))
    # Squares of small gradients would underflow, those of large ones overflow.
    largest = tf.reduce_max(tf.abs(gradient), axis=range(1, gradient.shape.rank), keepdims=True)
    squares = tf.square(tf.math.divide_no_nan(gradient, largest))
    norms = tf.sqrt(tf.reduce_sum(squares, axis=range(1 + axes, gradient.shape.rank)))
    norms *= tf.reshape(largest, tf.concat([[-1], tf.ones([axes], tf.int32)], 0))
    return norms if smoothing is None else smooth(norms, smoothing)


@register
class GradientSaliency:
    """Saliency of images to a model: how strongly its loss depends on each place.

    The model is asked as in inference, so nothing in it changes, and its weights are saved with what uses this, in
    `.keras` files. In `tf.data` pipelines it runs on the CPU for each batch; where the model is trained, `MixModel`
    takes saliency from the training step itself.

    Args:
        model: a built Keras model that takes what the mix's features are, in their order.
        loss: a Keras loss, its name, or a callable `(targets, prediction) -> float`, differentiable; of several
            outputs or targets, lists of them. Losses take targets as the mix prepares them: soft labels.
        axes: how many axes the image has: 2 (default), 1 for signals, 3 for volumes and videos.
        smoothing: standard deviation, in places, of a Gaussian to smooth saliency by, or None (default).

    Call:
        `source(features, targets)`: of the first feature with so many axes, float32 `(batch, *axes)`, >= 0, or
        float64; of any scale.

    Raises:
        TypeError: for something else than a Keras model, or a loss that is none.
        ValueError: for other numbers; on a call, without targets, with another number of features than the model
            has inputs, for a loss that doesn't fit outputs and targets, and where nothing depends on the image.

    Source: Kim et al. 2020 (Puzzle Mix), Section 3; Simonyan et al. 2014.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        >>> source = GradientSaliency(model, keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> source([tf.ones([4, 8, 8, 1])], [tf.eye(4, 3)]).shape
        TensorShape([4, 8, 8])
    """

    def __init__(self, model: keras.Model, loss: Any, *, axes: int = 2, smoothing: Any = None):
        owner = type(self).__name__
        if not isinstance(model, keras.Model):
            _checks.refuse(owner, "model", "a Keras model", model, TypeError)
        if not isinstance(loss, str) and not callable(loss):
            _checks.refuse(owner, "loss", "a Keras loss, its name or a callable", loss, TypeError)
        self.model, self.loss = model, loss
        self._function = keras.losses.get(loss)
        self.axes = _checks.integer(owner, "axes", axes, minimum=1)
        if self.axes > 3:
            _checks.refuse(owner, "axes", "1, 2 or 3", axes)
        self.smoothing = None if smoothing is None else gaussian_sizes(owner, "smoothing", smoothing, self.axes)

    def __call__(self, features: Sequence[tf.Tensor], targets: Any) -> tf.Tensor:
        owner = type(self).__name__
        targets = tf.nest.flatten([] if targets is None else targets)
        if not targets:
            raise ValueError(
                f"{owner}: gradients need targets. Received: targets=None. Mix features with their targets, or use "
                "SpectralResidualSaliency, which needs none."
            )
        features = [_floating(tf.convert_to_tensor(leaf)) for leaf in features]
        _require_as_many(owner, self.model, features)
        _require_sizes(owner, self.model, features)
        image = image_of(owner, features, self.axes)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            loss = self._loss(features, [tf.convert_to_tensor(target) for target in targets])
        gradient = tape.gradient(loss, image)
        if gradient is None:
            raise ValueError(
                f"{owner}: the loss must depend on the image, by differentiable operations. Received: model "
                f"{self.model.name!r}, whose loss has no gradient with respect to features of shape {image.shape}."
            )
        return saliency_of_gradient(gradient, self.axes, self.smoothing)

    def _loss(self, features: list[tf.Tensor], targets: list[tf.Tensor]) -> tf.Tensor:
        prediction = tf.nest.flatten(self.model(_as_taken(self.model, features), training=False))
        if isinstance(self.loss, (str, keras.losses.Loss)):
            targets = _aligned(type(self).__name__, self.loss, targets, prediction)
        try:
            return _SCALE * tf.reduce_sum(at_least_float32(self._function(_only(targets), _only(prediction))))
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as problem:
            raise ValueError(_misfit(type(self).__name__, self.loss, targets, prediction)) from problem

    def get_config(self) -> dict[str, Any]:
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "loss": self.loss if isinstance(self.loss, str) else keras.saving.serialize_keras_object(self.loss),
            "axes": self.axes,
            "smoothing": None if self.smoothing is None else list(self.smoothing),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "GradientSaliency":
        config = dict(config)
        for name in ("model", "loss"):
            if isinstance(config[name], dict):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def _floating(leaf: tf.Tensor) -> tf.Tensor:
    """Integers as float32: there are no gradients with respect to them."""
    return leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32)


def _only(values: list[tf.Tensor]) -> Any:
    """Models and losses take one tensor as it is, several as a list."""
    return values[0] if len(values) == 1 else values


def _require_as_many(owner: str, model: keras.Model, features: list[tf.Tensor]) -> None:
    inputs = getattr(model, "inputs", None)
    if inputs is not None and len(inputs) != len(features):
        raise ValueError(
            f"{owner}: features must be as many as the model's inputs. Received: {len(features)} features of shapes "
            f"{[str(leaf.shape) for leaf in features]} for model {model.name!r} with {len(inputs)} inputs. "
            "Features that only ride along can be named in passthrough=."
        )


def _require_sizes(owner: str, model: keras.Model, features: list[tf.Tensor]) -> None:
    for leaf, wanted in zip(features, getattr(model, "inputs", None) or (), strict=False):
        # Keras adds or drops a last axis of length 1 itself.
        if leaf.shape.rank == len(wanted.shape) and not leaf.shape[1:].is_compatible_with(wanted.shape[1:]):
            raise ValueError(
                f"{owner}: features must have the sizes that the model takes. Received: features of shape "
                f"{leaf.shape} for model {model.name!r}, which takes {tuple(wanted.shape)}."
            )


def _as_taken(model: keras.Model, features: list[tf.Tensor]) -> Any:
    """Features in the structure of a functional model's inputs; others take one as it is, several as a list."""
    inputs = getattr(model, "input", None) if getattr(model, "inputs", None) else None
    return _only(features) if inputs is None else tf.nest.pack_sequence_as(inputs, features)


def _aligned(owner: str, loss: Any, targets: list[tf.Tensor], prediction: list[tf.Tensor]) -> list[tf.Tensor]:
    """Targets with the predictions' shape, which may differ by a last axis of one.

    Keras' losses would broadcast others without a word. Integer targets are classes, and the loss' own business.
    """
    if len(targets) != 1 or len(prediction) != 1:
        raise ValueError(_misfit(owner, loss, targets, prediction))
    target, wanted = targets[0], prediction[0].shape
    if not target.dtype.is_floating or target.shape.rank is None or wanted.rank is None:
        return targets
    if target.shape.rank + 1 == wanted.rank and wanted[-1] == 1:
        target = target[..., tf.newaxis]
    elif target.shape.rank == wanted.rank + 1 and target.shape[-1] == 1:
        target = target[..., 0]
    if not target.shape.is_compatible_with(wanted):
        raise ValueError(_misfit(owner, loss, targets, prediction))
    return [target]


def _misfit(owner: str, loss: Any, targets: list[tf.Tensor], prediction: list[tf.Tensor]) -> str:
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    shapes = [str([f"{leaf.dtype.name} {leaf.shape}" for leaf in leaves]) for leaves in (targets, prediction)]
    return (
        f"{owner}: loss must fit the model's outputs and the targets. Received: loss {name}, targets {shapes[0]} and "
        f"outputs {shapes[1]}. Targets come as the mix prepares them, as soft labels; for several, give a callable "
        "(targets, outputs) of lists."
    )
