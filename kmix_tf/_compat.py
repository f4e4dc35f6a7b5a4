"""The few places where Keras 2 and Keras 3 differ. Everything else is shared."""

import functools
import inspect
from typing import Any

import keras
import tensorflow as tf

IS_KERAS_3 = int(keras.__version__.split(".")[0]) >= 3

# Whether Keras computes in TensorFlow. Its back end is chosen before it is imported, and stays.
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"

register = keras.saving.register_keras_serializable(package="kmix_tf")

# Gives what Keras knows of the call of a layer or model that is going on, for which there is no public name. Its
# `training` is None if the call was not told; Keras 2 has `in_call` besides. None, if there is no such call.
if IS_KERAS_3:
    from keras.src.backend.common import global_state

    call_context: Any = functools.partial(global_state.get_global_attribute, "current_call_ctx")
else:
    from keras.src.engine import base_layer_utils

    call_context = base_layer_utils.call_context


def in_tensorflow_graph() -> bool:
    """Whether tensors of a TensorFlow graph are wanted, as in a map; also where Keras says so of eager ones."""
    if not tf.executing_eagerly():
        return True
    return IS_KERAS_3 and bool(global_state.get_global_attribute("in_tf_graph_scope", False))


def in_stateless_scope() -> bool:
    """Whether variables that are assigned are not: Keras 3 so tries metrics on symbolic batches."""
    if not IS_KERAS_3:
        return False
    from keras.src.backend.common.stateless_scope import in_stateless_scope as is_in_one

    return bool(is_in_one())


try:  # Not in Keras 2, nor in 3.5.
    from keras.src.backend import get_keras_mask, set_keras_mask
except ImportError:
    get_keras_mask = set_keras_mask = None


def mask_of(tensor: Any) -> Any:
    """The mask that Keras keeps with a tensor, or None."""
    return get_keras_mask(tensor) if get_keras_mask else getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Has Keras keep a mask with a tensor, which its losses and metrics go by."""
    if set_keras_mask:
        set_keras_mask(tensor, mask)
    else:
        tensor._keras_mask = mask


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
    # Keras 2 and 3.5 print the endpoints and take no word against it.
    knows = inspect.signature(archive.write_out).parameters
    archive.write_out(path, **({"verbose": verbose} if "verbose" in knows else {}), **options)


def without_mask_of_its_own(model: Any) -> Any:
    """A functional model that takes masks and hands on those of its layers alone. Keras 3 else warns that it would
    destroy the mask of its input, and layers within it take no notice of that."""
    if IS_KERAS_3:
        model.supports_masking = True
        model.compute_mask = lambda inputs, previous_mask: None
    return model
