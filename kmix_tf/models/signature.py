"""What a model's features look like, remembered across saving and turned into an export's signature."""

from typing import Any

import tensorflow as tf


class FeatureSignature:
    """Dtypes and shapes, without the batch axis, of nested features.

    A class of its own, because Keras 2 wraps the dictionaries that are set on a model, and then fails on them.
    """

    def __init__(self, structure: Any):
        self._structure = structure  # each leaf a string such as "float32:8,8,1", which JSON keeps as it is

    @classmethod
    def of(cls, element_spec: Any) -> "FeatureSignature":
        """The signature of batches with the given tensor specs."""
        return cls(tf.nest.map_structure(_leaf_text, element_spec))

    def tensor_specs(self) -> Any:
        """Named specs of batches of any size: `x`; `x_0`, `x_1`, ... of several; the keys of a dictionary."""
        names = iter(self._names())
        return tf.nest.map_structure(lambda leaf: _leaf_spec(leaf, next(names)), self._structure)

    def get_config(self) -> Any:
        return self._structure

    def _names(self) -> list[str]:
        if isinstance(self._structure, dict):
            return [str(key) for key in sorted(self._structure)]
        count = len(tf.nest.flatten(self._structure))
        return ["x"] if count == 1 else [f"x_{i}" for i in range(count)]


def _leaf_text(spec: tf.TensorSpec) -> str:
    return f"{spec.dtype.name}:{','.join(map(str, spec.shape[1:]))}"


def _leaf_spec(text: str, name: str) -> tf.TensorSpec:
    dtype, _, shape = text.partition(":")
    sizes = [None if size == "None" else int(size) for size in shape.split(",") if size]
    return tf.TensorSpec([None, *sizes], dtype, name=name)
