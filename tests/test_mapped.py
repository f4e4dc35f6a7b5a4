"""The pipeline's own map does what `Dataset.map` does, without optimising functions of plain tensors."""

import collections
import gc

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, mix
from kmix_tf.mapped import _Mapped, mapped

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

    iterator = iter(of_the_host())
    gc.collect()
    for _ in range(5):
        next(iterator)
    later = of_the_host()
    gc.collect()
    next(iter(later))
