"""Costs rank permutations as distances do."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist

from kmix_tf.pairing.facing import facing_cost

RNG = np.random.default_rng(4)
NAMES = ["sqeuclidean", "euclidean"]


def interaction(cost):
    """What is left of a matrix without row and column effects, which rank no permutation."""
    return cost - cost.mean(-1, keepdims=True) - cost.mean(-2, keepdims=True) + cost.mean((-1, -2), keepdims=True)


def between(first, second, cost, k):
    first, second = ([tf.constant(leaf) for leaf in side] for side in (first, second))
    return facing_cost(tf.range(len(first[0])), first, second, cost, k=k, cyclic=False).numpy()


def assert_same_ranks(costs, distances, tolerance):
    """Equal interactions but for one positive factor for all blocks."""
    ours, theirs = interaction(costs.astype(np.float64)), interaction(distances)
    factor = (ours * theirs).sum() / np.square(theirs).sum()
    assert factor > 0
    np.testing.assert_allclose(ours / factor, theirs, atol=tolerance * np.abs(theirs).max())


def distances(first, second, cost, k):
    first, second = (side.astype(np.float64).reshape(-1, k, side[0].size) for side in (first, second))
    return np.stack([cdist(ours, theirs, cost) for ours, theirs in zip(first, second, strict=True)])


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.parametrize("scale", [1e-32, 1e-25, 1e-12, 1.0, 1e12, 1e30, 1e38])
@pytest.mark.usefixtures("plain_and_compiled")
def test_costs_are_distances_but_for_what_ranks_no_permutation(cost, scale):
    first, second = (RNG.uniform(-1, 1, size=(12, 5)) for _ in range(2))
    ours = between([(first * scale).astype(np.float32)], [(second * scale).astype(np.float32)], cost, k=4)
    assert ours.shape == (3, 4, 4)
    assert_same_ranks(ours, distances(first, second, cost, k=4), tolerance=1e-5)


@pytest.mark.parametrize("cost", NAMES)
def test_rows_and_columns_are_reduced(cost):
    first, second = (RNG.normal(size=(12, 5)).astype(np.float32) for _ in range(2))
    ours = between([first], [second], cost, k=4)
    assert (ours >= 0).all()
    assert (ours.min(axis=1) == 0).all()
    assert (ours.min(axis=2) == 0).all()


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.usefixtures("plain_and_compiled")
def test_leaves_of_any_shape_and_dtype_count_as_one_long_vector(cost):
    images = RNG.integers(0, 256, size=(2, 8, 3, 2), dtype=np.uint8)
    flags = RNG.integers(0, 2, size=(2, 8)).astype(bool)
    table = (100 * RNG.normal(size=(2, 8, 4))).astype(np.float16)
    joined = [
        np.concatenate([leaf[side].reshape(8, -1).astype(np.float64) for leaf in (images, flags, table)], axis=1)
        for side in range(2)
    ]
    ours = between(*([images[side], flags[side], table[side]] for side in range(2)), cost, k=4)
    assert_same_ranks(ours, distances(*joined, cost, k=4), tolerance=1e-5)


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.usefixtures("plain_and_compiled")
def test_a_common_offset_does_not_blur_costs(cost):
    # Offset and data are exact in float32, so that all error is the computation's.
    first, second = (RNG.integers(-64, 64, size=(8, 3)).astype(np.float32) / 64 for _ in range(2))
    ours = between([first + 2**14], [second + 2**14], cost, k=8)
    assert_same_ranks(ours, distances(first, second, cost, k=8), tolerance=1e-5)


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.parametrize("scale", [1e-32, 1e-25, 1e-12, 1.0, 1e12, 1e30, 1e38])
@pytest.mark.parametrize("offset", [0.0, 100.0, 3000.0])
@pytest.mark.usefixtures("plain_and_compiled")
def test_costs_of_many_features_are_distances_at_any_scale_and_however_far_from_the_origin(cost, scale, offset):
    scale = scale if offset == 0 else min(scale, 1e33)
    first, second = (RNG.integers(-64, 65, size=(12, 10, 40)) / 64 for _ in range(2))
    sides = [((side + offset) * scale).astype(np.float32) for side in (first, second)]
    ours = between([sides[0]], [sides[1]], cost, k=4)
    # Data far from the origin are rounded when they are scaled: the distances are those of what is left.
    apart = distances(*(side.astype(np.float64) / scale - offset for side in sides), cost, k=4)
    assert_same_ranks(ours, apart, tolerance=1e-3 if cost == "euclidean" else 1e-4)


@pytest.mark.usefixtures("plain_and_compiled")
def test_what_tells_many_features_apart_is_seen_in_any_part_of_them():
    # All but one column are alike and large: their products, as they are, would drown the rest.
    first, second = (np.full((8, 300), 1000, np.float32) for _ in range(2))
    first[:, 7], second[:, 7] = np.arange(8), RNG.permutation(8)
    ours = between([first], [second], "sqeuclidean", k=8)
    assert_same_ranks(ours, distances(first, second, "sqeuclidean", k=8), tolerance=1e-4)


@pytest.mark.usefixtures("plain_and_compiled")
def test_one_group_does_not_hide_that_another_drowns():
    # Far from the origin, products as they are tell nothing; those of the other group tell much.
    first, second = (RNG.integers(-64, 65, size=(16, 400)).astype(np.float32) / 64 + 3000 for _ in range(2))
    for side in (first, second):
        side[8:] = RNG.integers(-3000, 3000, size=(8, 400))
    ours = between([first], [second], "sqeuclidean", k=8)[:1]
    assert_same_ranks(ours, distances(first, second, "sqeuclidean", k=8)[:1], tolerance=1e-3)


@pytest.mark.usefixtures("plain_and_compiled")
def test_several_leaves_of_many_features_count_as_one_long_vector():
    images = RNG.integers(0, 256, size=(2, 8, 9, 11, 3), dtype=np.uint8)
    table = (100 * RNG.normal(size=(2, 8, 4))).astype(np.float16)
    joined = [
        np.concatenate([leaf[side].reshape(8, -1).astype(np.float64) for leaf in (images, table)], axis=1)
        for side in range(2)
    ]
    ours = between(*([images[side], table[side]] for side in range(2)), "sqeuclidean", k=4)
    assert_same_ranks(ours, distances(*joined, "sqeuclidean", k=4), tolerance=1e-5)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((256, 128, 3), "uint8"), ((32771 * 2,), "float32"), ((65537,), "float32")]
)
@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.usefixtures("plain_and_compiled")
def test_images_that_are_read_in_parts_cost_what_they_cost_as_a_whole(shape, dtype, cyclic):
    x, other = (RNG.integers(0, 256, size=(9, *shape)).astype(dtype) for _ in range(2))
    order = RNG.permutation(9).astype(np.int32)
    leaves = [tf.constant(x)]
    ours = facing_cost(
        tf.constant(order), leaves, leaves if cyclic else [tf.constant(other)], NAMES[0], k=3, cyclic=cyclic
    )
    facing = x[np.roll(order, -3)] if cyclic else other[order]
    assert_same_ranks(ours.numpy(), distances(x[order], facing, NAMES[0], k=3), tolerance=2e-4)


def test_float64_features_are_compared_in_float64():
    first, second = (RNG.normal(size=(8, 3)) for _ in range(2))
    ours = between([first], [second], "sqeuclidean", k=8)
    assert ours.dtype == np.float64
    assert_same_ranks(ours, distances(first, second, "sqeuclidean", k=8), tolerance=1e-12)


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.usefixtures("plain_and_compiled")
def test_in_one_batch_groups_are_compared_with_the_ones_that_face_them(cost):
    x = RNG.normal(size=(12, 3)).astype(np.float32)
    order = RNG.permutation(12).astype(np.int32)
    leaves = [tf.constant(x)]
    ours = facing_cost(tf.constant(order), leaves, leaves, cost, k=4, cyclic=True).numpy()
    assert_same_ranks(ours, distances(x[order], x[np.roll(order, -4)], cost, k=4), tolerance=1e-5)


@pytest.mark.parametrize("cost", NAMES)
@pytest.mark.usefixtures("plain_and_compiled")
def test_equal_points_cost_nothing(cost):
    same = [np.full((6, 2), 3.0, np.float32)]
    assert (between(same, same, cost, k=3) == 0).all()
