"""Arrays as Keras takes them, for `tf.data`."""

from typing import Any

import tensorflow as tf


def several(arrays: Any, model: Any, ends: str) -> Any:
    """A list of arrays as a tuple, where the model has as many inputs or outputs; `tf.data` would stack a list."""
    count = len(tf.nest.flatten(getattr(model, ends, None) or []))
    return tuple(arrays) if isinstance(arrays, list) and len(arrays) == count > 1 else arrays
