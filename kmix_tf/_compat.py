"""The few places where Keras 2 and Keras 3 differ. Everything else is shared."""

import functools
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks

IS_KERAS_3 = int(keras.__version__.split(".")[0]) >= 3

register = keras.saving.register_keras_serializable(package="kmix_tf")


def require_tensorflow_backend() -> None:
    """Raises RuntimeError when Keras 3 runs on another backend than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise _checks.problem(
            f"kmix_tf needs Keras on the TensorFlow backend. Received: "
            f"KERAS_BACKEND={keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow before importing keras.",
            RuntimeError,
        )


def in_inference_of_a_model() -> bool:
    """Whether a layer is being called by another one, that has not been told whether it trains.

    Keras tells layers nothing then, in a model called by hand and in `model.export`, and they infer. It has no public
    name for the call that is going on.
    """
    if IS_KERAS_3:
        from keras.src.backend.common import global_state

        context = global_state.get_global_attribute("current_call_ctx")
        return context is not None and context.training is None
    from keras.src.engine import base_layer_utils

    context = base_layer_utils.call_context()
    return bool(context.in_call) and context.training is None


def is_symbolic(structure: Any) -> bool:
    """Whether it holds a tensor of a functional model that is being made."""
    return any(type(leaf).__name__ == "KerasTensor" for leaf in tf.nest.flatten(structure))


def in_stateless_scope() -> bool:
    """Whether variables that are assigned are not: Keras 3 so tries metrics on symbolic batches."""
    if not IS_KERAS_3:
        return False
    from keras.src.backend.common.stateless_scope import in_stateless_scope as is_in_one

    return bool(is_in_one())


def mask_of(tensor: Any) -> Any:
    """The mask that Keras keeps with a tensor, or None."""
    if not IS_KERAS_3:
        return getattr(tensor, "_keras_mask", None)
    from keras.src.backend import get_keras_mask

    return get_keras_mask(tensor)


def set_mask(tensor: Any, mask: Any) -> None:
    """Has Keras keep a mask with a tensor, which its losses and metrics go by."""
    if IS_KERAS_3:
        from keras.src.backend import set_keras_mask

        set_keras_mask(tensor, mask)
    else:
        tensor._keras_mask = mask


def differs_anywhere(values: Any, value: float) -> Any:
    """Whether anything along the last axis is not some number, on any back end."""
    if IS_KERAS_3:
        return keras.ops.any(keras.ops.not_equal(values, value), axis=-1)
    values = values if values.dtype.is_floating else tf.cast(values, tf.float32)
    return tf.reduce_any(tf.not_equal(values, tf.cast(value, values.dtype)), axis=-1)


def where(condition: Any, first: Any, second: Any) -> Any:
    """Elements of the first where a condition holds, else of the second in its dtype; on any back end."""
    if IS_KERAS_3:
        return keras.ops.where(condition, first, keras.ops.cast(second, first.dtype))
    return tf.where(condition, first, tf.cast(second, first.dtype))


def export_formats() -> list[str]:
    """The formats that `keras.Model.export` knows, whatever their packages and back ends."""
    if not IS_KERAS_3:
        return ["tf_saved_model"]
    from keras.src import export

    names = [name.removeprefix("export_") for name in dir(export) if name.startswith("export_")]
    others = [name for name in names if callable(getattr(export, f"export_{name}")) and name != "saved_model"]
    return ["tf_saved_model", *others]


def write_archive(model: Any, path: str, signature: Any, verbose: bool, options: dict[str, Any]) -> None:
    """Writes a SavedModel with one endpoint, `serve`, which calls the model for inference.

    Args:
        signature: a list of what it takes. options: of `ExportArchive.write_out`.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    serve = functools.partial(model.__call__, training=False)
    archive.add_endpoint("serve", lambda x: serve(x), input_signature=signature)
    # Keras 2 prints the endpoints and takes no word against it.
    archive.write_out(path, **({"verbose": verbose} if IS_KERAS_3 else {}), **options)
