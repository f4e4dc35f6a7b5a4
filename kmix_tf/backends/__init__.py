"""Keras on another back end than TensorFlow: its arrays, and its models, in mixes that are written in TensorFlow."""

from kmix_tf.backends.arrays import of_any_back_end, to_tensorflow, values_of
from kmix_tf.backends.models import ask_model, is_asked_on_host, require_gradients_in_tensorflow

__all__ = [
    "ask_model",
    "is_asked_on_host",
    "of_any_back_end",
    "require_gradients_in_tensorflow",
    "to_tensorflow",
    "values_of",
]
