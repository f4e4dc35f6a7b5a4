"""What code that builds graphs shares."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf._graph import is_finite

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
