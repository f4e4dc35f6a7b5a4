"""Gradients as saliency: pixels whose change affects the loss most."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import at_least_float32
from kmix_tf._images import image_of
from kmix_tf.backends import require_gradients_in_tensorflow
from kmix_tf.saliency.coarse import checked_shrink, enlarged, shrunk, taking_smaller
from kmix_tf.saliency.inputs import as_taken, floating, only
from kmix_tf.saliency.levelled import is_half, levelled_gradient
from kmix_tf.saliency.pooling import gaussian_sizes, smooth
from kmix_tf.saliency.source import SaliencySource


@_checks.speaks
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

    Source: Kim et al. 2020 (Puzzle Mix): saliency is the l2 norm over the input's channels.

    Example:
        >>> saliency_of_gradient(tf.constant([[[3.0, 4.0], [0.0, 1.0]]]), axes=1).numpy()
        array([[5., 1.]], dtype=float32)
    """
    gradient = at_least_float32(image_of([tf.convert_to_tensor(gradient)], axes))
    # Squares of small gradients would underflow, those of large ones overflow.
    largest = tf.reduce_max(tf.abs(gradient), axis=range(1, gradient.shape.rank), keepdims=True)
    squares = tf.square(tf.math.divide_no_nan(gradient, largest))
    norms = tf.sqrt(tf.reduce_sum(squares, axis=range(1 + axes, gradient.shape.rank)))
    norms *= tf.reshape(largest, tf.concat([[-1], tf.ones([axes], tf.int32)], 0))
    return norms if smoothing is None else smooth(norms, smoothing)


@register
class GradientSaliency(SaliencySource):
    """Saliency of images to a model: how strongly its loss depends on each place.

    The model is asked as in inference, so nothing in it changes, and its weights are saved with what uses this, in
    `.keras` files. In `tf.data` pipelines it runs on the CPU for each batch; where the model is trained, `MixModel`
    takes saliency from the training step itself.

    Args:
        model: a built Keras model that takes what the mix's features are, in their structure: by name where they have
            names, or else in their order. Of float16, it is taken to make each output of one sample alone.
        loss: a Keras loss, its name, or a callable `(targets, prediction) -> float`, differentiable; of several
            outputs or targets, lists of them. Losses take targets as the mix prepares them: soft labels.
        axes: how many axes the image has: 2 (default), 1 for signals, 3 for volumes and videos.
        smoothing: standard deviation, in places, of a Gaussian to smooth saliency by, or None (default).
        shrink: the model is asked of means of so many places along each axis, an integer >= 1, default 1, and what it
            says is interpolated to all places. For models that take images of any size: of 2, an image has a quarter
            of its places.

    Call:
        `source(features, targets)`: of the first feature with so many axes, float32 `(batch, *axes)`, >= 0, or
        float64; of any scale, each sample's its own.

    Raises:
        RuntimeError: with Keras on another back end than TensorFlow, whose gradients a map cannot take.
        TypeError: for something else than a Keras model, or a loss that is none, or returns no tensor.
        ValueError: for other numbers, or a name that Keras does not know; on a call, without targets, with other
            numbers, sizes or names of features than the model has inputs, for a loss that doesn't fit outputs and
            targets, and where nothing depends on the image.

    Source: Kim et al. 2020 (Puzzle Mix); Simonyan et al. 2014.

    Example:
        >>> model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        >>> source = GradientSaliency(model, keras.losses.CategoricalCrossentropy(from_logits=True))
        >>> source([tf.ones([4, 8, 8, 1])], [tf.eye(4, 3)]).shape
        TensorShape([4, 8, 8])
    """

    takes_names = True

    @_checks.speaks
    def __init__(self, model: keras.Model, loss: Any, *, axes: int = 2, smoothing: Any = None, shrink: int = 1):
        if not isinstance(model, keras.Model):
            _checks.refuse("model", "a Keras model", model, TypeError)
        require_gradients_in_tensorflow(model)
        self.model, self.loss, self._function = model, loss, _checked_loss(loss)
        self.axes = _checks.axes(axes)
        self.smoothing = None if smoothing is None else gaussian_sizes("smoothing", smoothing, self.axes)
        self.shrink = checked_shrink("shrink", shrink, model, self.axes)

    @_checks.speaks
    def __call__(self, features: Sequence[tf.Tensor], targets: Any) -> tf.Tensor:
        targets = tf.nest.flatten([] if targets is None else targets)
        if not targets:
            raise _checks.problem(
                "gradients need targets. Received: targets=None. Mix features with their targets, or use "
                "SpectralResidualSaliency, which needs none."
            )
        paths = getattr(features, "paths", None)
        features = [floating(tf.convert_to_tensor(leaf)) for leaf in features]
        whole = image_of(features, self.axes)
        features = shrunk(features, self.axes, self.shrink)
        taken, image = as_taken(self.model, features, paths), image_of(features, self.axes)
        targets = [tf.convert_to_tensor(target) for target in targets]
        gradient = self._gradient(lambda: self._predicted(taken), targets, image)
        if gradient is None:
            raise _checks.problem(
                f"the loss must depend on the image, by differentiable operations. Received: model "
                f"{self.model.name!r}, whose loss has no gradient with respect to features of shape {image.shape}."
            )
        saliency = enlarged(saliency_of_gradient(gradient, self.axes), whole, self.shrink)
        return saliency if self.smoothing is None else smooth(saliency, self.smoothing)

    def _predicted(self, taken: Any) -> list[tf.Tensor]:
        with taking_smaller("shrink", self.shrink):
            return tf.nest.flatten(self.model(taken, training=False))

    def _gradient(self, predict: Callable, targets: list[tf.Tensor], image: tf.Tensor) -> tf.Tensor | None:
        if is_half(self.model):
            return levelled_gradient(predict, lambda outputs: self._loss(targets, outputs), image)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            loss = self._loss(targets, predict())
        return tape.gradient(loss, image)

    def _loss(self, targets: list[tf.Tensor], prediction: list[tf.Tensor]) -> tf.Tensor:
        if isinstance(self.loss, (str, keras.losses.Loss)):
            targets = _aligned(self.loss, targets, prediction)
        try:
            value = self._function(only(targets), only(prediction))
        except (TypeError, ValueError, NotImplementedError, tf.errors.InvalidArgumentError) as problem:
            raise ValueError(_misfit(self.loss, targets, prediction)) from problem
        if not tf.is_tensor(value):
            raise _checks.problem(
                f"loss must return a float tensor, made of the outputs by differentiable operations. "
                f"Received: loss {_name(self.loss)}, which returned {value!r}.",
                TypeError,
            )
        return tf.reduce_sum(at_least_float32(value))


