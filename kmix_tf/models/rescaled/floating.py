"""Models of integer inputs, asked in floats: shrunk features would be cut off to integers on their way in."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kmix_tf.models.rescaled.inputs import require_floating


class Asked:
    """What answers for a model: itself, or the same layers on floating inputs.

    A class of its own: Keras would take the layers for more of the wrapping model's.
    """

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        return self.model(x, training=training)


def in_floats(model: Any, specs: Any, averaged: Sequence[bool]) -> Asked:
    """What to ask instead of a model, so that its integer inputs that are averaged, and those that follow of models
    within it, come as floats.

    Layers and weights are shared, and the model stays as it is.

    Args:
        model: a functional or Sequential model that knows its inputs. specs: of these. averaged: for each, whether it
            is.

    Raises:
        ValueError: naming the remedy, where the layers cannot be put on other inputs.
    """
    are_floats = [
        use and not spec.dtype.is_floating for spec, use in zip(tf.nest.flatten(specs), averaged, strict=True)
    ]
    if not any(are_floats) and not any(_are_cut(layer) for layer in _models_within(model)):
        return Asked(model)
    try:
        with _nodes_kept(model):
            asked = _rewired(model, are_floats)
    except Exception as error:  # Whatever a layer of others may raise on floats, or Keras on a model it cannot clone.
        try:
            require_floating(specs, averaged)
        except ValueError as refusal:
            raise refusal from error
        return Asked(model)
    return Asked(asked)


def _rewired(model: Any, are_floats: Sequence[bool]) -> Any:
    """The layers of a model on inputs of which some are floats instead of integers."""
    inputs = [
        keras.Input(tuple(tensor.shape)[1:], dtype="float32" if use else tensor.dtype, name=_name(tensor))
        for tensor, use in zip(tf.nest.flatten(model.inputs), are_floats, strict=True)
    ]
    whole = inputs[0] if isinstance(model, keras.Sequential) else tf.nest.pack_sequence_as(model.input, inputs)
    # A model within, of which the inputs are fed by inputs that have become floats, follows.
    changed = [tensor for tensor, use in zip(tf.nest.flatten(model.inputs), are_floats, strict=True) if use]

    def layer_of(layer: Any) -> Any:
        follows = _inputs_cut(layer, changed)
        return _rewired(layer, follows) if any(follows) else layer

    return keras.models.clone_model(model, input_tensors=whole, clone_function=layer_of)


def _inputs_cut(layer: Any, changed: Sequence[Any] = ()) -> list[bool]:
    """For each input of a model within, whether it would cut off the floats that it is fed: all false of a layer."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return []
    inputs = tf.nest.flatten(layer.inputs)
    cut = [False] * len(inputs)
    for node in layer._inbound_nodes:
        for at, (fed, own) in enumerate(zip(tf.nest.flatten(node.input_tensors), inputs, strict=False)):
            is_float = _is_floating(fed) or any(fed is each for each in changed)
            cut[at] |= fed is not own and is_float and not _is_floating(own)
    return cut


def _are_cut(model: Any) -> bool:
    return any(_inputs_cut(model)) or any(_are_cut(layer) for layer in _models_within(model))


def _models_within(model: Any) -> list[Any]:
    return [layer for layer in getattr(model, "layers", ()) if isinstance(layer, keras.Model)]


def _is_floating(tensor: Any) -> bool:
    return bool(tf.as_dtype(tensor.dtype).is_floating)


def _name(tensor: Any) -> str:
    return str(tensor.name).partition(":")[0]


@contextlib.contextmanager
def _nodes_kept(model: Any) -> Iterator[None]:
    """Within it layers may be called anew; afterwards they know of none of these calls, and `layer.output` is one."""
    layers = list(model._flatten_layers())
    counts = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers]
    try:
        yield
    finally:
        for layer, (inbound, outbound) in zip(layers, counts, strict=True):
            del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]
