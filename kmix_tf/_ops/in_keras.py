"""`keras.ops` on JAX and PyTorch, and what else they need: neither has float64 on every device.

Values can be looked at where they are known: by hand, and in PyTorch in training, too. Within what is compiled, and
where Keras tries a model on made-up numbers, what is wrong must become NaN, as under XLA.
"""

import functools
import importlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import in_stateless_scope

WIDE = "float32"
# PyTorch tells wrong shapes by the last two. InvalidArgumentError is for losses written with TensorFlow.
WRONG_SHAPES: tuple[type[Exception], ...] = (
    ValueError, TypeError, tf.errors.InvalidArgumentError, RuntimeError, IndexError,
)  # fmt: skip
# Over how many places a sum in segments is spread, for each of them rounds each time something is added to it.
_LANES = 256


absolute = keras.ops.absolute
all = keras.ops.all
any = keras.ops.any
argmax = keras.ops.argmax
broadcast_to = keras.ops.broadcast_to
cast = keras.ops.cast
clip = keras.ops.clip
concatenate = keras.ops.concatenate
cumsum = keras.ops.cumsum
divide_no_nan = keras.ops.divide_no_nan
equal = keras.ops.equal
floor = keras.ops.floor
isfinite = keras.ops.isfinite
log = keras.ops.log
log_softmax = keras.ops.log_softmax
logsumexp = keras.ops.logsumexp
max = keras.ops.max
maximum = keras.ops.maximum
min = keras.ops.min
minimum = keras.ops.minimum
ones = keras.ops.ones
ones_like = keras.ops.ones_like
reshape = keras.ops.reshape
shape = keras.ops.shape
sigmoid = keras.ops.sigmoid
softmax = keras.ops.softmax
softplus = keras.ops.softplus
squeeze = keras.ops.squeeze
stack = keras.ops.stack
stop_gradient = keras.ops.stop_gradient
sum = keras.ops.sum
tile = keras.ops.tile
top_k = keras.ops.top_k
where = keras.ops.where
while_loop = keras.ops.while_loop
zeros = keras.ops.zeros
zeros_like = keras.ops.zeros_like


def convert_to_tensor(value: Any, dtype: Any = None) -> Any:
    """A tensor of the back end, of anything that is one elsewhere, too."""
    # Keras knows no tensors of another back end; all of them can be NumPy arrays.
    is_foreign = isinstance(value, (tf.Tensor, tf.Variable))
    return keras.ops.convert_to_tensor(value.numpy() if is_foreign else value, dtype=dtype)


def arange(stop: int, dtype: str) -> Any:
    """The integers from 0 up to `stop`."""
    return keras.ops.arange(stop, dtype=dtype)


def sort(values: Any, axis: int, direction: str) -> Any:
    """Values in order along an axis, "ASCENDING" or "DESCENDING"."""
    ascending = keras.ops.sort(values, axis=axis)
    return keras.ops.flip(ascending, axis=axis) if direction == "DESCENDING" else ascending


def searchsorted(edges: np.ndarray, values: Any) -> Any:
    """For each value, how many of the sorted edges are below it."""
    return keras.ops.searchsorted(convert_to_tensor(edges), values, side="left")


def segment_sum(values: Any, index: Any, segments: int) -> Any:
    """In float32, a sum that is added up one after another stops growing at 2^24, and is rough long before."""
    lane = keras.ops.arange(values.shape[0], dtype="int32") % _LANES
    sums = keras.ops.segment_sum(values, cast(index, "int32") * _LANES + lane, segments * _LANES)
    return sum(reshape(sums, (segments, _LANES)), axis=1)


def take_along_last_axis(values: Any, index: Any) -> Any:
    """Values at places of the last axis."""
    return keras.ops.take_along_axis(values, index, axis=-1)


def dtype_name(tensor: Any) -> str:
    """A dtype as Keras writes it, such as "float32"."""
    # Features of a dataset are TensorFlow's under every back end.
    is_foreign = isinstance(tensor.dtype, tf.DType)
    return str(tensor.dtype.name if is_foreign else keras.backend.standardize_dtype(tensor.dtype))


def is_floating(tensor: Any) -> bool:
    """Whether it holds float numbers."""
    return "float" in dtype_name(tensor)


def is_integer(tensor: Any) -> bool:
    """Whether it holds integers, with or without a sign."""
    return "int" in dtype_name(tensor)


def at_least_float32(tensor: Any) -> Any:
    """Half precision as float32; wider floats as they are."""
    return tensor if dtype_name(tensor) == "float64" else cast(tensor, "float32")


def to_numpy(tensor: Any) -> np.ndarray:
    """Its values, wherever they lie."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def with_axes(given: tuple, shape: tuple) -> tuple:
    """A shape that has as many axes as another: of length 1 at the end, where there are fewer."""
    return (*given, *[1] * len(shape))[: len(shape)]


def same_shape(first: Any, second: Any) -> bool:
    """Whether two tensors have one shape."""
    return tuple(first.shape) == tuple(second.shape)


def checked(condition: Any, text: str, tensors: list) -> list:
    """The tensors, if the condition holds or cannot be known; else ValueError in the speaker's name."""
    if _is_known(condition) and not bool(condition):
        raise _checks.problem(text)
    return tensors


def _is_known(condition: Any) -> bool:
    if isinstance(condition, bool):
        return True
    if in_stateless_scope():
        return False
    if keras.backend.backend() == "jax":
        return not isinstance(condition, importlib.import_module("jax").core.Tracer)
    if keras.backend.backend() == "torch":
        return not importlib.import_module("torch").compiler.is_compiling()
    return True


def traced(function: Any) -> Any:
    """The function without gradients, which PyTorch would keep what it needs for."""
    if keras.backend.backend() != "torch":
        return function
    torch = importlib.import_module("torch")

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        with torch.no_grad():
            return function(*args)

    return call
