"""An exponential weight falls with the distance as its formula says."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import ExponentialWeight, LocalMixupLayer

RATES = [0, 1e-3, 0.5, 7.0]
LEVELS = [0.1, 0.25, 0.5, 1]


def weigh(weight, points, partner, second=None):
    points = tf.constant(points)
    second = points if second is None else tf.constant(second)
    return weight([points], [second], tf.constant(partner, tf.int32)).numpy()


def sample(size, seed, times=None):
    rng = np.random.default_rng(seed)
    points, partner = rng.normal(size=(size, 3)), rng.integers(0, size, size if times is None else (times, size))
    return points, partner, np.sqrt(np.square(points - points[partner]).sum(axis=-1))


@given(st.integers(1, 20), st.sampled_from(RATES), st.sampled_from([None, 3]), st.integers(0, 99))
def test_weights_are_exponentials_of_the_distance(plain_functions, size, rate, times, seed):
    points, partner, apart = sample(size, seed, times)
    weight = weigh(ExponentialWeight(rate), points, partner)
    assert weight.dtype == np.float64
    np.testing.assert_allclose(weight, np.exp(-rate * apart), rtol=1e-10)


@given(st.integers(2, 20), st.sampled_from(LEVELS), st.sampled_from([None, 3]), st.integers(0, 99))
def test_a_quantile_is_the_distance_that_counts_one_part_in_e(plain_functions, size, level, times, seed):
    points, partner, _ = sample(size, seed)
    # No sample is its own partner: the quantile is of positive distances.
    partner = np.roll(np.arange(size), 1) if times is None else np.stack([np.roll(np.arange(size), 1)] * times)
    apart = np.sqrt(np.square(points - points[partner]).sum(axis=-1))
    weight = weigh(ExponentialWeight(f"quantile:{level}"), points, partner)
    np.testing.assert_allclose(weight, np.exp(-apart / np.quantile(apart, level)), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-290, 1, 1e290])
def test_weights_by_quantile_know_no_scale(scale):
    points, partner = np.array([[0.0], [1.0], [3.0], [7.0]]), [1, 2, 3, 0]
    weight = weigh(ExponentialWeight("quantile:0.5"), points * scale, partner)
    np.testing.assert_allclose(weight, np.exp(-np.array([1, 2, 4, 7]) / 3), rtol=1e-9)


def test_where_half_the_pairs_are_at_distance_zero_only_these_count():
    weight = weigh(ExponentialWeight("quantile:0.5"), np.array([[0.0], [0.0], [0.0], [1.0]]), [1, 0, 0, 2])
    assert weight.tolist() == [1, 1, 1, 0]


def test_two_loaders_are_compared_with_one_another():
    weight = weigh(ExponentialWeight(1), np.array([[0.0], [10.0]]), [1, 0], second=np.array([[11.0], [2.0]]))
    np.testing.assert_allclose(weight, np.exp([-2, -1]), rtol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 3, "quantile:0.5"])
def test_empty_batches_and_batches_of_one_are_weighed(rate):
    assert weigh(ExponentialWeight(rate), np.zeros([0, 2]), np.zeros(0)).shape == (0,)
    assert weigh(ExponentialWeight(rate), np.ones([1, 2]), [0]).tolist() == [1]


@pytest.mark.parametrize(
    "rate", [-1, float("nan"), float("inf"), None, True, "", "quantile:", "quantile:1.2", "q:0.5"], ids=repr
)
def test_another_rate_is_refused_by_name(rate):
    with pytest.raises(ValueError, match=r"ExponentialWeight: rate must be .*Received: rate="):
        ExponentialWeight(rate)


@pytest.mark.parametrize("rate", [0, 1e-3, "quantile:0.25"])
def test_a_configuration_makes_the_same_weight_anew(rate):
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ExponentialWeight(rate)))
    assert type(back) is ExponentialWeight
    assert back.rate == rate


def test_local_mixup_counts_a_pair_at_the_median_distance_one_part_in_e_by_default():
    assert LocalMixupLayer(num_classes=3).weight.get_config() == {"rate": "quantile:0.5"}
