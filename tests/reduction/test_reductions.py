"""Pooled and projected features: by NumPy, never farther apart than they are, and only where that is meant."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import KMixupLayer, Pooled, Projected

RNG = np.random.default_rng(5)
pytestmark = pytest.mark.usefixtures("plain_functions")


def pooled_by_numpy(x, windows):
    """Means of windows times the square roots of their sizes, one window after another."""
    x = np.asarray(x, np.float64)
    starts = [range(0, side, window) for side, window in zip(x.shape[1:], windows, strict=False)]
    parts = []
    for corner in itertools.product(*starts):
        places = [slice(start, start + window) for start, window in zip(corner, windows, strict=True)]
        part = x[(slice(None), *places)]
        axes = tuple(range(1, 1 + len(windows)))
        parts.append(part.mean(axes) * np.sqrt(np.prod(part.shape[1 : 1 + len(windows)])))
    return np.stack(parts, 1).reshape(len(x), *map(len, starts), *x.shape[1 + len(windows) :])


def squared_distances(x):
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    return np.square(x[:, np.newaxis] - x[np.newaxis]).sum(axis=2)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from(["float32", "uint8", "float16", "float64"]),
    st.booleans(),
)
def test_images_are_pooled_as_by_numpy_and_come_no_farther_apart(sides, windows, dtype, has_channels):
    x = (RNG.random((3, *sides, *[2] * has_channels)) * 200).astype(dtype)
    (leaf,) = Pooled(windows)([x])
    if any(side < window for side, window in zip(sides, windows, strict=True)):
        assert leaf.dtype == dtype
        np.testing.assert_array_equal(leaf, x)
        return
    assert leaf.dtype == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_allclose(leaf, pooled_by_numpy(x, windows), rtol=1e-5)
    assert (squared_distances(leaf) <= squared_distances(x) * (1 + 1e-5) + 1e-6).all()


def test_distances_are_those_of_images_made_constant_in_windows():
    x = RNG.normal(size=(4, 6, 9, 2))
    blocks = pooled_by_numpy(x, (2, 3)) / np.sqrt(6)
    constant = np.repeat(np.repeat(blocks, 2, axis=1), 3, axis=2)
    np.testing.assert_allclose(squared_distances(Pooled((2, 3))([x])[0]), squared_distances(constant), rtol=1e-9)


@pytest.mark.parametrize("jit", [False, True])
def test_open_sides_are_pooled_alike(jit):
    for shape in ((2, 5, 7, 3), (0, 4, 4, 3), (1, 3, 8, 3)):
        x = RNG.random(shape).astype(np.float16)
        run = tf.function(lambda x: Pooled(3)([x])[0], jit_compile=jit, autograph=False)
        leaf = run.get_concrete_function(tf.TensorSpec([None, None, None, 3], tf.float16))(tf.constant(x))
        if len(x):
            np.testing.assert_allclose(leaf, pooled_by_numpy(x, (3, 3)), rtol=1e-5)
        else:
            assert leaf.shape == (0, 2, 2, 3)


def test_only_images_of_so_many_axes_are_pooled():
    table, image, video = np.zeros((2, 8)), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 8, 3))
    shapes = [leaf.shape for leaf in Pooled(4)([table, image, video])]
    assert shapes == [(2, 8), (2, 2, 2, 3), (2, 8, 8, 8, 3)]
    assert [leaf.shape for leaf in Pooled(4, axes=1)([table, np.zeros((2, 8, 3)), image])] == [
        (2, 2),
        (2, 2, 3),
        (2, 8, 8, 3),
    ]
    assert Pooled(4, axes=3)([video])[0].shape == (2, 2, 2, 2, 3)


def test_projections_keep_squared_distances_in_the_mean():
    x = RNG.normal(size=(12, 300)).astype(np.float32)
    upper = np.triu_indices(12, 1)
    exact = squared_distances(x)[upper]
    seeds = 60
    ratios = np.stack([squared_distances(Projected(32, seed)([x])[0])[upper] / exact for seed in range(seeds)])
    # Each ratio has variance of about 2 / 32; those of one pair are independent over seeds.
    assert np.abs(ratios.mean(axis=0) - 1).max() < 5 * np.sqrt(2 / 32 / seeds)
    assert 0.7 * np.sqrt(2 / 32) < ratios.std() < 1.3 * np.sqrt(2 / 32)


def test_a_projection_is_one_linear_map_for_a_seed_and_a_width():
    x = RNG.normal(size=(3, 50))
    matrix = Projected(8, seed=3)([np.eye(50)])[0].numpy()
    # Each column has one place and a sign, and no place takes many.
    assert (np.abs(matrix).sum(axis=1) == 1).all() and set(np.unique(matrix)) == {-1, 0, 1}
    assert (np.abs(matrix).sum(axis=0) <= 7).all()
    np.testing.assert_allclose(Projected(8, seed=3)([x])[0], x @ matrix, rtol=1e-9)
    assert (Projected(8, seed=4)([np.eye(50)])[0].numpy() != matrix).any()


def test_narrow_tables_and_images_are_not_projected():
    leaves = [np.zeros((2, 8)), np.zeros((2, 9), np.uint8), np.zeros((2, 30, 30))]
    projected = Projected(8)(leaves)
    assert [(leaf.shape, leaf.dtype) for leaf in projected] == [
        ((2, 8), "float64"),
        ((2, 8), "float32"),
        ((2, 30, 30), "float64"),
    ]


def test_a_table_of_open_width_is_refused():
    run = tf.function(lambda x: Projected(8)([x])[0], autograph=False)
    with pytest.raises(ValueError, match=r"must have a known width.*Received: a table of shape \(None, None\)"):
        run.get_concrete_function(tf.TensorSpec([None, None]))


@pytest.mark.parametrize("make", [lambda: Pooled([2, 3]), lambda: Pooled(4, axes=1), lambda: Projected(8, seed=2)])
def test_reductions_are_saved(make):
    config = keras.saving.serialize_keras_object(make())
    back = keras.saving.deserialize_keras_object(config)
    assert type(back) is type(make())
    assert back.get_config() == make().get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pooled(0), r"Pooled: window must be an integer >= 1. Received: window=0"),
        (lambda: Pooled(2.5), r"Pooled: window must be an integer >= 1"),
        (lambda: Pooled((2, 3, 4)), r"Pooled: window must be an integer >= 1, or one for each of 2 axes"),
        (lambda: Pooled(2, axes=4), r"Pooled: axes must be 1, 2 or 3"),
        (lambda: Projected(0), r"Projected: columns must be an integer >= 1"),
        (lambda: Projected(8, seed=-1), r"Projected: seed must be an integer >= 0"),
        (lambda: KMixupLayer(match_at="pooled"), r"KMixupLayer: match_at must be 'full', Pooled\(window\)"),
        (lambda: KMixupLayer(match_at=8), r"KMixupLayer: match_at must be 'full'.*Received: match_at=8"),
        (lambda: KMixupLayer(match_at=Pooled), r"match_at must be an object: with brackets, Pooled\(...\)"),
        (lambda: KMixupLayer(match_at=tf.identity), r"functions go to embedding"),
    ],
)
def test_other_arguments_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
