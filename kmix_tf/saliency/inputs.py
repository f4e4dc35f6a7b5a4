"""Features in the structure that a model takes: by name where they have names, as Keras does it."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import leaf_name, leaf_paths


class NamedFeatures(list):
    """A list of feature tensors that remembers where in the batch each of them was.

    Args:
        leaves: tensors `(batch, ...)`.
        paths: for each, the keys and positions that lead to it, as `leaf_paths` gives them.

    Example:
        >>> features = NamedFeatures([tf.zeros([2, 3]), tf.ones([2, 1])], [("image",), ("table",)])
        >>> len(features), features.paths
        (2, [('image',), ('table',)])
    """

    def __init__(self, leaves: Sequence[tf.Tensor], paths: Sequence[tuple]):
        super().__init__(leaves)
        self.paths = list(paths)


def as_taken(model: keras.Model, features: Sequence[tf.Tensor], paths: Sequence[tuple] | None) -> Any:
    """Features in the structure that a model takes.

    Args:
        features: of these, several with keys go by name to a functional model's inputs; others, by position.
        paths: where in the batch they were, or None: unknown, a list in the model's order.

    Raises:
        ValueError: for another number, other sizes, or other names than a functional model's inputs have.
    """
    if not getattr(model, "inputs", None):
        # A list of one would be taken for a tensor of one axis more.
        is_alone = len(features) == 1 and not (paths and paths[0] and isinstance(paths[0][0], str))
        return only(features) if paths is None or is_alone else nested(paths, features)
    _require_as_many(model, features)
    if paths is not None and len(features) > 1 and all(isinstance(key, str) for key, *_ in paths):
        features = _by_name(model, features, paths)
    _require_sizes(model, features)
    return tf.nest.pack_sequence_as(inputs_of(model), features)


def floating(leaf: tf.Tensor) -> tf.Tensor:
    """Integers as float32, as which they are mixed; there are no gradients with respect to them."""
    return leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32)


def only(values: Sequence[tf.Tensor]) -> Any:
    """Models and losses take one tensor as it is, several as a list."""
    return values[0] if len(values) == 1 else list(values)


def nested(paths: Sequence[tuple], leaves: Sequence[Any]) -> Any:
    """Leaves in the mappings and lists that their paths tell of; lists close up where leaves are missing.

    Example:
        >>> nested([("a",), ("b", 0), ("b", 2)], [1, 2, 3])
        {'a': 1, 'b': [2, 3]}
    """
    if not paths[0]:
        return leaves[0]
    parts: dict[Any, tuple[list, list]] = {}
    for (key, *rest), leaf in zip(paths, leaves, strict=True):
        of_key = parts.setdefault(key, ([], []))
        of_key[0].append(tuple(rest))
        of_key[1].append(leaf)
    made = {key: nested(*part) for key, part in parts.items()}
    return made if isinstance(paths[0][0], str) else list(made.values())


def inputs_of(model: keras.Model) -> Any:
    """A functional model's inputs in their structure, which Keras 3 does not know of a Sequential before a call."""
    inputs = getattr(model, "input", None)
    return only(model.inputs) if inputs is None else inputs


def _by_name(model: keras.Model, features: Sequence[tf.Tensor], paths: Sequence[tuple]) -> list[tf.Tensor]:
    """Features in the order of a functional model's inputs: of their keys, or else of their names.

    Leaves of a mapping come sorted by key, whatever the order of the model's list of inputs.
    """
    wanted = [path for path, _ in leaf_paths(inputs_of(model))]
    if not all(path and isinstance(path[0], str) for path in wanted):
        wanted = [(leaf._keras_history[0].name,) for leaf in model.inputs]
    if sorted(wanted) != sorted(paths):
        ours, theirs = ([leaf_name("", path) for path in each] for each in (paths, wanted))
        raise _checks.problem(
            f"features must have the names of the model's inputs. Received: features {', '.join(ours)} for "
            f"model {model.name!r}, whose inputs are {', '.join(theirs)}."
        )
    by_path = dict(zip(paths, features, strict=True))
    return [by_path[path] for path in wanted]


def _require_as_many(model: keras.Model, features: Sequence[tf.Tensor]) -> None:
    if len(model.inputs) != len(features):
        raise _checks.problem(
            f"features must be as many as the model's inputs. Received: {len(features)} features of shapes "
            f"{[str(leaf.shape) for leaf in features]} for model {model.name!r} with {len(model.inputs)} inputs. "
            "Features that only ride along can be named in passthrough=."
        )


def _require_sizes(model: keras.Model, features: Sequence[tf.Tensor]) -> None:
    for leaf, wanted in zip(features, tf.nest.flatten(inputs_of(model)), strict=True):
        # Keras adds or drops a last axis of length 1 itself.
        if leaf.shape.rank == len(wanted.shape) and not leaf.shape[1:].is_compatible_with(wanted.shape[1:]):
            raise _checks.problem(
                f"features must have the sizes that the model takes. Received: features of shape "
                f"{leaf.shape} for model {model.name!r}, which takes {tuple(wanted.shape)}."
            )
