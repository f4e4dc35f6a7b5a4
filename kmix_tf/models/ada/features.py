"""What the discriminator is given: what a layer of the model makes of samples, or the samples themselves."""

from typing import Any

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.models.manifold.bottleneck import graph_of, key_of
from kmix_tf.models.manifold.split import INPUT, require_functional, single_outputs


class Features:
    """Answers of a model, and its features at a place; not tracked by Keras, for it shares the model's layers.

    Args:
        model: functional or sequential, built, of one input.
        at: the name of a layer; "input"; or None for what the last layer with weights is given.

    Attributes:
        of_inputs: whether features are the samples themselves. shape: of one sample's features.
        inputs: the shape of one sample.

    Raises:
        TypeError, ValueError: for another model, or a layer that it cannot be, naming those that would do.
    """

    def __init__(self, model: keras.Model, at: str | None):
        require_functional(model, "mix with ratios that are not learnt, by MixModel")
        source = _only_input(model)
        tensor = source if at == INPUT else _last_but_one(model) if at is None else _output_of(model, at)
        self.of_inputs = key_of(tensor) == key_of(source)
        self.inputs, self.shape = tuple(source.shape)[1:], tuple(tensor.shape)[1:]
        outputs = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
        whole = outputs if self.of_inputs else [tensor, outputs]
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        self._model = keras.Model(inputs, whole, name=f"{model.name}_with_features")

    def __call__(self, x: Any) -> tuple[tf.Tensor, Any]:
        """Features, and what the model answers, as in training."""
        if self.of_inputs:
            return tf.nest.flatten(x)[0], self._model(x, training=True)
        features, answers = self._model(x, training=True)
        return features, answers


def _only_input(model: keras.Model) -> Any:
    if len(model.inputs) != 1:
        raise _checks.problem(
            f"model must have one input, which the policy is given of both samples. Received: {model.name!r} with "
            f"{len(model.inputs)}. Join them first; or mix with ratios that are not learnt, by MixModel."
        )
    if None in model.inputs[0].shape[-1:]:
        raise _checks.problem(
            f"model must know the size of its input's last axis. Received: an input of shape "
            f"{tuple(model.inputs[0].shape)}."
        )
    return model.inputs[0]


def _last_but_one(model: keras.Model) -> Any:
    """What the last layer with weights is given."""
    graph = graph_of(model)
    key = graph.sinks[0]
    while len(graph.sinks) == 1 and len(graph.parents.get(key, [])) == 1:
        layer, (parent,) = graph.tensors[key]._keras_history[0], graph.parents[key]
        if layer.weights and _is_able(graph.tensors[parent]):
            return graph.tensors[parent]
        key = parent
    raise _unclear(model, None, "and it is not clear which layer comes before the last")


def _output_of(model: keras.Model, at: Any) -> Any:
    found = single_outputs(model).get(at) if isinstance(at, str) else None
    if found is None or not _is_able(found):
        raise _unclear(model, at, f"which is none of model {model.name!r}")
    return found


def _is_able(tensor: Any) -> bool:
    is_known = len(tensor.shape) >= 2 and tensor.shape[-1] is not None
    return is_known and tf.as_dtype(tensor.dtype).is_floating


def _unclear(model: keras.Model, at: Any, why: str) -> Exception:
    able = [INPUT, *(name for name, tensor in single_outputs(model).items() if _is_able(tensor))]
    return _checks.problem(
        f"at must name a layer with one floating output (batch, ..., channels), or {INPUT!r}. Received: at={at!r}, "
        f"{why}. These do: {', '.join(map(repr, able))}."
    )
