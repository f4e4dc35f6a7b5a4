"""A threshold counts near pairs, 1 each, and no others."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import LocalMixupLayer, ThresholdWeight

RNG = np.random.default_rng(2)
BAD = [-1, -1e-9, float("nan"), float("inf"), None, True, [1.0]]
BAD_STRINGS = [
    "",
    "1",
    "quantile",
    "quantile:",
    "quantile:1.2",
    "quantile:-0.1",
    "quantile:nan",
    "quantile:a",
    "q:0.5",
]


def distances(first, second, partner):
    return np.sqrt(np.square(first - second[partner]).sum(axis=-1))


def weigh(weight, first, second, partner):
    first = tf.constant(first)
    second = first if second is None else tf.constant(second)
    return weight([first], [second], tf.constant(partner, tf.int32))


@st.composite
def grids(draw):
    """Whole-number points, so that pairs at the threshold itself are common, and partners."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, times = draw(st.integers(1, 12)), draw(st.sampled_from([None, 2]))
    points = rng.integers(-4, 5, (size, draw(st.integers(1, 3)))).astype(np.float32)
    return points, rng.integers(0, size, size if times is None else (times, size))


@given(grids(), st.sampled_from([0, 0.5, 1, 2, 3, 5, 100]))
def test_pairs_at_most_epsilon_apart_count(plain_functions, grid, epsilon):
    points, partner = grid
    weight = weigh(ThresholdWeight(epsilon), points, None, partner)
    assert weight.dtype == tf.float64
    np.testing.assert_array_equal(weight, distances(points, points, partner) <= epsilon)


@given(st.integers(1, 30), st.sampled_from([0, 0.1, 0.25, 0.5, 0.77, 1]), st.integers(0, 99))
def test_a_quantile_is_that_of_the_batchs_own_pairs(plain_functions, size, level, seed):
    points, partner = np.random.default_rng(seed).normal(size=(size, 2)), (np.arange(size) + 1) % size
    apart = distances(points, points, partner)
    # A pair exactly at the quantile may fall on either side of its rounding, but for the ends.
    at = np.quantile(apart, level)
    clear = (np.abs(apart - at) > 1e-9) | (level in (0, 1))
    weight = weigh(ThresholdWeight(f"quantile:{level}"), points, None, partner).numpy()
    np.testing.assert_array_equal(weight[clear], (apart <= at * (1 + 1e-12))[clear])


def test_the_share_that_counts_is_about_the_quantile_whatever_the_scale():
    points = RNG.normal(size=(101, 3))
    partner = np.roll(np.arange(101), 1)
    counts = [
        weigh(ThresholdWeight("quantile:0.3"), points * scale, None, partner).numpy().sum() for scale in (1, 1e6)
    ]
    assert counts == [31, 31]


def test_two_loaders_are_compared_with_one_another():
    first, second = np.array([[0.0], [10.0]]), np.array([[11.0], [0.5]])
    assert weigh(ThresholdWeight(1), first, second, [1, 0]).numpy().tolist() == [1, 1]
    assert weigh(ThresholdWeight(1), first, second, [0, 1]).numpy().tolist() == [0, 0]


@pytest.mark.parametrize("epsilon", [0.0, 3, "quantile:0.5"])
def test_empty_batches_and_batches_of_one_are_weighed(epsilon):
    assert weigh(ThresholdWeight(epsilon), np.zeros([0, 2]), None, np.zeros(0)).shape == [0]
    assert weigh(ThresholdWeight(epsilon), np.ones([1, 2]), None, [0]).numpy().tolist() == [1]


@pytest.mark.parametrize("epsilon", BAD + BAD_STRINGS, ids=repr)
def test_another_threshold_is_refused_by_name(epsilon):
    with pytest.raises(ValueError, match=r"ThresholdWeight: epsilon must be .*Received: epsilon="):
        ThresholdWeight(epsilon)


@pytest.mark.parametrize("epsilon", [0, 1.5, np.float32(0.5), "quantile:0", "quantile:1", "quantile:.25"])
def test_a_configuration_makes_the_same_threshold_anew(epsilon):
    weight = ThresholdWeight(epsilon)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(weight))
    assert type(back) is ThresholdWeight
    assert back.epsilon == weight.epsilon == epsilon
    layer = LocalMixupLayer(weight=weight, num_classes=3)
    assert LocalMixupLayer.from_config(layer.get_config()).weight.epsilon == epsilon
