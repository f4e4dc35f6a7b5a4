"""What code that builds graphs shares."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import CutMixLayer, KMixupLayer, _graph
from kmix_tf._graph import _MOST_SIZES, KNOWS_OF_XLA, compiled, fused, is_finite, is_for_xla

SHAPES = [(3,), (3, 0), (0, 400), (3, 7), (3, 300), (2, 3, 4), (2, 20, 20), (2, 300, 1), (0, 17, 17), (2, 9, 10, 3)]
DTYPES = ["float16", "bfloat16", "float32", "float64"]


@given(
    st.sampled_from(SHAPES),
    st.sampled_from(DTYPES),
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=3),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_nan_and_infinity_are_found_anywhere_and_the_largest_numbers_are_finite(shape, dtype, broken, huge, seed):
    rng, most = np.random.default_rng(seed), float(tf.as_dtype(dtype).max)
    values = np.full(shape, most) if huge else rng.uniform(-1, 1, shape) * rng.choice([1e-30, 1.0, most])
    if values.size:
        values.flat[rng.integers(values.size, size=len(broken))] = broken
    leaf = tf.cast(tf.constant(values), dtype)
    expected = bool(np.isfinite(tf.cast(leaf, tf.float64).numpy()).all())
    assert bool(is_finite(leaf)) == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "spec", [None, [None], [None, None], [None, None, None], [None, 3, None], [None, 3, 200]], ids=str
)
def test_it_is_asked_of_open_shapes_in_graphs(dtype, spec):
    ask = tf.function(is_finite, input_signature=[tf.TensorSpec(spec, dtype)])
    shape = [4] if spec == [None] else [4, 300] if spec == [None, None] else [4, 3, 200]
    values = np.ones(shape)
    assert ask(tf.cast(values, dtype))
    values.flat[-1] = np.nan
    assert not ask(tf.cast(values, dtype))


def way_of(values, scale=None, *, label="one"):
    """Whether XLA compiles it, in each row of the batch."""
    return tf.fill(tf.shape(values)[:1], is_for_xla())


def ways(function, sizes, width=3, **static):
    found = [function(tf.zeros([size, width]), **static) for size in sizes]
    assert [len(each) for each in found] == list(sizes)
    return [bool(tf.reduce_all(each)) for each in found]


@pytest.mark.skipif(not KNOWS_OF_XLA, reason="a graph cannot tell that XLA compiles it")
@pytest.mark.parametrize("decorate", [compiled, fused(features=1)])
class TestSizesByHand:
    EXPECTED = [True] * _MOST_SIZES + [False] * 12

    def test_the_first_are_compiled_and_every_size_keeps_its_way(self, decorate):
        function, sizes = decorate(way_of), range(1, _MOST_SIZES + 13)
        assert ways(function, sizes) == self.EXPECTED
        assert ways(function, sizes) == self.EXPECTED

    def test_each_kind_of_batch_has_its_own(self, decorate):
        function, sizes = decorate(way_of), range(1, _MOST_SIZES + 13)
        for kind in ({}, {"width": 4}, {"label": "two"}):
            assert ways(function, sizes, **kind) == self.EXPECTED

    def test_what_is_no_feature_does_not_tell_kinds_apart(self, decorate):
        function = decorate(way_of)
        found = [bool(function(tf.zeros([2, 3]), tf.zeros([1, size]))[0]) for size in range(1, _MOST_SIZES + 13)]
        assert all(found) if decorate is compiled else found == self.EXPECTED

    def test_in_a_graph_all_are_compiled(self, decorate):
        function = decorate(way_of)
        graph = tf.function(lambda values: function(values), input_signature=[tf.TensorSpec([None, 3])])
        assert all(ways(graph, range(1, _MOST_SIZES + 13)))


@pytest.mark.parametrize(
    "make", [lambda: CutMixLayer(scope="sample"), lambda: KMixupLayer(2, solver="graph")], ids=["cutmix", "k-mixup"]
)
def test_a_seed_gives_one_mixture_whichever_way_a_size_goes(monkeypatch, make):
    x, y = tf.random.stateless_uniform([13, 9, 7, 1], [0, 1]), tf.eye(13)
    monkeypatch.setattr(_graph, "_MOST_SIZES", 0)
    plain = make()(x, y, seed=3)
    monkeypatch.setattr(_graph, "_MOST_SIZES", 1)
    for ours, theirs in zip(plain, make()(x, y, seed=3), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-7)


HANDLED = """
import logging
import tensorflow as tf
from kmix_tf import KMixupLayer

said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
tf.get_logger().addHandler(handler)
x, y = tf.random.stateless_uniform([16, 8, 8, 1], [0, 1]), tf.range(16) % 3
for k in range(1, 8):
    KMixupLayer(k, num_classes=3)(x, y)
print(*said)
"""


def test_tensorflow_does_not_warn_of_graphs_that_one_function_makes_for_many_layers(elsewhere):
    # It says so twice in a process, and no more.
    assert elsewhere(HANDLED).split() == []
