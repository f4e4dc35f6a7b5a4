"""The user's encoder and decoder: asked as in inference, and what they give is checked."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf.backends import ask_model
from kmix_tf.decision import name_of

Network = Callable[[tf.Tensor], tf.Tensor]


def checked_network(name: str, value: Any) -> Network:
    """An encoder or decoder, checked as far as it can be without a batch.

    Raises:
        TypeError: for what cannot be called, or a class in want of brackets. ValueError: for a model without weights
            as yet: they would be made anew in each graph.
    """
    rule = "a Keras model or a callable of one tensor"
    if isinstance(value, type):
        _checks.refuse(name, f"{rule}, here with brackets: {value.__name__}(...)", value, TypeError)
    if not callable(value):
        _checks.refuse(name, rule, value, TypeError)
    if isinstance(value, keras.Model) and not value.built:
        raise _checks.problem(
            f"{name} must be built, so that it has weights. Received: {name}={value.name!r}, which is not. Begin it "
            "with keras.layers.Input(shape), or call it once on a batch."
        )
    return value


def encoded(encoder: Network, image: tf.Tensor) -> tf.Tensor:
    """Feature maps of images, float32 `(batch, *places, channels)`; no gradient flows through them.

    Raises:
        ValueError: for an encoder that does not take the images, or gives no maps.
    """
    features = _asked("encoder", encoder, tf.cast(image, tf.float32))
    shape = features.shape
    if shape.rank is None or shape.rank < 3 or shape[1:-1].num_elements() == 1:
        raise _checks.problem(
            "encoder must give maps (batch, *places, channels) of several places, over which a style is measured. "
            f"Received: {name_of(encoder)}, which gives {_shown(features)} for images {_shown(image)}. Take a layer "
            "before global pooling."
        )
    return features


def decoded(decoder: Network, features: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Images of feature maps, float32, of the images' own shape but for the batch; no gradient flows through them.

    Raises:
        ValueError: for a decoder that does not take the maps, or gives other shapes. InvalidArgumentError: on the
            batch, where sizes only show then.
    """
    made, wanted = _asked("decoder", decoder, features), image.shape[1:]
    rule = f"decoder must give images of the shape that the encoder was given, (batch, {str(wanted)[1:]}"
    if not made.shape.is_compatible_with([None, *wanted]):
        raise _checks.problem(
            f"{rule}. Received: {name_of(decoder)}, which gives {_shown(made)} for maps {_shown(features)}."
        )
    if not (made.shape[1:].is_fully_defined() and wanted.is_fully_defined()):
        fits = tf.reduce_all(tf.equal(tf.shape(made)[1:], tf.shape(image)[1:]))
        (made,) = after(require(fits, f"{rule}. Received: other sizes."), [made])
    return tf.ensure_shape(made, [None, *wanted])


def _asked(name: str, network: Any, x: tf.Tensor) -> tf.Tensor:
    """What it makes of a tensor, as a float tensor, or a word about what it does not take."""
    try:
        answer = ask_model(network, x) if isinstance(network, keras.layers.Layer) else network(x)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise _checks.problem(
            f"{name} must take {'images as they are' if name == 'encoder' else 'what the encoder gives'}. Received: "
            f"{name_of(network)} and features {_shown(x)}. It says: {error}"
        ) from error
    if not tf.is_tensor(answer) or not answer.dtype.is_floating:
        raise _checks.problem(
            f"{name} must give one float tensor. Received: {name_of(network)}, which gives {answer!r}.", TypeError
        )
    return tf.stop_gradient(tf.cast(answer, tf.float32))


def _shown(tensor: tf.Tensor) -> str:
    return f"{tensor.dtype.name} {tensor.shape}"
