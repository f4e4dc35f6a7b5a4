"""Models that need TensorFlow: their steps and losses are made of its graphs and derivatives."""

import keras

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
            "KERAS_BACKEND=tensorflow before Keras is imported; what it has trained can be saved as .keras and "
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
            f"format='tf_saved_model' needs Keras on TensorFlow or JAX. Received: KERAS_BACKEND={backend!r}. Save the "
            "model as .keras, and in a process with KERAS_BACKEND=tensorflow load and export it; or export it with "
            "format='torch' to a name ending in .pt2.",
            RuntimeError,
        )
