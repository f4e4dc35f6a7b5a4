"""Places in a model where what it computes can be mixed: a model in parts, which share its layers."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import mask_of, without_mask_of_its_own
from kmix_tf.models.manifold.bottleneck import bottlenecks, graph_of, key_of, reached
from kmix_tf.models.manifold.masks import is_twin, lies_along

INPUT = "input"
_ATTENTION = (keras.layers.Attention, keras.layers.AdditiveAttention, keras.layers.MultiHeadAttention)
_OF_TRANSFORMERS = (
    ". In a transformer, mix what the embeddings add up to, or between two blocks, at a block's last layer"
)


class Part(NamedTuple):
    """A part of a model, from one place where it can be mixed to the next.

    run: callable `(features, mask, training=True)` that gives the same two of the next place. mask: what Keras has
    made an input of layers to come, boolean `(batch, *steps)`, or None; masks that layers find on tensors are on
    `features`. end: the name of the place it leads to; None for the outputs.
    """

    run: Callable[..., tuple[Any, Any]]
    end: str | None


class Place(NamedTuple):
    """Where a model can be taken apart: the output of a layer, and the mask that goes with it, if there is one.

    A mask of Keras 3 is a tensor of the model's graph, an input of the layers that it is told to. That of Keras 2
    hangs on tensors only, and is none here.
    """

    tensor: Any
    mask: Any = None

    @property
    def keys(self) -> list[Hashable]:
        return [key_of(leaf) for leaf in self if leaf is not None]


def parts_of(model: keras.Model, names: list[str]) -> list[Part]:
    """Takes a functional or sequential model apart at the outputs of layers, or at its input, "input".

    All ways through the model go through these places, so they have an order, and the parts one after another are
    the model.

    Raises:
        TypeError: for a model of another kind. ValueError: for a layer that it cannot be taken apart at, with the
            reason; or a model of which some would be lost.
    """
    require_functional(model)
    places = _Places(model)
    hidden = sorted((name for name in names if name != INPUT), key=lambda name: places.rank(name))
    begin = [Part(_as_it_is, INPUT)] if INPUT in names else []
    if not hidden:
        return [*begin, Part(_whole(model), None)]
    ends = places.with_masks_that_are_used(hidden)
    parts, start = [], Place(_inputs(model))
    for name, end in zip(hidden, ends, strict=True):
        parts.append(Part(_between(start, end, f"{model.name}_to_{name}"), name))
        start = end
    return [*begin, *parts, Part(_rest(start, _outputs(model), f"{model.name}_from_{hidden[-1]}"), None)]


class _Places:
    """Where a model can be taken apart: at tensors of its layers."""

    def __init__(self, model: keras.Model):
        self.graph = graph_of(model)
        self.layers = {layer.name: layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
        self.order = bottlenecks(self.graph.parents, self.graph.sources, self.graph.sinks)
        self.topological = reached(self.graph.parents, self.graph.sources, self.graph.sinks)
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
        return self.topological.index(self._keys(name)[0])

    def with_masks_that_are_used(self, names: list[str]) -> list[Place]:
        """The places of layers, in their order, each with its mask if a layer after it has that for an input."""
        places: list[Place] = []
        sinks = self.graph.sinks
        for name in reversed(names):
            place = self.place(name)
            if place.mask is not None and key_of(place.mask) not in self._reached(place, sinks):
                place = Place(place.tensor)
            places.insert(0, place)
            sinks = place.keys
        return places

    def place(self, name: str) -> Place:
        """A layer's output, and its mask if that is a tensor of the graph: that which closes the ways round it."""
        tensor = self.tensor(name)
        masks = [mask for mask in self._masks_of(tensor) if hasattr(mask, "_keras_history")]
        places = [Place(tensor, mask) for mask in masks] or [Place(tensor)]
        return next((place for place in places if self._is_closed(place)), places[0])

    def _masks_of(self, tensor: Any) -> list[Any]:
        """The mask that hangs on a tensor, and its twins: on a loaded model Keras hangs a new one, made as that of
        the file is, which layers are told."""
        hung = mask_of(tensor)
        return [] if hung is None else [hung, *(each for each in self.graph.tensors.values() if is_twin(each, hung))]

    def _is_closed(self, place: Place) -> bool:
        return not set(self._reached(place, self.graph.sinks)) & set(self.graph.sources)

    def tensor(self, name: str) -> Any:
        return self.graph.tensors[self._keys(name)[0]]

    def problem(self, name: str) -> str | None:
        """Why a layer's output cannot be mixed; None if it can."""
        count, tensor = len(self.graph.produced[id(self.layers[name])]), self.tensor(name)
        if count > 1:
            return f"the model uses it {count} times, and it is not clear which is meant"
        if len(self._keys(name)) > 1:
            return f"it has {len(self._keys(name))} outputs"
        mask = mask_of(tensor)
        if mask is not None and not lies_along(tensor, mask):
            return f"it hands on a mask that is not of its elements, of shape {getattr(mask, 'shape', None)}"
        if not self._is_on_all_ways(name):
            return "other connections go round it, as a skip connection does, and would carry unmixed features" + (
                _OF_TRANSFORMERS if any(isinstance(layer, _ATTENTION) for layer in self.layers.values()) else ""
            )
        if not tf.as_dtype(tensor.dtype).is_floating:
            return f"its output is of dtype {tf.as_dtype(tensor.dtype).name}, which mixtures are not"
        return None

    def _is_on_all_ways(self, name: str) -> bool:
        """Whether nothing goes round a layer's output and its mask, in which its steps are told from padding."""
        place = self.place(name)
        if self._keys(name)[0] in self.order or place.mask is None:
            return self._keys(name)[0] in self.order
        return self._is_closed(place)

    def _reached(self, place: Place, sinks: Iterable[Hashable]) -> list[Hashable]:
        """What sinks are computed from, seen from them as far as a place."""
        return reached(self.graph.parents, [*place.keys, *self.graph.sources], sinks)

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


