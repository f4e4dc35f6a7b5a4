"""What needs TensorFlow under Keras: steps and losses made of its graphs and derivatives, and some exports."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks

IN_THE_DATA_STAGE = "Fit the model itself on dataset.apply(kmix_tf.mix(layer, seed=...))"


def require_tensorflow(why: str, instead: str) -> None:
    """Refuses another back end.

    Args:
        why: what the model needs TensorFlow for. instead: what does as well, or nearly so, on the others.

    Raises:
        RuntimeError: saying both.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise _checks.problem(
            f"Keras must run on TensorFlow, for {why}. Received: KERAS_BACKEND={backend!r}. {instead}. "
            "RescaledModel, the loss and the metrics run on every back end. To have this model all the same, set "
            "KERAS_BACKEND=tensorflow before Keras is imported; the model within can be saved as .keras and "
            "loaded on any.",
            RuntimeError,
        )


def require_saved_models() -> None:
    """Refuses PyTorch, for Keras makes no SavedModel of a call there.

    Raises:
        RuntimeError: saying what to do.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise _checks.problem(
            f"format='tf_saved_model' needs Keras on TensorFlow or JAX. Received: KERAS_BACKEND={backend!r}. Save "
            "the model as .keras, then load and export it in a process with KERAS_BACKEND=tensorflow.",
            RuntimeError,
        )


def input_specs_for_export(signature: Any) -> Any:
    """`tf.TensorSpec`s as the exports of Keras' other back ends read them."""
    if keras.backend.backend() == "tensorflow":
        return signature
    return tf.nest.map_structure(
        lambda spec: keras.InputSpec(dtype=spec.dtype.name, shape=tuple(spec.shape), name=spec.name), signature
    )
