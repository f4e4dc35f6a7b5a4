"""What every saliency source keeps to, and how what it gives is checked.

A source is a callable `source(features, targets) -> float (batch, *axes)`, >= 0, of any scale: how much each place of
the image matters. `features` is the list of feature tensors as blends see them, `targets` the list of prepared
targets, or None.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, at_least_float32, numbers_of, require
from kmix_tf.decision import Configured, Decision, require_arguments
from kmix_tf.saliency.fallback import tell_of_fallback

Source = Callable[[Sequence[tf.Tensor], Any], tf.Tensor]


class SaliencySource(Configured):
    """Says what matters where. A subclass says how in `__call__`; it speaks for itself in errors.

    Attributes:
        takes_names: True asks for a `NamedFeatures` instead of a plain list, where the mix knows of names.

    Example:
        >>> class Brightness(SaliencySource):
        ...     def __call__(self, features, targets):
        ...         return tf.reduce_mean(features[0], axis=-1)
        >>> x, y = SaliencyMixLayer(saliency=Brightness())(tf.random.uniform([4, 8, 8, 1]), tf.eye(4))
    """

    takes_names: bool = False

    def __call__(self, features: Sequence[tf.Tensor], targets: Any) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} must say in __call__ what matters where.")


def as_source(value: Any) -> Source | None:
    """A source, or a callable of its signature, checked as far as it can be; None stays None.

    Raises:
        TypeError: for anything else.
    """
    rule = "a callable (features, targets) -> (batch, *axes)"
    if isinstance(value, keras.Model):
        _checks.refuse(
            "saliency",
            f"{rule}; of a model, GradientSaliency(model, loss) or FeatureSaliency(model)",
            value,
            TypeError,
        )
    if isinstance(value, Decision):
        _checks.refuse("saliency", f"{rule}, and no {value.kind}", value, TypeError)
    if isinstance(value, type):
        _checks.refuse("saliency", f"an object: with brackets, {value.__name__}(...)", value, TypeError)
    if _checks.function("saliency", value) is not None and not isinstance(value, SaliencySource):
        require_arguments("saliency", value, "(features, targets) -> (batch, *axes)", 2)
    return value


def checked(values: Any, image: tf.Tensor, axes: int) -> tf.Tensor:
    """Saliency that a blend can rely on, made of what a source gave.

    A sample whose values are NaN or infinite anywhere, or zero everywhere, becomes uniformly salient: one gradient
    that overflows must not stop a job that runs for a week. `unusable` says which samples these are. NaN and infinity
    are told of: eagerly by a warning, in graphs on standard error, and within a `FallbackCount` by what it counts;
    under XLA elsewhere they are not.

    Args:
        values: integer or float `(batch, *axes)`, >= 0, of any scale.
        image: what they are the saliency of, `(batch, *axes, ...)`.
        axes: how many spatial axes.

    Returns:
        float32 `(batch, *axes)`, >= 0, whose largest value in each sample is 1. No gradient flows through it.

    Raises:
        TypeError: for other dtypes.
        ValueError: for another shape than the image's.
        InvalidArgumentError: on the batch, for negative values, or a shape that only shows then. XLA drops both.

    Example:
        >>> image = tf.zeros([2, 3, 1])
        >>> checked([[0.0, 2.0, 4.0], [0.0, float("nan"), 1.0]], image, axes=1).numpy()
        array([[0. , 0.5, 1. ],
               [1. , 1. , 1. ]], dtype=float32)
    """
    values = numbers_of(values, "saliency must be a float tensor, a value for each place of each image")
    if not (values.dtype.is_floating or values.dtype.is_integer):
        raise _checks.problem(
            f"saliency must be of a float dtype. Received: saliency of {values.dtype.name}.", TypeError
        )
    values = at_least_float32(tf.stop_gradient(values))
    values = _of_the_images_shape(values, image, axes)
    message = "saliency must be >= 0. Received: negative values; tf.abs, if their size is meant."
    (values,) = after(require(~tf.reduce_any(values < 0), message), [values])
    tell_of_fallback(~_all_finite(values))
    return _scaled(tf.maximum(values, 0))


def unusable(values: tf.Tensor) -> tf.Tensor:
    """Which samples' saliency says nothing, because it is NaN or infinite anywhere or zero everywhere.

    Args:
        values: float `(batch, *axes)`, as a source gave it.

    Returns:
        bool `(batch,)`. Blends take these samples for uniformly salient; count them where you want to know.

    Example:
        >>> unusable(tf.constant([[0.0, 1.0], [0.0, 0.0], [float("inf"), 1.0]])).numpy().tolist()
        [False, True, True]
    """
    values = at_least_float32(tf.convert_to_tensor(values))
    # Subnormal numbers are zeros to some processors, and not to others.
    smallest = np.finfo(values.dtype.as_numpy_dtype).tiny
    return ~(_all_finite(values) & tf.reduce_any(tf.abs(values) >= smallest, axis=range(1, values.shape.rank)))


def as_shares(saliency: tf.Tensor) -> tf.Tensor:
    """Saliency as shares: each sample's sum to 1. Of `checked` values, so that none sums to 0.

    Example:
        >>> as_shares(tf.constant([[1.0, 3.0]])).numpy().tolist()
        [[0.25, 0.75]]
    """
    return saliency / tf.reduce_sum(saliency, axis=range(1, saliency.shape.rank), keepdims=True)


def _all_finite(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(values), axis=range(1, values.shape.rank))


def _scaled(values: tf.Tensor) -> tf.Tensor:
    """Divided by each sample's largest before they become float32, which float64 values might leave."""
    places = range(1, values.shape.rank)
    largest = tf.reduce_max(values, axis=places, keepdims=True)
    says_nothing = tf.reshape(unusable(values), tf.shape(largest))
    return tf.cast(tf.where(says_nothing, tf.ones_like(values), values / largest), tf.float32)


def _of_the_images_shape(values: tf.Tensor, image: tf.Tensor, axes: int) -> tf.Tensor:
    """Refuses values of another shape than the image's: now where that is known, otherwise when the graph runs."""
    wanted = image.shape[: 1 + axes]
    if not values.shape.is_compatible_with(wanted):
        raise _checks.problem(
            f"saliency must be of shape {wanted}, a value for each place of each image. "
            f"Received: saliency of shape {values.shape} for images of shape {image.shape}."
        )
    if not (values.shape.is_fully_defined() and wanted.is_fully_defined()):
        received, sizes = tf.shape(values), tf.shape(image)[: 1 + axes]
        is_same = tf.cond(
            tf.equal(tf.size(received), 1 + axes),
            lambda: tf.reduce_all(tf.equal(received, sizes)),
            lambda: tf.constant(False),
        )
        message = (
            f"{_checks.speaker()}: saliency must be of shape",
            sizes,
            "as the image's places. Received: one of",
            received,
        )
        told = tf.debugging.Assert(is_same, message, summarize=8)
        # From here on the shape is the image's: a check further on, under another name, has nothing to say.
        with tf.control_dependencies([told]):
            values = tf.reshape(values, sizes)
    values.set_shape(wanted)
    return values
