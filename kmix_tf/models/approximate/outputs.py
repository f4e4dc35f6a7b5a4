"""One output of a model, or several in a dictionary or a list: targets, weights and losses in their order."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import at_least_float32
from kmix_tf._paths import leaf_name


class Outputs:
    """The names of a model's outputs: a word for each of a dictionary, a number for each of a list, or none of one.

    Args:
        keys: as `get_config` gives them: None for one tensor, a list of words, or how many there are in a list.
        layers: names that Keras knows the outputs of a list by, too.
    """

    def __init__(self, keys: list[str] | int | None, layers: Sequence[str] = ()):
        self._keys = keys
        self._layers = tuple(layers)

    @classmethod
    def of(cls, answer: Any, model: Any) -> "Outputs":
        """Those of a model that answers so.

        Raises:
            ValueError: for structures within structures.
        """
        parts = list(answer.values() if isinstance(answer, Mapping) else answer) if tf.nest.is_nested(answer) else []
        if any(tf.nest.is_nested(part) for part in parts):
            raise _checks.problem(
                "the model must have one output, or a dictionary or a list of them. "
                f"Received: {tf.nest.map_structure(lambda leaf: leaf.shape, answer)}."
            )
        if isinstance(answer, Mapping):
            return cls(sorted(answer))
        return cls(len(parts), getattr(model, "output_names", None) or ()) if parts else cls(None)

    @property
    def count(self) -> int:
        return 1 if self._keys is None else len(self._words)

    @property
    def names(self) -> list[str]:
        """As messages have them."""
        return ["the output"] if self._keys is None else [leaf_name("output", (word,)) for word in self._words]

    @property
    def _words(self) -> list[Any]:
        return list(range(self._keys)) if isinstance(self._keys, int) else list(self._keys or ())

    def get_config(self) -> Any:
        return self._keys

    def each(self, name: str, given: Any, shared: bool = False) -> list[Any]:
        """What is given for each output, in the order of `tf.nest.flatten`.

        Args:
            name: the argument's, for messages. shared: whether what is given once is for all of them.

        Raises:
            ValueError: if others are given than there are.
        """
        if self._keys is None:
            return [self._only(name, given)]
        if shared and not isinstance(given, (Mapping, list, tuple)):
            return [given] * self.count
        if isinstance(given, Mapping):
            for words in (self._words, self._layers):
                if set(given) == set(words):
                    return [given[word] for word in words]
        if isinstance(self._keys, int) and isinstance(given, (list, tuple)) and len(given) == self.count:
            return list(given)
        return _checks.refuse(name, f"one for each of the model's outputs, {self._expected()}", _shown(given))

    def _only(self, name: str, given: Any) -> Any:
        """Keras takes what is meant for one output in a list or dictionary of one, too."""
        if isinstance(given, Mapping) and len(given) != 1:
            _checks.refuse(name, "one for the model's one output", _shown(given))
        parts = list(given.values()) if isinstance(given, Mapping) else given
        return parts[0] if isinstance(parts, (list, tuple)) and len(parts) == 1 else given

    def by_place(self, given: Any) -> Any:
        """What is given by the names of layers, as Keras takes it for a list of outputs; all else as it is.

        Keras knows these names of the model within, and not of what wraps it.
        """
        if isinstance(self._keys, int) and isinstance(given, Mapping) and set(given) <= set(self._layers):
            return [given.get(word) for word in self._layers]
        return given

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Leaves in the order of `tf.nest.flatten`, as Keras takes them beside the model's answers."""
        if self._keys is None:
            return leaves[0]
        return list(leaves) if isinstance(self._keys, int) else dict(zip(self._words, leaves, strict=True))

    def called(self, losses: Sequence[Any]) -> list[Any]:
        """Losses, each with the name of its output, by which Keras logs those of a list."""
        if self.count == 1:
            return list(losses)
        words = self._layers if len(self._layers) == self.count else [f"output_{word}" for word in self._words]
        named = zip(losses, words, strict=True)
        return [type(loss).from_config({**loss.get_config(), "name": str(word)}) for loss, word in named]

    def _expected(self) -> str:
        if isinstance(self._keys, int):
            return f"a list of {self.count}"
        return "a dictionary with " + ", ".join(map(repr, self._words))


def _shown(given: Any) -> Any:
    """The words or the number of what is given: its arrays would bury the message."""
    if isinstance(given, Mapping):
        return sorted(map(str, given))
    return f"{type(given).__name__} of {len(given)}" if isinstance(given, (list, tuple)) else given


def outputs_of(model: Any) -> Outputs | None:
    """The outputs of a Functional or Sequential model; None of a model that must be asked."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None
    answers_one = isinstance(model, keras.Sequential) or (len(outputs) == 1 and not isinstance(model.output, Mapping))
    return Outputs.of(outputs[0] if answers_one else model.output, model)


def side_by_side(answer: Any) -> tf.Tensor:
    """All outputs in one tensor `(batch, outputs)`, in float32 or wider."""
    leaves = [at_least_float32(leaf) for leaf in tf.nest.flatten(answer)]
    dtype = max((leaf.dtype for leaf in leaves), key=lambda dtype: dtype.size)
    return tf.concat([tf.cast(leaf, dtype) for leaf in leaves], axis=-1)


def apart(values: tf.Tensor, answer: Any) -> Any:
    """What was side by side, `(..., outputs)`, in the structure of the answer."""
    sizes = [leaf.shape[-1] for leaf in tf.nest.flatten(answer)]
    return tf.nest.pack_sequence_as(answer, tf.split(values, sizes, axis=-1))