def single_outputs(model: keras.Model) -> dict[str, Any]:
    """The outputs of a functional model's layers, by name, of those that have one and are used once."""
    graph, outputs = graph_of(model), {}
    for layer in model.layers:
        calls = list(graph.produced.get(id(layer), {}).values())
        if len(calls) == 1 and len(calls[0]) == 1 and not isinstance(layer, keras.layers.InputLayer):
            outputs[layer.name] = graph.tensors[calls[0][0]]
    return outputs


def require_functional(model: keras.Model, instead: str = "mix at its input only, by MixModel") -> None:
    """Refuses a model of which nobody knows the layers' outputs.

    Args:
        instead: what else could be done.

    Raises:
        TypeError: for a subclassed model.
    """
    # A class of one's own with a `call` of its own computes something else than the graph says.
    defined = next(base for base in type(model).__mro__ if "call" in vars(base))
    if not defined.__module__.startswith("keras.") or not getattr(model, "outputs", None):
        raise _checks.problem(
            f"model must be functional or sequential, since layers of a subclassed model are known only as "
            f"they run. Received: {model.name!r} of class {type(model).__name__}. Make it by keras.Model(inputs, "
            f"outputs); or {instead}.",
            TypeError,
        )


def _inputs(model: keras.Model) -> Any:
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _outputs(model: keras.Model) -> Any:
    return model.outputs[0] if isinstance(model, keras.Sequential) else model.output


def _as_it_is(features: Any, mask: Any, training: bool = True) -> tuple[Any, Any]:
    return features, mask


def _whole(model: keras.Model) -> Callable:
    def run(features: Any, mask: Any, training: bool = True) -> tuple[Any, Any]:
        return model(features, training=training), None

    return run


def _between(start: Place, end: Place, name: str) -> Callable:
    """What computes a place from another. A mask that both share is handed on as it is, for mixing changed it."""
    is_shared = end.mask is not None and start.mask is end.mask
    model = _model(start, end.tensor if end.mask is None or is_shared else list(end), name)

    def run(features: Any, mask: Any, training: bool = True) -> tuple[Any, Any]:
        computed = model(_given(start, features, mask), training=training)
        if end.mask is None or is_shared:
            return computed, mask if is_shared else None
        features, mask = computed
        return features, mask

    return run


def _rest(start: Place, outputs: Any, name: str) -> Callable:
    """What computes a model's outputs from a place, of which the tensor may be an output itself."""
    leaves = tf.nest.flatten(outputs)
    others = [leaf for leaf in leaves if leaf is not start.tensor]
    suffix = _model(start, others, name) if others else None

    def run(features: Any, mask: Any, training: bool = True) -> tuple[Any, Any]:
        given = _given(start, features, mask)
        computed = iter([] if suffix is None else tf.nest.flatten(suffix(given, training=training)))
        answers = [features if leaf is start.tensor else next(computed) for leaf in leaves]
        return tf.nest.pack_sequence_as(outputs, answers), None

    return run


def _model(start: Place, outputs: Any, name: str) -> keras.Model:
    given = start.tensor if start.mask is None else list(start)
    return without_mask_of_its_own(keras.Model(given, outputs, name=name))


def _given(start: Place, features: Any, mask: Any) -> Any:
    return features if start.mask is None else [features, mask]
