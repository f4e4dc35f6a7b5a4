"""TensorFlow's operations by the names of `keras.ops`.

With what only TensorFlow has: float64 everywhere, shapes that show only when a graph runs, and checks that run then.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf._graph import after, at_least_float32, require

__all__ = ["at_least_float32"]

# The dtype of sums over many batches.
WIDE = "float64"
# What a loss may raise that got targets of another shape than it takes.
WRONG_SHAPES: tuple[type[Exception], ...] = (ValueError, TypeError, tf.errors.InvalidArgumentError)

absolute = tf.abs
all = tf.reduce_all
any = tf.reduce_any
broadcast_to = tf.broadcast_to
cast = tf.cast
clip = tf.clip_by_value
concatenate = tf.concat
convert_to_tensor = tf.convert_to_tensor
cumsum = tf.cumsum
divide_no_nan = tf.math.divide_no_nan
equal = tf.equal
floor = tf.floor
isfinite = tf.math.is_finite
log = tf.math.log
log_softmax = tf.nn.log_softmax
logsumexp = tf.reduce_logsumexp
max = tf.reduce_max
maximum = tf.maximum
min = tf.reduce_min
minimum = tf.minimum
ones = tf.ones
ones_like = tf.ones_like
reshape = tf.reshape
segment_sum = tf.math.unsorted_segment_sum
shape = tf.shape
sigmoid = tf.sigmoid
softmax = tf.nn.softmax
softplus = tf.nn.softplus
sort = tf.sort
squeeze = tf.squeeze
stack = tf.stack
stop_gradient = tf.stop_gradient
sum = tf.reduce_sum
tile = tf.tile
top_k = tf.math.top_k
where = tf.where
while_loop = tf.while_loop
zeros = tf.zeros
zeros_like = tf.zeros_like


def arange(stop: Any, dtype: str) -> tf.Tensor:
    """The integers from 0 up to `stop`."""
    return tf.range(stop, dtype=dtype)


def argmax(values: tf.Tensor, axis: int) -> tf.Tensor:
    """The place of the largest value along an axis, int32."""
    return tf.argmax(values, axis=axis, output_type=tf.int32)


def searchsorted(edges: np.ndarray, values: tf.Tensor) -> tf.Tensor:
    """For each value, how many of the sorted edges are below it."""
    return tf.searchsorted(edges, values, side="left")


def take_along_last_axis(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Values at places of the last axis."""
    return tf.gather(values, index, axis=-1, batch_dims=values.shape.rank - 1)


def dtype_name(tensor: tf.Tensor) -> str:
    """A dtype as Keras writes it, such as "float32"."""
    return str(tf.as_dtype(tensor.dtype).name)


def is_floating(tensor: tf.Tensor) -> bool:
    """Whether it holds float numbers."""
    return bool(tensor.dtype.is_floating)


def is_integer(tensor: tf.Tensor) -> bool:
    """Whether it holds integers, with or without a sign."""
    return bool(tensor.dtype.is_integer)


def to_numpy(tensor: Any) -> np.ndarray:
    """Its values, wherever they lie."""
    return np.asarray(tensor)


def with_axes(given: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """A shape that has as many axes as another: of length 1 at the end, where there are fewer."""
    missing = tf.maximum(tf.size(shape) - tf.size(given), 0)
    return tf.concat([given, tf.ones([missing], tf.int32)], axis=0)[: tf.size(shape)]


def same_shape(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Whether two tensors have one shape."""
    return tf.reduce_all(tf.equal(tf.shape(first), tf.shape(second)))


def checked(condition: tf.Tensor, text: str, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """The tensors, if the condition holds; else InvalidArgumentError in the speaker's name, but under XLA nothing."""
    return after(require(condition, text), tensors)


def traced(function: Any) -> Any:
    """The function, for many batches."""
    return tf.function(function, reduce_retracing=True)
