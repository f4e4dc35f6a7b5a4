"""Keras on another back end than TensorFlow: its arrays, and its models, in mixes that are written in TensorFlow."""

from kmix_tf.backends.arrays import of_any_back_end, to_tensorflow
from kmix_tf.backends.models import ask_model, is_asked_on_host

__all__ = ["ask_model", "is_asked_on_host", "of_any_back_end", "to_tensorflow"]
