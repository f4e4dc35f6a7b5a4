"""Arrays of Keras' back end, on their way into a mix, which is written in TensorFlow, and out of it."""

import contextvars
import functools
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import ON_TENSORFLOW, in_tensorflow_graph

# Whether a call is going on already: what it calls in its turn stays in TensorFlow.
_is_within: contextvars.ContextVar[bool] = contextvars.ContextVar("kmix_tf_is_within", default=False)


def of_any_back_end(method: Callable) -> Callable:
    """Makes a method that is written in TensorFlow take the arrays of Keras' back end, and give such.

    As with Keras' own layers: by hand, whatever comes in, arrays of the back end come out; in a graph of
    TensorFlow's, such as a map, its tensors. On the TensorFlow back end this is the method itself, and costs nothing.
    """
    return method if ON_TENSORFLOW else _wrapped(method)


def _wrapped(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_within.get():
            return method(self, *args, **kwargs)
        before = _is_within.set(True)
        try:
            with _checks.speaking_as(self):
                args, kwargs = to_tensorflow((args, kwargs))
                result = _in_tensorflow(functools.partial(method, self, *args, **kwargs))
                return result if in_tensorflow_graph() else _to_back_end(result)
        finally:
            _is_within.reset(before)

    if _name() == "torch":
        import torch

        call = torch.compiler.disable(call)  # It could not follow, and need not.
    return tf.autograph.experimental.do_not_convert(call)


def _in_tensorflow(call: Callable[[], Any]) -> Any:
    """The call, or a word about what in it was written for another back end."""
    try:
        return call()
    except (NotImplementedError, TypeError) as error:
        if "symbolic" not in str(error) and "not a valid JAX" not in str(error):
            raise
        raise _checks.problem(
            "callables that a mix asks must be made of TensorFlow ops, whatever the back end: in a map they get "
            f"tensors of a TensorFlow graph. Received: one that does otherwise, on the back end {_name()!r}. "
            "keras.ops are not, there. A Keras model may be embedding= itself, without a function round it."
        ) from error


def to_tensorflow(structure: Any) -> Any:
    """A structure, or any Python objects, in which TensorFlow can read all arrays of other libraries.

    Raises:
        ValueError: for what has no values yet, inside a model or a function of JAX's, and for tensors that want a
            gradient, which no mix passes back.
    """
    if _name() == "jax" and not in_tensorflow_graph() and _is_traced(keras.ops.ones(())):
        raise _in_compiled_function()
    return tf.nest.map_structure(_readable, structure)


def values_of(structure: Any) -> Any:
    """`to_tensorflow` of what a callable answered: its values alone, whatever gradients it carries."""
    return tf.nest.map_structure(lambda leaf: to_numpy(leaf) if _is_foreign(leaf) else leaf, structure)


def _is_foreign(leaf: Any) -> bool:
    is_known = isinstance(leaf, (np.ndarray, np.generic)) or tf.is_tensor(leaf)
    return not is_known and hasattr(leaf, "__array__")


def _readable(leaf: Any) -> Any:
    if not _is_foreign(leaf):
        return leaf
    if type(leaf).__name__ == "KerasTensor":
        raise _checks.problem(
            "a layer of the data stage can be part of a model on the TensorFlow back end only. Received: a tensor "
            f"of a model that is being made, on {_name()!r}. Take the layer out of the model, and map it over the "
            "data that the model is trained on: dataset.map(layer)."
        )
    if _is_traced(leaf):
        raise _in_compiled_function()
    if getattr(leaf, "requires_grad", False):
        raise _checks.problem(
            "arrays must not require a gradient: a mix of the data stage passes none back. Received: a tensor of "
            f"shape {tuple(leaf.shape)} with requires_grad=True. Give tensor.detach(), or mix before the model."
        )
    return to_numpy(leaf)


def to_numpy(array: Any) -> np.ndarray:
    """An array of any library, wherever it lies."""
    if not hasattr(array, "detach"):
        return keras.ops.convert_to_numpy(array)
    array = array.detach().cpu()
    if str(array.dtype) == "torch.bfloat16":  # Which NumPy does not know.
        return array.float().numpy().astype(tf.bfloat16.as_numpy_dtype)
    return array.numpy()


def _is_traced(leaf: Any) -> bool:
    """Whether it stands for a value within a function that JAX transforms."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(leaf, jax.core.Tracer)


def _in_compiled_function() -> Exception:
    return _checks.problem(
        "a mix cannot be part of a function that JAX transforms: it runs in TensorFlow, and would be drawn once for "
        "all steps. Received: a call within jax.jit, jax.grad or the like. Mix the batch before the function gets it."
    )


def _to_back_end(structure: Any) -> Any:
    """TensorFlow's tensors as the back end's arrays. Strings and ragged tensors, of which it has none, stay."""
    return tf.nest.map_structure(_array, structure)


def _array(leaf: Any) -> Any:
    is_numeric = isinstance(leaf, tf.Tensor) and (
        leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool
    )
    if not is_numeric:
        return leaf
    value, dtype = leaf.numpy(), _held(leaf.dtype.name)
    if leaf.dtype.is_integer and (value.astype(dtype) != value).any():
        raise _checks.problem(
            f"integers must fit into {dtype}, the widest that JAX holds unless told otherwise. Received: integers "
            f"from {value.min()} to {value.max()}. Call jax.config.update('jax_enable_x64', True), or leave them out."
        )
    return keras.ops.convert_to_tensor(value, dtype=dtype)


def _held(dtype: str) -> str:
    """The dtype that the back end has for it: JAX narrows 64 bits to 32, unless told otherwise."""
    if _name() != "jax":
        return dtype
    import jax

    return jax.dtypes.canonicalize_dtype(dtype).name


def _name() -> str:
    return str(keras.backend.backend())
