"""How a model ends, to tell logits from probabilities."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import _checks

SOFTMAX, SIGMOID, LINEAR = "softmax", "sigmoid", "linear"
_FUNCTIONS = {
    SOFTMAX: (keras.activations.softmax, tf.nn.softmax),
    SIGMOID: (keras.activations.sigmoid, tf.nn.sigmoid, tf.math.sigmoid),
    LINEAR: (keras.activations.linear,),
}
# Layers that leave values alone when predicting.
_TRANSPARENT = (keras.layers.Dropout, keras.layers.GaussianNoise, keras.layers.Identity)
# Their activation is not what comes out last.
_INNER = (keras.layers.RNN, keras.layers.Bidirectional)


class Ending(NamedTuple):
    """activation: "softmax" over the last axis, "sigmoid", "linear", or None: it cannot be told. units: or None."""

    activation: str | None
    units: int | None


def are_probabilities(values: np.ndarray) -> bool:
    """Whether values `(..., classes)` are >= 0 and sum to 1, as those of a softmax; of one class nobody can tell."""
    totals = values.sum(axis=-1, dtype=np.float64)
    sums_to_1 = values.shape[-1] > 1 and bool((np.abs(totals - 1) < _checks.SUM_TOLERANCE).all())
    return sums_to_1 and values.min() >= 0


def endings(model: Any) -> list[Ending]:
    """How each output of a Functional or Sequential model ends; [] of a model that cannot be looked into."""
    outputs = getattr(model, "outputs", None)
    if outputs:
        return [_of_tensor(output) for output in tf.nest.flatten(outputs)]
    if isinstance(model, keras.Sequential):
        return [_first_opaque(reversed(model.layers))]
    return []


def _of_tensor(tensor: Any) -> Ending:
    """Follows a symbolic tensor back to what made its values."""
    history = getattr(tensor, "_keras_history", None)
    maker = getattr(history, "operation", None) or getattr(history, "layer", None)
    if history is None or maker is None:
        return Ending(None, None)
    if isinstance(maker, keras.Model):
        inner = endings(maker)
        return inner[history.tensor_index] if history.tensor_index < len(inner) else Ending(None, None)
    if _is_transparent(maker):
        inputs = tf.nest.flatten(maker._inbound_nodes[history.node_index].input_tensors)
        return _of_tensor(inputs[0]) if len(inputs) == 1 else Ending(None, None)
    return Ending(_activation(maker), tensor.shape[-1])


def _first_opaque(layers: Iterator[Any]) -> Ending:
    for layer in layers:
        if isinstance(layer, keras.Model):
            inner = endings(layer)
            return inner[0] if len(inner) == 1 else Ending(None, None)
        if not _is_transparent(layer):
            return Ending(_activation(layer), getattr(layer, "units", None))
    return Ending(None, None)


def _is_transparent(layer: Any) -> bool:
    is_linear = isinstance(layer, keras.layers.Activation) and _named(layer.activation) == LINEAR
    return is_linear or type(layer) in _TRANSPARENT


def _activation(layer: Any) -> str | None:
    if isinstance(layer, keras.layers.Softmax):
        return SOFTMAX if layer.axis == -1 else None
    if isinstance(layer, keras.layers.TimeDistributed):
        return _activation(layer.layer)
    if not isinstance(layer, keras.layers.Layer) or type(layer).__name__ == "TFOpLambda":
        return _of_operation(layer)
    # Others' layers may apply what they call activation anywhere.
    if not type(layer).__module__.startswith("keras.") or isinstance(layer, _INNER):
        return None
    return _named(getattr(layer, "activation", None))


def _of_operation(operation: Any) -> str | None:
    """Of what `keras.ops.softmax(x)` leaves in a model in Keras 3, and `tf.nn.softmax(x)` in Keras 2."""
    name = getattr(operation, "symbol", None) or type(operation).__name__
    name = str(name).lower().rpartition(".")[2]
    if name == SIGMOID:
        return SIGMOID
    called_with = getattr(operation._inbound_nodes[0], "call_kwargs", {})
    axis = getattr(operation, "axis", called_with.get("axis", -1))
    return SOFTMAX if name == SOFTMAX and axis == -1 else None


def _named(function: Any) -> str | None:
    if isinstance(function, keras.layers.Softmax):
        return SOFTMAX if function.axis == -1 else None
    return next((name for name, known in _FUNCTIONS.items() if any(function is each for each in known)), None)
