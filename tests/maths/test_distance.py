"""The distances of pairs are those of the plain formula, in any dtype and at any magnitude."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.maths.distance import pair_distances

RNG = np.random.default_rng(11)
DTYPES = ["float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"]


def by_formula(first, second, partner):
    """The plain formula, in a format whose squares of 1e308 are far from its limits."""
    sides = []
    for side in (first, second):
        leaves = [np.asarray(leaf).astype(np.float64).astype(np.longdouble) for leaf in side]
        sides.append(np.concatenate([leaf.reshape(len(leaf), math.prod(leaf.shape[1:])) for leaf in leaves], axis=1))
    first, second = sides
    return np.sqrt(np.square(first - second[partner]).sum(axis=-1))


def assert_right(first, second, partner):
    ours = pair_distances(first, second, tf.constant(partner, tf.int32))
    assert ours.dtype == tf.float64
    assert ours.shape == partner.shape
    expected = by_formula([leaf.numpy() for leaf in first], [leaf.numpy() for leaf in second], partner)
    np.testing.assert_allclose(ours.numpy(), expected.astype(np.float64), rtol=1e-12)


def values(shape, dtype, rng=RNG):
    dtype = tf.as_dtype(dtype)
    if dtype.is_bool:
        return tf.constant(rng.integers(0, 2, shape).astype(bool))
    if dtype.is_integer:
        return tf.constant(rng.integers(max(dtype.min, -(2**40)), min(dtype.max, 2**40), shape), dtype)
    return tf.cast(tf.constant(rng.normal(size=shape)), dtype)


@st.composite
def batches(draw):
    """Two batches of one to three leaves of any shape and dtype, and partners of one or two axes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 6))
    leaf = st.tuples(st.lists(st.integers(1, 3), max_size=3), st.sampled_from(DTYPES))
    leaves = draw(st.lists(leaf, min_size=1, max_size=3))
    first, second = ([values([size, *inner], dtype, rng) for inner, dtype in leaves] for _ in range(2))
    times = draw(st.sampled_from([None, 1, 3]))
    return first, second, rng.integers(0, size, size if times is None else (times, size))


@given(batches())
def test_distances_are_those_of_all_leaves_together(plain_functions, drawn):
    first, second, partner = drawn
    assert_right(first, second, partner)
    assert_right(first, first, partner)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_measured_without_wrapping_around_or_rounding(dtype):
    x = values([5, 4], dtype)
    assert_right([x], [x], np.array([4, 3, 2, 1, 0]))


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        *(("float64", scale) for scale in (1e-300, 1e-160, 1e150, 1e300)),
        *(("float32", scale) for scale in (1e-37, 3e38)),
        *(("float16", scale) for scale in (1e-4, 6e4)),
        ("bfloat16", 3e38),
    ],
)
def test_neither_huge_nor_tiny_features_overflow_or_vanish(dtype, scale):
    x = tf.cast(tf.constant(RNG.uniform(-1, 1, size=(6, 4)) * scale), dtype)
    partner = np.array([1, 2, 3, 4, 5, 0])
    assert by_formula([x.numpy()], [x.numpy()], partner).min() > 0
    assert_right([x], [x], partner)


