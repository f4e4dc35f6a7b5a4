"""The guard of benchmarks/footprint.py counts what it says, and tells what grew."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf._compat import IS_KERAS_3
from kmix_tf._graph import compiled

pytestmark = pytest.mark.skipif(not IS_KERAS_3, reason="asks XLA in a way that older TensorFlow does not know")

ROOT = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def footprint():
    """The benchmark, as a module."""
    sys.path.insert(0, str(ROOT))
    spec = importlib.util.spec_from_file_location("footprint", ROOT / "footprint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(ROOT))
    return module


def batch(rows=8, columns=100):
    return tf.data.Dataset.from_tensors(np.ones([rows, columns], np.float32))


def test_nodes_count_what_they_read_and_write(footprint):
    # Two additions: a batch and a scalar in, a batch out; the reshape between them moves nothing.
    dataset = batch().map(lambda x: tf.reshape(x + 1.0, [4, 200]) + 2.0)
    assert footprint.moved(dataset) == 2 * (2 * 3200 + 4)


def test_a_compiled_function_counts_what_is_fused_once(footprint):
    @compiled
    def several(x):
        return tf.square(x + 1.0) * 3.0 - x

    dataset = batch().map(several)
    assert footprint.moved(dataset) == 2 * 3200
    parts = footprint.parts(dataset)
    assert (parts["compiled"], parts["callbacks"]) == (1, 0)


def test_branches_and_loops_count_as_often_as_they_run(footprint):
    def either(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.square(x), lambda: tf.square(tf.square(x)))

    one, other = (footprint.moved(batch(rows).map(either)) for rows in (8, 0))
    assert one == 3200 + 8 + 4 + 9 + 2 * 3200 and other < 100

    def thrice(x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.square(y)), (0, x))[1]

    assert footprint.moved(batch().map(thrice)) == pytest.approx(3 * 2 * 3200, rel=0.02)


def test_a_growth_is_told_and_nothing_else(footprint):
    before = {"A()": {"mix": {"nodes": 100, "moved": 1000}}}
    assert footprint.grown(before, before) == []
    assert footprint.grown(before, {"A()": {"mix": {"nodes": 99, "moved": 1009}}}) == []
    assert footprint.grown(before, {"A()": {"mix": {"nodes": 101, "moved": 1011}}}) == [
        "A(), mix: nodes 100 -> 101",
        "A(), mix: moved 1,000 -> 1,011",
    ]
    assert footprint.grown(before, {"B()": before["A()"]}) == ["B(): new"]
