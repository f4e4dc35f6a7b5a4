"""The operations of losses, metrics and rescaled prediction on whatever back end Keras runs.

They go by the names and arguments of `keras.ops`, which Keras 2 has not: see `in_tensorflow` and `in_keras`. The data
stage needs none of it, for `tf.data` is TensorFlow under every back end.
"""

from typing import Any

import tensorflow as tf

from kmix_tf._compat import ON_TENSORFLOW
from kmix_tf._ops import in_tensorflow

# A tensor of the back end's, or of TensorFlow's.
Tensor = Any

ops: Any = in_tensorflow
if not ON_TENSORFLOW:
    from kmix_tf._ops import in_keras

    ops = in_keras


def ops_for(*tensors: Any) -> Any:
    """The operations for these tensors: TensorFlow's for its own, and while one of its graphs is being made."""
    is_its_own = any(isinstance(tensor, (tf.Tensor, tf.Variable)) for tensor in tensors)
    return in_tensorflow if is_its_own or not tf.executing_eagerly() else ops


def dims(tensor: Any) -> tuple[int | None, ...] | None:
    """A tensor's shape as a tuple, None for what is open; None if not even the rank is known."""
    shape = tensor.shape
    if isinstance(shape, tf.TensorShape) and shape.rank is None:
        return None
    return tuple(size if isinstance(size, int) else None for size in shape)


def may_be(shape: tuple[int | None, ...] | None, other: tuple[int | None, ...] | None) -> bool:
    """Whether two shapes may be the same, as far as they are known."""
    if shape is None or other is None:
        return True
    return len(shape) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, other, strict=True)
    )