@st.composite
def long_batches(draw):
    """Two batches of leaves that are more than 256 features together, of any magnitude, and partners."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 5))
    inner = draw(st.sampled_from([(300,), (7, 50), (17, 4, 5), (1, 257), (260, 1)]))
    scale = draw(st.sampled_from([1e-38, 1e-30, 1e-12, 1.0, 1e12, 1e18, 1e30, 1e38]))
    dtype = draw(st.sampled_from(["float32", "bfloat16"]))
    sides = [
        [tf.cast(tf.constant(rng.uniform(-1, 1, (size, *inner)) * scale), dtype), values([size, 3], "uint8", rng)]
        for _ in range(2)
    ]
    return *sides, rng.integers(0, size, draw(st.sampled_from([(size,), (2, size)])))


@given(long_batches())
def test_many_features_are_measured_to_a_millionth_at_any_magnitude(plain_functions, drawn):
    first, second, partner = drawn
    for other in (first, second):
        ours = pair_distances(first, other, tf.constant(partner, tf.int32)).numpy()
        expected = by_formula([leaf.numpy() for leaf in first], [leaf.numpy() for leaf in other], partner)
        np.testing.assert_allclose(ours, expected.astype(np.float64), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("plain_and_compiled")
def test_many_features_of_every_dtype_are_measured(dtype):
    x = values([5, 40, 10], dtype)
    partner = np.array([4, 3, 2, 1, 0])
    expected = by_formula([x.numpy()], [x.numpy()], partner).astype(np.float64)
    np.testing.assert_allclose(pair_distances([x], [x], tf.constant(partner, tf.int32)), expected, rtol=1e-6)


def test_many_large_whole_numbers_that_are_near_are_told_apart():
    # In float32 these would be equal.
    x = tf.constant([[2**40] * 300, [2**40 + 1] * 300], tf.int64)
    distances = pair_distances([x], [x], tf.constant([1, 0])).numpy()
    np.testing.assert_allclose(distances, np.sqrt(300), rtol=1e-12)


def test_distances_of_images_of_bytes_are_exact():
    # A line of 256 squares adds up to a whole number that float32 holds. (XLA's root is off by a last digit.)
    x = RNG.integers(0, 256, (4, 8, 8, 4), dtype=np.uint8)
    expected = np.sqrt(np.square(x.astype(np.int64) - x[::-1]).sum(axis=(1, 2, 3)))
    ours = pair_distances([tf.constant(x)], [tf.constant(x)], tf.constant([3, 2, 1, 0]))
    np.testing.assert_allclose(ours, expected, rtol=1e-15)


def test_leaves_of_any_rank_are_measured_one_after_another():
    # A compiled function no longer knows ranks that have varied.
    for shape in ((3, 400), (3, 20, 20), (3, 10, 10, 4), (3, 5, 5, 4, 4)):
        x = RNG.normal(size=shape).astype(np.float32)
        ours = pair_distances([tf.constant(x)], [tf.constant(x)], tf.constant([1, 2, 0]))
        np.testing.assert_allclose(ours, by_formula([x], [x], np.array([1, 2, 0])).astype(float), rtol=1e-6)


def test_a_tiny_difference_shows_beside_a_row_with_a_huge_one():
    x = tf.constant([[0.0, 0.0], [1e300, 1e300], [3e-300, 4e-300]], tf.float64)
    distances = pair_distances([x], [x], tf.constant([2, 0, 0])).numpy()
    np.testing.assert_allclose(distances, [5e-300, np.sqrt(2) * 1e300, 5e-300], rtol=1e-12)


def test_a_row_is_at_distance_zero_from_itself_and_from_its_like():
    x = tf.constant([[1e30, -3.0], [0.1, 0.2], [0.1, 0.2]])
    assert pair_distances([x], [x], tf.constant([0, 2, 1])).numpy().tolist() == [0, 0, 0]


def test_distances_of_whole_numbers_are_exact():
    # Weights compare them with thresholds such as 5, and equal counts.
    sides = [(a, b) for a in range(40) for b in range(1, 40) if np.sqrt(a * a + b * b) % 1 == 0]
    x = tf.constant([(0, 0), *sides], tf.float32)
    distances = pair_distances([x], [x], tf.zeros([len(x)], tf.int32)).numpy()
    assert distances.tolist() == [0, *(np.hypot(*side).round() for side in sides)]


def test_distances_to_another_batch_are_measured_from_the_first():
    first, second = tf.constant([[0.0], [10.0]]), tf.constant([[1.0], [100.0]])
    assert pair_distances([first], [second], tf.constant([1, 0])).numpy().tolist() == [100, 9]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("spec", [[None, 3, 2], [None, None, 2], None], ids=str)
def test_shapes_may_be_open_and_batches_empty(spec, size):
    signature = [tf.TensorSpec(spec), tf.TensorSpec([None], tf.int32)]
    measure = tf.function(lambda x, partner: pair_distances([x], [x], partner), input_signature=signature)
    x, partner = RNG.normal(size=(size, 3, 2)).astype(np.float32), np.arange(size)[::-1].astype(np.int32)
    np.testing.assert_allclose(measure(x, partner), by_formula([x], [x], partner).astype(float), rtol=1e-12)


@pytest.mark.parametrize("size", [0, 4])
def test_each_interpolation_has_its_own_partners(size):
    x = tf.constant(RNG.normal(size=(size, 3)).astype(np.float32))
    partner = RNG.permuted(np.tile(np.arange(size), (3, 1)), axis=1)
    assert_right([x], [x], partner)