def _aligned(loss: Any, targets: list[tf.Tensor], prediction: list[tf.Tensor]) -> list[tf.Tensor]:
    """Targets with the predictions' shape, which may differ by a last axis of one.

    Keras' losses would broadcast others without a word. Integer targets are classes, and the loss' own business.
    """
    if len(targets) != 1 or len(prediction) != 1:
        raise ValueError(_misfit(loss, targets, prediction))
    target, wanted = targets[0], prediction[0].shape
    if not target.dtype.is_floating or target.shape.rank is None or wanted.rank is None:
        return targets
    if target.shape.rank + 1 == wanted.rank and wanted[-1] == 1:
        target = target[..., tf.newaxis]
    elif target.shape.rank == wanted.rank + 1 and target.shape[-1] == 1:
        target = target[..., 0]
    if not target.shape.is_compatible_with(wanted):
        raise ValueError(_misfit(loss, targets, prediction))
    return [target]


def _misfit(loss: Any, targets: list[tf.Tensor], prediction: list[tf.Tensor]) -> str:
    shapes = [str([f"{leaf.dtype.name} {leaf.shape}" for leaf in leaves]) for leaves in (targets, prediction)]
    return (
        f"{_checks.speaker()}: loss must fit the model's outputs and the targets. Received: loss {_name(loss)}, "
        f"targets {shapes[0]} and outputs {shapes[1]}. Targets come as the mix prepares them, as soft labels; for "
        "several, give a callable (targets, outputs) of lists."
    )


def _name(loss: Any) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def _checked_loss(loss: Any) -> Callable:
    """What computes a loss, of an object, a name or a callable; a class in want of brackets computes nothing."""
    rule = "a Keras loss, its name or a callable (targets, outputs)"
    if isinstance(loss, type):
        _checks.refuse("loss", f"{rule}, here with brackets: {loss.__name__}(...)", loss, TypeError)
    if not isinstance(loss, str) and not callable(loss):
        _checks.refuse("loss", rule, loss, TypeError)
    try:
        return keras.losses.get(loss)
    except (TypeError, ValueError) as problem:
        raise _checks.problem(
            f"loss must be {rule}. Received: loss={loss!r}, which Keras does not know."
        ) from problem
