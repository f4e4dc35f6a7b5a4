"""Keras models of another back end, asked from within TensorFlow: on the host, as solvers are, without gradients."""

import contextlib
import functools
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import ON_TENSORFLOW
from kmix_tf._graph import at_least_float32, is_for_xla
from kmix_tf.backends.arrays import to_numpy

# Each registered callee of a host call stays for good. So there is one, which finds models by a number.
_ASKED: weakref.WeakValueDictionary[int, "_Asked"] = weakref.WeakValueDictionary()
_OF_MODEL: weakref.WeakKeyDictionary[Any, dict[str, "_Asked"]] = weakref.WeakKeyDictionary()
_NUMBERS = itertools.count()


def is_asked_on_host(function: Any) -> bool:
    """Whether it is a Keras model or layer whose back end is not TensorFlow."""
    return not ON_TENSORFLOW and isinstance(function, keras.layers.Layer)


def require_gradients_in_tensorflow(model: Any) -> None:
    """Refuses a model whose gradients are to be taken within TensorFlow, on another back end.

    Raises:
        RuntimeError: naming what will do.
    """
    if not ON_TENSORFLOW:
        raise _checks.problem(
            "gradients of a model are taken in TensorFlow. Received: "
            f"model={model.name!r}, on the back end {keras.backend.backend()!r}. Give no model: "
            "SpectralResidualSaliency() needs none, and FeatureSaliency(model) no gradients. Or a callable of "
            "TensorFlow ops, saliency=(features, targets) -> (batch, *axes); or what you computed before, "
            "layer(x, y, saliency=...).",
            RuntimeError,
        )


def ask_model(model: Any, x: Any, role: str = "embedding") -> Any:
    """What a Keras model says of tensors, as in inference, with the weights that it has when the batch comes.

    Args:
        model: a Keras model or layer, of any back end.
        x: a tensor `(batch, ...)` or a structure of them, as the model takes it.
        role: what it is to the mix, in errors.

    Returns:
        Tensors as the model gives them, bfloat16 as float32.

    Raises:
        ValueError: under XLA, which cannot call the host. InvalidArgumentError or UnknownError: on the batch, while
            `fit` on JAX has the model's weights.
    """
    if not is_asked_on_host(model):
        return model(x, training=False)
    if is_for_xla():
        raise _checks.problem(
            f"XLA cannot compile what calls back to the host, as a Keras model on {keras.backend.backend()!r} does. "
            f"Received: {role}={model.name!r} and jit_compile=True. Leave jit_compile out, or ask it before."
        )
    # NumPy's bfloat16 is not everybody's.
    x = tf.nest.map_structure(lambda leaf: at_least_float32(leaf) if leaf.dtype == tf.bfloat16 else leaf, x)
    with tf.init_scope():  # In a graph, layers of Keras that know of tf.data would work on it.
        spec = _spec_of_answer(model, x)
    leaves = tf.nest.flatten(spec)
    asked = _asked(model, x)
    answers = tf.numpy_function(
        _answer, [asked.number, *tf.nest.flatten(x)], [_dtype(leaf) for leaf in leaves], stateful=False
    )
    answers = answers if isinstance(answers, list) else [answers]  # Eagerly, one comes without a list.
    for answer, leaf in zip(answers, leaves, strict=True):
        answer.set_shape(leaf.shape)
    return tf.nest.pack_sequence_as(spec, answers)


def _spec_of_answer(model: Any, x: Any) -> Any:
    inputs = tf.nest.map_structure(lambda leaf: keras.KerasTensor([None, *leaf.shape[1:]], leaf.dtype.name), x)
    # The first call of a model that has no weights yet makes them.
    return model.compute_output_spec(inputs, training=False) if model.built else model(inputs, training=False)


def _dtype(spec: Any) -> tf.DType:
    return tf.float32 if spec.dtype == "bfloat16" else tf.as_dtype(spec.dtype)


class _Asked:
    """A model and the structure that it takes, known by a number."""

    def __init__(self, model: Any, structure: Any):
        self.number, self.structure = next(_NUMBERS), structure
        self.model = weakref.ref(model)  # Which holds this.
        self.run = _compiled(self.model) if keras.backend.backend() == "jax" else _plain(self.model)


def _asked(model: Any, x: Any) -> _Asked:
    structure = tf.nest.map_structure(lambda _: 0, x)
    of_model = _OF_MODEL.setdefault(model, {})
    asked = of_model.setdefault(repr(structure), _Asked(model, structure))
    _ASKED[asked.number] = asked
    return asked


def _answer(number: np.ndarray, *leaves: np.ndarray) -> list[np.ndarray]:
    """NumPy in, NumPy out."""
    asked = _ASKED[int(number)]
    answer = asked.run(tf.nest.pack_sequence_as(asked.structure, leaves))
    values = [to_numpy(leaf) for leaf in tf.nest.flatten(answer)]
    return [value.astype(np.float32) if value.dtype.name == "bfloat16" else value for value in values]


def _plain(model: Callable[[], Any]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        with _no_gradients():
            return model()(tf.nest.map_structure(keras.ops.convert_to_tensor, x), training=False)

    return run


def _no_gradients() -> Any:
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def _compiled(model: Callable[[], Any]) -> Callable[[Any], Any]:
    """A pure function, compiled for each shape: batches come from several threads, and op by op JAX is slow."""
    import jax

    @jax.jit
    def run(trainable: Any, others: Any, x: Any) -> Any:
        return model().stateless_call(trainable, others, x, training=False)[0]

    @functools.wraps(run)
    def ask(x: Any) -> Any:
        return run(*_weights(model()), x)

    return ask


def _weights(model: Any) -> tuple[list[Any], list[Any]]:
    """A model's weights, trainable and others. `fit` on JAX takes them away, and Keras would give new ones."""
    if any(getattr(variable, "_value", 0) is None for variable in model.variables):
        raise ValueError(
            "a model that a mix asks, as embedding or for saliency, must be another than the one in fit, whose "
            f"weights are not in it while JAX trains them. Received: {model.name!r}, in fit itself or in part. "
            "Before fit, make a copy: keras.models.clone_model(model), and set_weights."
        )
    trainable, others = model.trainable_variables, model.non_trainable_variables
    return [variable.value for variable in trainable], [variable.value for variable in others]
