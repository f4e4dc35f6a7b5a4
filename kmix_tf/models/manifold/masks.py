"""Masks of padded sequences in hidden layers: which elements are there, of a batch and of its mixtures."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf._compat import set_mask
from kmix_tf.blend.linear import with_axes


def with_mask(features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The same features with a mask for layers to find, on a tensor of its own: others may hold the one given."""
    features = tf.identity(features)
    set_mask(features, mask)
    return features


def present(features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Features with 0 for what is absent: what stands there is whatever an embedding holds for padding."""
    return tf.where(_along(mask, features), features, tf.zeros([], features.dtype))


def padded_as(features: tf.Tensor, mixed: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mixtures in which what is absent of both samples is what it was, for layers that take no notice of masks.

    Args:
        features: of the samples. mixed: of their mixtures, one or several for each. mask: of the mixtures.
    """
    copies = tf.shape(mixed)[0] // tf.maximum(tf.shape(features)[0], 1)
    repeats = tf.concat([[copies], tf.ones([tf.rank(features) - 1], tf.int32)], 0)
    return tf.where(_along(mask, mixed), mixed, tf.ensure_shape(tf.tile(features, repeats), mixed.shape))


def lies_along(tensor: Any, mask: Any) -> bool:
    """Whether a mask has an element for each of a tensor's, `(batch, *steps)` for `(batch, *steps, ...)`."""
    shapes = tf.TensorShape(getattr(mask, "shape", None)), tf.TensorShape(tensor.shape)
    ranks = shapes[0].rank, shapes[1].rank
    if ranks[0] is None or ranks[1] is None:
        return False
    return ranks[0] < ranks[1] and shapes[0].is_compatible_with(shapes[1][: ranks[0]])


def _along(mask: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    return with_axes(mask, features.shape.rank - mask.shape.rank)


def is_twin(tensor: Any, other: Any) -> bool:
    """Whether two tensors of a Keras 3 model, not the same one, are computed by equal operations of the same."""
    pair = [made for made in (_operation_of(tensor), _operation_of(other)) if made is not None]
    if tensor is other or len(pair) < 2 or type(pair[0][0]) is not type(pair[1][0]):
        return False
    (ours, our_call), (theirs, their_call) = pair
    values, others = ([*call.arguments.args, *call.arguments.kwargs.values()] for call in (our_call, their_call))
    alike = len(values) == len(others) and _options(ours) == _options(theirs)
    return alike and all(_is_same(*each) for each in zip(values, others, strict=True))


def _is_same(value: Any, other: Any) -> bool:
    if hasattr(value, "_keras_history") or hasattr(other, "_keras_history"):
        return value is other or (hasattr(value, "_keras_history") and is_twin(value, other))
    return bool(value == other)


def _operation_of(tensor: Any) -> tuple[Any, Any] | None:
    """What computed a tensor, and the call that did; None for inputs, and in Keras 2."""
    history: Any = getattr(tensor, "_keras_history", None)
    operation = getattr(history, "operation", None)
    if operation is None or isinstance(operation, keras.layers.Layer):
        return None
    return operation, operation._inbound_nodes[history.node_index]


def _options(operation: Any) -> dict[str, Any]:
    """The options of an operation, such as its axis."""
    plain = (int, float, str, tuple, list, type(None))
    return {k: v for k, v in vars(operation).items() if k != "name" and k[0] != "_" and isinstance(v, plain)}
