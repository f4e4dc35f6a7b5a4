"""A pair counts if either end is among the other's nearest, by comparing all samples with all."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import MixLayer, NearestNeighborWeight, Pairing

RNG = np.random.default_rng(5)


def by_brute_force(first, second, partner, neighbors):
    """For each pair by itself: how many others are strictly nearer to one end than the other end is."""
    within = second is None
    second = first if within else second

    def is_among_nearest(of, candidate, others, own):
        rest = [row for row in range(len(others)) if not (within and row == own)]
        apart = {row: np.sqrt(np.square(others[row].astype(np.float64) - of).sum()) for row in rest}
        return sum(apart[row] < apart[candidate] for row in rest) < neighbors

    def counts(row, other):
        if within and row == other:
            return True
        return is_among_nearest(first[row], other, second, row) or is_among_nearest(second[other], row, first, other)

    partner = np.asarray(partner)
    flat = [counts(place[-1], other) for place, other in np.ndenumerate(partner)]
    return np.reshape(flat, partner.shape).astype(float)


def weigh(neighbors, first, second, partner):
    first = tf.constant(first)
    second = first if second is None else tf.constant(second)
    return NearestNeighborWeight(neighbors)([first], [second], tf.constant(partner, tf.int32))


@st.composite
def grids(draw):
    """Whole-number points, so that ties abound and are exact, with partners; of one batch or two."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size, columns, times = draw(st.integers(1, 9)), draw(st.integers(1, 2)), draw(st.sampled_from([None, 2]))
    first, second = rng.integers(-3, 4, (2, size, columns)).astype(np.float32)
    second = draw(st.sampled_from([None, second]))
    return first, second, rng.integers(0, size, size if times is None else (times, size))


@given(grids(), st.integers(1, 10))
def test_pairs_count_as_by_brute_force_with_all_ties(plain_functions, grid, neighbors):
    weight = weigh(neighbors, *grid)
    assert weight.dtype == tf.float64
    np.testing.assert_array_equal(weight, by_brute_force(*grid, neighbors))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.bool_])
def test_compiled_and_in_any_dtype_pairs_count_as_by_brute_force(dtype):
    points = (RNG.integers(0, 2, (7, 6)) if dtype == np.bool_ else RNG.integers(0, 5, (7, 6))).astype(dtype)
    partner = RNG.permutation(7)
    np.testing.assert_array_equal(weigh(2, points, None, partner), by_brute_force(points, None, partner, 2))


def test_images_of_many_pixels_are_compared_over_all_of_them():
    images = RNG.normal(size=(10, 8, 8, 5)).astype(np.float32)
    partner = RNG.integers(0, 10, (4, 10))
    flat = images.reshape(10, -1)
    np.testing.assert_array_equal(weigh(3, images, None, partner), by_brute_force(flat, None, partner, 3))


def test_several_features_make_one_distance():
    near, far = np.array([[0.0], [0.1], [5.0]]), np.array([[0.0], [9.0], [0.0]])
    leaves = [tf.constant(near), tf.constant(far)]
    weight = NearestNeighborWeight(1)(leaves, leaves, tf.constant([1, 2, 0])).numpy()
    # 0 and 1 are nearest by the first feature, but 0 and 2 by both.
    np.testing.assert_array_equal(weight, by_brute_force(np.hstack([near, far]), None, [1, 2, 0], 1))
    assert weight.tolist() == [1, 0, 1]


def test_one_end_that_counts_the_other_is_enough():
    # 2's nearest is 1, but 1's is 0.
    points = np.array([[0.0], [1.0], [2.5]])
    assert weigh(1, points, None, [2, 2, 1]).numpy().tolist() == [0, 1, 1]


def test_all_that_tie_at_the_last_place_count():
    points = np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    assert weigh(1, points, None, [3, 0, 0, 0, 0]).numpy().tolist() == [1] * 5


def test_a_sample_that_is_its_own_partner_counts():
    points = np.array([[0.0], [1.0], [50.0]])
    assert weigh(1, points, None, [0, 1, 2]).numpy().tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_with_more_neighbours_than_samples_all_count(size):
    points = RNG.normal(size=(size, 2))
    assert weigh(size, points, None, np.roll(np.arange(size), 1)).numpy().tolist() == [1] * size
    assert weigh(10**6, points, points + 9, np.arange(size)).numpy().tolist() == [1] * size


def test_an_empty_batch_has_no_weights():
    assert weigh(2, np.zeros([0, 3]), None, np.zeros(0)).shape == [0]


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_neither_huge_nor_tiny_features_hide_neighbours(scale):
    points, partner = RNG.integers(-5, 6, (6, 2)).astype(np.float64), RNG.permutation(6)
    np.testing.assert_array_equal(weigh(1, points * scale, None, partner), by_brute_force(points, None, partner, 1))


def test_neighbours_in_another_batch_do_not_leave_out_the_sample_of_the_same_row():
    first, second = np.array([[0.0], [10.0], [20.0]]), np.array([[0.1], [10.1], [20.1]])
    assert weigh(1, first, second, [0, 1, 2]).numpy().tolist() == [1, 1, 1]
    assert weigh(1, first, second, [1, 2, 0]).numpy().tolist() == [0, 0, 0]


class Neighbours:
    """Pairs each even row of one batch with the odd one after it in the other, and the reverse."""

    def __call__(self, features, seed):
        raise NotImplementedError

    def between(self, features, others):
        return Pairing(tf.constant([1, 0, 3, 2]), tf.zeros([4], tf.int32))


@pytest.mark.parametrize("wrap", [lambda call: call, tf.function], ids=["eager", "graph"])
def test_two_loaders_that_give_the_very_same_batch_are_two_loaders_still(wrap):
    layer, batch = (
        MixLayer(Neighbours(), weight=NearestNeighborWeight(1, far="drop")),
        tf.constant([[0.0], [1.0], [50.0], [90.0]]),
    )
    *_, weight = wrap(lambda x: layer.between((x, x), (x, x), seed=0))(batch)
    # Each sample's nearest in the other batch is its like there.
    assert weight.numpy().tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("neighbors", [0, -1, 1.5, "2", None, True], ids=repr)
def test_another_number_is_refused_by_name(neighbors):
    with pytest.raises(ValueError, match=r"NearestNeighborWeight: neighbors must be an integer >= 1. Received"):
        NearestNeighborWeight(neighbors)


def test_a_configuration_makes_the_same_weight_anew():
    weight = NearestNeighborWeight(np.int64(3))
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(weight))
    assert type(back) is NearestNeighborWeight
    assert back.get_config() == {"neighbors": 3, "far": "keep"}
