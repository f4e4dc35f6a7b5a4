"""Bottlenecks of a functional model: tensors that every way from its inputs to its outputs goes through."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf._compat import IS_KERAS_3


class Graph(NamedTuple):
    """What a functional model computes, as far as its outputs need it.

    parents: for each tensor, those it is computed from; inputs have none. sources, sinks: the inputs and the outputs.
    produced: for each layer, by `id`, its output tensors in this model, a list for each call. tensors: all of them.
    """

    parents: dict[Hashable, list[Hashable]]
    sources: list[Hashable]
    sinks: list[Hashable]
    produced: dict[int, dict[int, list[Hashable]]]
    tensors: dict[Hashable, Any]


def bottlenecks(
    parents: Mapping[Hashable, Sequence[Hashable]], sources: Iterable[Hashable], sinks: Iterable[Hashable]
) -> list[Hashable]:
    """The nodes of a directed acyclic graph that are on every path from a source to a sink, in their order on it.

    Args:
        parents: for each node, those with an edge to it; nodes without any may be left out.
        sources, sinks: nodes; what leads to a source is not looked at.

    Returns:
        Nodes, sources and sinks among them. None if no path is.
    """
    sources, sinks = set(sources), set(sinks)
    order = _on_paths(parents, sources, sinks)
    position = {node: i for i, node in enumerate(order)}
    last_use = {node: len(order) if node in sinks else -1 for node in order}
    for node in order:
        for parent in _parents(parents, sources, node):
            if parent in position:
                last_use[parent] = max(last_use[parent], position[node])
    # What comes before a node and is used after it begins a path round the node, and each such path crosses it so.
    # Sources are first, and are on all paths only if alone.
    count, reach, found = len(sources & position.keys()), -1, []
    for i, node in enumerate(order):
        if reach <= i and (i >= count or count == 1):
            found.append(node)
        reach = max(reach, last_use[node])
    return found


def reached(parents: Mapping, stops: Iterable[Hashable], sinks: Iterable[Hashable]) -> list[Hashable]:
    """What sinks are computed from, each after its parents, where nobody looks beyond `stops`."""
    return _ancestors(parents, set(stops), set(sinks))


def _on_paths(parents: Mapping, sources: set, sinks: set) -> list[Hashable]:
    """The nodes between sources and sinks, sources first, each after its parents."""
    ancestors = _ancestors(parents, sources, sinks)
    on_paths = dict.fromkeys(node for node in ancestors if node in sources)
    for node in ancestors:
        if any(parent in on_paths for parent in _parents(parents, sources, node)):
            on_paths[node] = None
    return list(on_paths)


def _ancestors(parents: Mapping, sources: set, sinks: set) -> list[Hashable]:
    """Sinks and what leads to them, each after its parents. Without recursion: networks may be deep."""
    order, seen = [], set()
    stack = [(node, False) for node in sinks]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in _parents(parents, sources, node) if parent not in seen)
    return order


def _parents(parents: Mapping, sources: set, node: Hashable) -> Sequence[Hashable]:
    return () if node in sources else parents.get(node, ())


def graph_of(model: keras.Model) -> Graph:
    """Reads the graph of a functional or sequential model."""
    graph = Graph({}, [key_of(leaf) for leaf in model.inputs], [key_of(leaf) for leaf in model.outputs], {}, {})
    graph.tensors.update((key_of(leaf), leaf) for leaf in model.inputs)
    stack = list(model.outputs)
    while stack:
        tensor = stack.pop()
        if key_of(tensor) in graph.tensors:
            continue
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        inputs = node.keras_inputs if not IS_KERAS_3 else node.input_tensors
        outputs = tf.nest.flatten(node.outputs)
        for output in outputs:
            graph.parents[key_of(output)] = [key_of(leaf) for leaf in inputs]
            graph.tensors[key_of(output)] = output
        graph.produced.setdefault(id(layer), {})[index] = [key_of(output) for output in outputs]
        stack.extend(inputs)
    return graph


def key_of(tensor: Any) -> Hashable:
    """A tensor's identity: the call that made it, and its place among that call's outputs."""
    layer, node_index, tensor_index = tensor._keras_history
    return id(layer), node_index, tensor_index
