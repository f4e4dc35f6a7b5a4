"""What a model's features look like, remembered across saving and turned into an export's signature."""

import collections
import re
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._paths import leaf_paths
from kmix_tf.models.rescaled.places import Shape, opened


class FeatureSignature:
    """Dtypes and shapes, without the batch axis, of nested features, or of outputs.

    A class of its own, because Keras 2 wraps the dictionaries that are set on a model, and then fails on them.
    """

    def __init__(self, structure: Any):
        self._structure = structure  # each leaf a string such as "float32:8,8,1", which JSON keeps as it is

    @classmethod
    def of(cls, specs: Any) -> "FeatureSignature":
        """The signature of batches with the given tensor specs, or of given batches."""
        return cls(tf.nest.map_structure(_leaf_text, specs))

    @property
    def structure(self) -> Any:
        """The structure; its leaves are strings."""
        return self._structure

    def tensor_specs(self) -> Any:
        """Named specs of batches of any size: `x`; `x_0`, `x_1`, ... of several; the keys of a dictionary.

        In deeper structures, keys and positions are joined by "_".
        """
        names = iter(self.names("x"))
        return tf.nest.map_structure(lambda leaf: _leaf_spec(leaf, next(names)), self._structure)

    def names(self, alone: str) -> list[str]:
        """The names of leaves in an export, in `tf.nest.flatten` order, all different; of a single one, `alone`."""
        names = [_name(path, alone) for path, _ in leaf_paths(self._structure)]
        counts = collections.Counter(names)
        return [name if counts[name] == 1 else f"{name}_{i}" for i, name in enumerate(names)]

    def opened(self, shapes: Sequence[Shape]) -> "FeatureSignature":
        """The same, open wherever shapes of its leaves differ from these."""
        leaves = zip(self.dtypes(), self.shapes(), shapes, strict=True)
        texts = [_text(dtype.name, opened(ours, theirs)) for dtype, ours, theirs in leaves]
        return FeatureSignature(tf.nest.pack_sequence_as(self._structure, texts))

    def dtypes(self) -> list[tf.DType]:
        return [tf.as_dtype(leaf.partition(":")[0]) for leaf in tf.nest.flatten(self._structure)]

    def shapes(self) -> list[tuple]:
        return [tuple(_leaf_spec(leaf, None).shape[1:]) for leaf in tf.nest.flatten(self._structure)]

    def get_config(self) -> Any:
        return self._structure


def _name(path: tuple, alone: str) -> str:
    parts = path if path and isinstance(path[0], str) else (alone, *path)
    return re.sub(r"\W", "_", "_".join(map(str, parts)))


def _leaf_text(spec: Any) -> str:
    return _text(spec.dtype.name, spec.shape[1:])


def _text(dtype: str, shape: Iterable[int | None]) -> str:
    return f"{dtype}:{','.join(map(str, shape))}"


def _leaf_spec(text: str, name: str | None) -> tf.TensorSpec:
    dtype, _, shape = text.partition(":")
    sizes = [None if size == "None" else int(size) for size in shape.split(",") if size]
    return tf.TensorSpec([None, *sizes], dtype, name=name)
