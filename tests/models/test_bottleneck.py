import itertools

import keras
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf.models.manifold.bottleneck import bottlenecks, graph_of


def paths(children, node, sinks):
    """All paths from a node to a sink, by enumeration."""
    if node in sinks:
        yield [node]
    for child in children.get(node, ()):
        for rest in paths(children, child, sinks):
            yield [node, *rest]


def on_every_path(parents, sources, sinks):
    children = {}
    for node, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(node)
    all_paths = list(itertools.chain.from_iterable(paths(children, source, sinks) for source in sources))
    return set.intersection(*map(set, all_paths)) if all_paths else set()


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 9))
    parents = {node: draw(st.lists(st.integers(0, node - 1), max_size=3)) for node in range(1, size)}
    count = draw(st.integers(1, min(3, size)))
    sources = set(range(count))
    sinks = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=3))
    return {node: above for node, above in parents.items() if node not in sources}, sources, sinks


@settings(max_examples=400)
@given(graphs())
def test_bottlenecks_are_the_nodes_on_every_path(graph):
    parents, sources, sinks = graph
    found = bottlenecks(parents, sources, sinks)
    assert set(found) == on_every_path(parents, sources, sinks)
    assert found == sorted(found)  # these graphs are numbered in order


def test_a_node_without_a_way_from_an_input_does_not_count():
    assert bottlenecks({"b": ["a"], "c": ["b", "constant"]}, ["a"], ["c"]) == ["a", "b", "c"]


def test_there_are_no_bottlenecks_without_a_path():
    assert bottlenecks({"b": ["a"]}, ["a"], ["c"]) == []


def test_a_very_deep_chain_is_no_problem():
    parents = {node: [node - 1] for node in range(1, 20_000)}
    assert len(bottlenecks(parents, [0], [19_999])) == 20_000


def model_of(above):
    """A model of sums and dense layers, node i named ni, whose last node is the output."""
    tensors = [keras.Input((2,), name="n0")]
    for node, parents in enumerate(above, start=1):
        inputs = [tensors[parent] for parent in sorted(set(parents))]
        if len(inputs) == 1:
            tensors.append(keras.layers.Dense(2, name=f"n{node}")(inputs[0]))
        else:
            tensors.append(keras.layers.Add(name=f"n{node}")(inputs))
    return keras.Model(tensors[0], tensors[-1])


@settings(max_examples=15)
@given(
    st.integers(2, 7).flatmap(lambda size: st.tuples(*(st.lists(st.integers(0, i), min_size=1) for i in range(size))))
)
def test_bottlenecks_of_a_model_are_those_of_its_graph(above):
    model = model_of(above)
    graph = graph_of(model)
    names = {key[0]: layer.name for layer in model.layers for key in graph.tensors if key[0] == id(layer)}
    found = {names[key[0]] for key in bottlenecks(graph.parents, graph.sources, graph.sinks)}
    parents = dict(enumerate(above, start=1))
    assert found == {f"n{node}" for node in on_every_path(parents, {0}, {len(above)})}


def test_a_residual_network_is_narrow_between_its_blocks():
    x = inputs = keras.Input((8, 8, 3), name="in")
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(x)
    for block in range(3):
        y = keras.layers.Conv2D(4, 3, padding="same", name=f"conv{block}")(keras.layers.ReLU(name=f"relu{block}")(x))
        x = keras.layers.Add(name=f"add{block}")([x, y])
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))
    graph = graph_of(model)
    order = bottlenecks(graph.parents, graph.sources, graph.sinks)
    names = [next(layer.name for layer in model.layers if id(layer) == key[0]) for key in order]
    assert names == ["in", "stem", "add0", "add1", "add2", "pool"]


@pytest.mark.parametrize("is_built_by", ("an input", "a call"))
def test_every_layer_of_a_sequential_model_is_a_bottleneck(is_built_by):
    layers = [keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")]
    model = keras.Sequential([keras.Input((4,)), *layers] if is_built_by == "an input" else layers)
    model(tf.ones([3, 4]))
    graph = graph_of(model)
    found = [key[0] for key in bottlenecks(graph.parents, graph.sources, graph.sinks)]
    assert found[1:] == [id(layer) for layer in model.layers[-2:]]
