"""Places in a model where what it computes can be mixed: a model in parts, which share its layers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.models.manifold.bottleneck import bottlenecks, graph_of

INPUT = "input"


class Part(NamedTuple):
    """A part of a model, from one place where it can be mixed to the next.

    run: callable `(features, training)`. end: the name of the place it leads to; None for the outputs.
    """

    run: Callable[[Any, bool], Any]
    end: str | None


def parts_of(model: keras.Model, names: list[str]) -> list[Part]:
    """Takes a functional or sequential model apart at the outputs of layers, or at its input, "input".

    All ways through the model go through these places, so they have an order, and the parts one after another are
    the model.

    Raises:
        TypeError: for a model of another kind. ValueError: for a layer that it cannot be taken apart at, with the
            reason; or a model of which some would be lost.
    """
    _require_functional(model)
    places = _Places(model)
    hidden = sorted((name for name in names if name != INPUT), key=lambda name: places.rank(name))
    begin = [Part(_as_it_is, INPUT)] if INPUT in names else []
    if not hidden:
        return [*begin, Part(_runner(model), None)]
    tensor, parts = _inputs(model), []
    for name in hidden:
        start, tensor = tensor, places.tensor(name)
        parts.append(Part(_runner(keras.Model(start, tensor, name=f"{model.name}_to_{name}")), name))
    return [*begin, *parts, Part(_rest(tensor, _outputs(model), f"{model.name}_from_{hidden[-1]}"), None)]


class _Places:
    """Where a model can be taken apart: at tensors of its layers."""

    def __init__(self, model: keras.Model):
        self.graph = graph_of(model)
        self.layers = {layer.name: layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
        self.order = bottlenecks(self.graph.parents, self.graph.sources, self.graph.sinks)
        self._require_whole()

    def rank(self, name: str) -> int:
        """The place of a layer's output among all bottlenecks.

        Raises:
            ValueError: if it cannot be mixed.
        """
        self._require_known(name)
        problem = self.problem(name)
        if problem is not None:
            raise _checks.problem(f"layer {name!r} cannot be mixed at: {problem}. {self._remedy(name)}")
        return self.order.index(self._keys(name)[0])

    def tensor(self, name: str) -> Any:
        return self.graph.tensors[self._keys(name)[0]]

    def problem(self, name: str) -> str | None:
        """Why a layer's output cannot be mixed; None if it can."""
        count, tensor = len(self.graph.produced[id(self.layers[name])]), self.tensor(name)
        if count > 1:
            return f"the model uses it {count} times, and it is not clear which is meant"
        if len(self._keys(name)) > 1:
            return f"it has {len(self._keys(name))} outputs"
        if getattr(tensor, "_keras_mask", None) is not None:
            return "it hands on the mask of padded sequences, which would not be that of their mixtures"
        if self._keys(name)[0] not in self.order:
            return "other connections go round it, as a skip connection does, and would carry unmixed features"
        if not tf.as_dtype(tensor.dtype).is_floating:
            return f"its output is of dtype {tf.as_dtype(tensor.dtype).name}, which mixtures are not"
        return None

    def _keys(self, name: str) -> list[Any]:
        return next(iter(self.graph.produced[id(self.layers[name])].values()))

    def _remedy(self, name: str) -> str:
        names = list(self.layers)
        at = names.index(name)
        earlier, later = (
            [other for other in part if self.problem(other) is None] for part in (names[:at], names[at:])
        )
        if not earlier + later:
            return f"No layer of this model can; use {INPUT!r}."
        return f"The nearest that can: {', '.join(map(repr, earlier[-2:] + later[:2]))}."

    def _require_known(self, name: str) -> None:
        if name not in self.layers:
            known = ", ".join(map(repr, [INPUT, *self.layers]))
            _checks.refuse("layers", f"names of the model's layers, of {known}", name)

    def _require_whole(self) -> None:
        """Refuses what is in the model but on no way to its outputs, such as symbolic losses: parts would lose it."""
        lost = [name for name, layer in self.layers.items() if id(layer) not in self.graph.produced]
        if lost:
            raise _checks.problem(
                f"each layer of the model must lead to its outputs. Received: a model with "
                f"{', '.join(map(repr, lost))} besides, as symbolic losses and metrics are. Add losses in a layer's "
                "call, by self.add_loss, or give them to compile."
            )


def _require_functional(model: keras.Model) -> None:
    # A class of one's own with a `call` of its own computes something else than the graph says.
    defined = next(base for base in type(model).__mro__ if "call" in vars(base))
    if not defined.__module__.startswith("keras.") or not getattr(model, "outputs", None):
        raise _checks.problem(
            f"model must be functional or sequential, since layers of a subclassed model are known only as "
            f"they run. Received: {model.name!r} of class {type(model).__name__}. Make it by keras.Model(inputs, "
            "outputs); or mix at its input only, by MixModel.",
            TypeError,
        )


def _inputs(model: keras.Model) -> Any:
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _outputs(model: keras.Model) -> Any:
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def _as_it_is(features: Any, training: bool) -> Any:
    return features


def _runner(model: keras.Model) -> Callable:
    def run(features: Any, training: bool) -> Any:
        return model(features, training=training)

    return run


def _rest(tensor: Any, outputs: Any, name: str) -> Callable:
    """What computes a model's outputs from a hidden tensor, which may be an output itself."""
    leaves = tf.nest.flatten(outputs)
    others = [leaf for leaf in leaves if leaf is not tensor]
    suffix = keras.Model(tensor, others, name=name) if others else None

    def run(features: Any, training: bool) -> Any:
        computed = iter([] if suffix is None else tf.nest.flatten(suffix(features, training=training)))
        return tf.nest.pack_sequence_as(outputs, [features if leaf is tensor else next(computed) for leaf in leaves])

    return run
