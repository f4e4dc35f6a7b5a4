"""The pipeline's own map does what `Dataset.map` does, without optimising functions of plain tensors."""

import collections
import gc
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, RecursiveMixLayer, mix
from kmix_tf.mapped import _debug_mode, _Mapped, _Scanned, mapped, scanned

Pair = collections.namedtuple("Pair", "first second")


def numbers(count=10):
    return tf.data.Dataset.range(count).map(lambda i: (i, tf.fill([3], tf.cast(i, tf.float32)))).batch(4)


def same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        tf.nest.assert_same_structure(one, other)
        for a, b in zip(*(tf.nest.flatten(each, expand_composites=True) for each in (one, other)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("calls", [None, 3, tf.data.AUTOTUNE])
@pytest.mark.parametrize(
    "function",
    [
        lambda i, x: x,
        lambda i, x: (x * 2, {"b": i, "a": (i, x)}),
        lambda i, x: Pair(x, {"only": tf.strings.as_string(i)}),
    ],
)
def test_results_structures_lengths_and_specs_are_those_of_map(function, calls):
    ours, theirs = mapped(numbers(), function, calls), numbers().map(function)
    assert isinstance(ours, _Mapped)
    assert ours.element_spec == theirs.element_spec
    assert int(ours.cardinality()) == int(theirs.cardinality()) == 3
    same(ours, theirs)
    same(ours.repeat(2).unbatch().batch(5), theirs.repeat(2).unbatch().batch(5))


@pytest.mark.parametrize(
    "function",
    [
        lambda i, x: [x, x],
        lambda i, x: tf.RaggedTensor.from_tensor(x),
        lambda i, x: x + OUTSIDE,
    ],
    ids=["list", "ragged", "captured"],
)
def test_what_is_not_plain_goes_through_map_itself(function):
    ours = mapped(numbers(), function, 2)
    assert not isinstance(ours, _Mapped)
    same(ours, numbers().map(function))


OUTSIDE = tf.Variable(1.0)


def test_ragged_elements_go_through_map_itself():
    ragged = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])).batch(2)
    same(mapped(ragged, lambda x: x + 1, 2), ragged.map(lambda x: x + 1))


def test_options_stay():
    options = tf.data.Options()
    options.threading.private_threadpool_size = 3
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    given = mapped(numbers().with_options(options), lambda i, x: x, 2).options()
    assert given.threading.private_threadpool_size == 3
    assert given.experimental_external_state_policy == tf.data.experimental.ExternalStatePolicy.IGNORE


def test_a_mix_is_mapped_so_also_within_a_graph():
    def first(dataset):
        return next(iter(dataset))

    data = tf.data.Dataset.from_tensors((np.eye(8, 5, dtype=np.float32), np.eye(8, 3, dtype=np.float32)))
    mixed = data.apply(mix(KMixupLayer(2), seed=1))
    assert isinstance(mixed, _Mapped)

    @tf.function
    def in_graph():
        return first(data.apply(mix(KMixupLayer(2), seed=1)))

    again = data.apply(mix(KMixupLayer(2), seed=1))
    same([first(mixed)], [first(again)])
    tf.nest.assert_same_structure(in_graph(), first(mixed))


def test_the_function_lives_as_long_as_what_is_made_of_it():
    def of_the_host():
        data = tf.data.Dataset.from_tensors((np.eye(8, 5, dtype=np.float32), np.eye(8, 3, dtype=np.float32)))
        return data.repeat().apply(mix(KMixupLayer(4), seed=1)).prefetch(1)

    gc.freeze()  # What other tests have left in this process takes many seconds to look through.
    try:
        iterator = iter(of_the_host())
        gc.collect()
        for _ in range(5):
            next(iterator)
        later = of_the_host()
        gc.collect()
        next(iter(later))
    finally:
        gc.unfreeze()


def growing(state, element):
    """What is handed on changes its length once, and then with each batch."""
    i, x = element
    return (i, state[1] + 1.0), {"before": state[0], "x": x + state[1], "i": (i,)}


def test_what_is_scanned_is_as_scan_itself_gives_it():
    start = (tf.zeros([0], tf.int64), tf.constant(5.0))
    ours, theirs = scanned(numbers(), start, growing), numbers().scan(start, growing)
    assert isinstance(ours, _Scanned) and ours.element_spec == theirs.element_spec
    assert int(ours.cardinality()) == 3
    same(ours, theirs)
    same(ours.repeat(2), theirs.repeat(2))
    iterator = iter(ours)
    next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator)
    path = saved.write(f"{tempfile.mkdtemp()}/saved")
    ahead = list(iterator)
    again = iter(ours)
    tf.train.Checkpoint(iterator=again).read(path)
    same(ahead, again)


def test_a_scan_that_captures_goes_through_scan_itself():
    ours = scanned(numbers(), (OUTSIDE + 0.0,), lambda state, element: (state, element[1] + OUTSIDE))
    assert not isinstance(ours, _Scanned)
    assert len(list(ours)) == 3


def test_a_scan_of_another_kind_of_state_is_refused_by_scan_itself():
    with pytest.raises(TypeError, match="must match the initial state"):
        scanned(numbers(), (tf.constant(0),), lambda state, element: ((tf.cast(state[0], tf.float32),), element))


def test_the_function_is_not_optimised_for_each_iterator():
    """TensorFlow is told so by an attribute of the function, wherever the graph goes."""
    images = numbers().map(lambda i, x: (tf.tile(x[:, None, :, None], [1, 3, 1, 1]), tf.one_hot(i, 10)))
    mixed, recursive = (images.apply(mix(layer, seed=1)) for layer in (KMixupLayer(2), RecursiveMixLayer()))
    for dataset in (mixed, recursive, mapped(numbers(), lambda i, x: x, 2)):
        graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
        (node,) = (each for each in graph.node if each.op in OPS and is_ours(each))
        (function,) = (each for each in graph.library.function if each.signature.name == node.attr["f"].func.name)
        assert function.attr["experimental_ints_on_device"].b


OPS = ("MapDataset", "ParallelMapDatasetV2", "ScanDataset")


def is_ours(node):
    return "of_tensors" in node.attr["f"].func.name


@pytest.fixture
def _debugging():
    _debug_mode.toggle_debug_mode(True)
    yield
    _debug_mode.toggle_debug_mode(False)


@pytest.mark.usefixtures("_debugging")
def test_debug_mode_calls_the_function_with_values():
    values = []

    @tf.autograph.experimental.do_not_convert
    def seen(i, x):
        if tf.executing_eagerly():  # It is traced, too, for what its results are.
            values.append(i.numpy().tolist())
        return x

    same(mapped(numbers(), seen, 2), numbers().map(lambda i, x: x))
    assert values == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_debug_mode_mixes_as_ever(_debugging):
    data = numbers().map(lambda i, x: (x, tf.one_hot(i, 10)))
    debugged = list(data.apply(mix(KMixupLayer(2), seed=1)))
    _debug_mode.toggle_debug_mode(False)
    for one, other in zip(debugged, data.apply(mix(KMixupLayer(2), seed=1)), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
