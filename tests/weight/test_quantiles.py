"""Distances given as quantiles are NumPy's."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.weight.base import distance_of, number_or_quantile

DISTANCES = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=30)


@given(DISTANCES, st.floats(0, 1))
def test_quantiles_are_those_of_numpy(distances, level):
    ours = distance_of(f"quantile:{level!r}", tf.constant(distances, tf.float64))
    assert ours.dtype == tf.float64
    np.testing.assert_allclose(ours, np.quantile(distances, level), rtol=1e-9, atol=1e-9)


@given(DISTANCES)
def test_the_quantiles_at_the_ends_are_the_least_and_the_largest_distance_exactly(distances):
    values = tf.constant(distances, tf.float64)
    assert distance_of("quantile:0", values).numpy() == min(distances)
    assert distance_of("quantile:1", values).numpy() == max(distances)


def test_all_interpolations_share_one_quantile():
    assert distance_of("quantile:0.5", tf.constant([[5.0, 1.0], [3.0, 9.0]], tf.float64)).numpy() == 4


def test_a_number_is_the_distance_itself():
    assert distance_of(2.5, tf.constant([7.0], tf.float64)).numpy() == 2.5


def test_a_batch_without_pairs_has_a_quantile_that_harms_nobody():
    assert np.isfinite(distance_of("quantile:0.5", tf.zeros([0], tf.float64)))


def test_numbers_become_floats_and_strings_stay():
    assert number_or_quantile("name", np.int32(3)) == 3
    assert isinstance(number_or_quantile("name", 3), float)
    assert number_or_quantile("name", "quantile:0.5") == "quantile:0.5"


@pytest.mark.parametrize("value", ["quantile:1.2", "quantile:", "q:0.5", "0.5", "quantile:nan"])
def test_malformed_strings_are_refused_with_what_would_do(value):
    with pytest.raises(ValueError, match=r"kmix_tf: name must be a number >= 0 or 'quantile:q' with q in \[0, 1\]"):
        number_or_quantile("name", value)
