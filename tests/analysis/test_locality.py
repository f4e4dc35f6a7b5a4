"""Profiles of distances and what weights make of batches, held against enumeration of pairs and batches."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from kmix_tf.analysis.locality import distance_profile, locality
from kmix_tf.weight import EqualWeight, ExponentialWeight, NearestNeighborWeight, ThresholdWeight

SIX = np.array([[0.0], [0.5], [3.0], [3.4], [5.0], [9.0]])
CLASSES = np.array([0, 0, 1, 0, 1, 1])


def samples(n, width, classes, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, width)), generator.permutation(np.arange(n) % classes)


@settings(max_examples=20)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(1, 20), st.integers(0, 1000))
def test_small_data_are_profiled_pair_by_pair(n, width, bins, seed):
    x, y = samples(n, width, 2, seed)
    profile = distance_profile(x, y, bins=bins)
    distances, same = pdist(x), pdist(y[:, np.newaxis]) == 0
    assert profile.edges[0] == 0
    assert profile.edges[-1] == pytest.approx(distances.max())
    # Distances by another way round may differ by a last bit from an edge.
    if (np.abs(distances[:, np.newaxis] - profile.edges) > 1e-12).sum() >= distances.size * bins:
        edges = np.append(profile.edges[:-1], np.inf)
        assert profile.same.tolist() == np.histogram(distances[same], edges)[0].tolist()
        assert profile.other.tolist() == np.histogram(distances[~same], edges)[0].tolist()
    assert profile.same.sum() == same.sum()
    assert profile.other.sum() == (~same).sum()


def nearest_others(x, y):
    distances = cdist(x, x)
    distances[y[:, np.newaxis] == y] = np.inf
    return distances.min(axis=1)


@pytest.mark.parametrize("max_pairs", [10**6, 1000])
def test_the_threshold_is_the_median_distance_to_another_class(max_pairs):
    x, y = samples(200, 4, 3)
    profile = distance_profile(x, y, max_pairs=max_pairs)
    assert profile.epsilon == pytest.approx(np.median(nearest_others(x, y)), rel=1e-12)
    assert math.exp(-profile.rate * profile.epsilon) == pytest.approx(0.5)


def test_the_quantile_is_the_threshold_to_the_weight():
    x, y = samples(300, 3, 2)
    profile = distance_profile(x, y)
    share = float(profile.quantile.removeprefix("quantile:"))
    assert share == pytest.approx(np.mean(pdist(x) <= profile.epsilon), rel=0.01)
    rows = np.stack(np.triu_indices(300, 1))
    first, second = ([tf.constant(x[part])] for part in rows)
    partner = tf.range(rows.shape[1])
    weights = [weight(first, second, partner) for weight in map(ThresholdWeight, (profile.epsilon, profile.quantile))]
    # Printed with three digits.
    assert np.mean(weights[0] != weights[1]) < 0.01 * share


def test_segments_below_the_threshold_are_safe_for_half_of_the_samples():
    x, y = samples(120, 2, 2, seed=3)
    x = x + 2 * y[:, np.newaxis]
    epsilon = distance_profile(x, y).epsilon
    far = np.flatnonzero(nearest_others(x, y) >= epsilon)
    assert len(far) >= 60
    checked = 0
    for i, j in itertools.combinations(far, 2):
        if y[i] == y[j] and np.linalg.norm(x[i] - x[j]) <= epsilon:
            points = x[i] + np.linspace(0, 1, 21)[:, np.newaxis] * (x[j] - x[i])
            to_ends = cdist(points, x[[i, j]]).min(axis=1)
            assert (to_ends <= cdist(points, x[y != y[i]]).min(axis=1) + 1e-12).all()
            checked += 1
    assert checked > 20


def test_large_data_are_sampled():
    x, y = samples(2000, 3, 4)
    profile = distance_profile(x, y, max_pairs=40_000, bins=8, seed=1)
    assert profile.same.sum() + profile.other.sum() == 40_000
    # Pairs are independent draws: five standard deviations, a false alarm in a million.
    for counts, mask in ((profile.same, y[:, np.newaxis] == y), (profile.other, y[:, np.newaxis] != y)):
        pairs = cdist(x, x)[mask & ~np.eye(2000, dtype=bool)]
        shares = np.histogram(pairs, profile.edges)[0] / (2000 * 1999)
        deviation = np.sqrt(40_000 * shares * (1 - shares))
        assert (np.abs(counts - 40_000 * shares) <= 5 * deviation + 1e-9).all()
    # 256 of 2000 samples: the median's rank is off by 5 deviations of 1/32 at most.
    low, high = np.quantile(nearest_others(x, y), [0.5 - 5 / 32, 0.5 + 5 / 32])
    assert low < profile.epsilon < high


def test_no_sample_is_paired_with_itself():
    # The corners of a simplex: all distances but those of 0 are equal.
    profile = distance_profile(np.eye(20), np.arange(20) % 2, max_pairs=150, bins=5)
    assert profile.same[-1] + profile.other[-1] == 150


def test_the_seed_of_a_profile_decides():
    x, y = samples(300, 2, 2)
    first, again, other = (distance_profile(x, y, max_pairs=500, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert first.same.tolist() != other.same.tolist()


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_the_profile_is_in_the_datas_unit(scale):
    x, y = samples(50, 3, 2)
    plain, scaled = distance_profile(x, y), distance_profile(scale * x, y)
    assert scaled.epsilon / scale == pytest.approx(plain.epsilon)
    assert scaled.rate * scale == pytest.approx(plain.rate)
    assert scaled.quantile == plain.quantile
    np.testing.assert_allclose(scaled.edges / scale, plain.edges, rtol=1e-12)


def test_samples_that_are_all_equal_have_a_profile():
    profile = distance_profile(np.ones((4, 2)), [0, 0, 1, 1], bins=2)
    assert profile.same.tolist() == [2, 0]
    assert profile.other.tolist() == [4, 0]
    assert (profile.epsilon, profile.rate, profile.quantile) == (0, math.inf, "quantile:1")


def test_the_kind_of_the_arguments_changes_nothing():
    generator = np.random.default_rng(5)
    images, y = generator.integers(0, 256, size=(12, 3, 4), dtype=np.uint8), np.arange(12) % 3
    expected = distance_profile(images.reshape(12, 12).astype(float), y)
    measured = locality(images.reshape(12, 12).astype(float), y, ThresholdWeight(300.0), batch_size=6)
    for x in (images, tf.constant(images), tf.cast(images, tf.float32)):
        for classes in (np.eye(3)[y], tf.one_hot(y, 3), 10**9 + y):
            assert all(np.array_equal(*pair) for pair in zip(distance_profile(x, classes), expected, strict=True))
            assert locality(x, classes, ThresholdWeight(300.0), batch_size=6) == measured


def expected_locality(weight_of, size):
    """Over all ordered batches of SIX, each mixed with the next round the circle."""
    same, effective = [], []
    for rows in map(list, itertools.permutations(range(len(SIX)), size)):
        partner = np.roll(rows, -1)
        weights = weight_of(SIX[rows], SIX[partner])
        effective.append(weights.sum() ** 2 / (weights**2).sum() if weights.any() else 0)
        if weights.any():
            same.append((weights * (CLASSES[rows] == CLASSES[partner])).sum() / weights.sum())
    return np.array(same), np.array(effective)


def neighbour(first, second):
    distances = cdist(first, second) + np.diag(np.zeros(len(first)))
    # `second` is `first` in another order: the distance to itself is the one 0.
    nearest = np.where(distances == 0, np.inf, distances).min(axis=1)
    pairs = np.abs(first - second)[:, 0]
    return ((pairs <= nearest) | (pairs <= np.roll(nearest, -1))).astype(float)


@pytest.mark.parametrize(
    ("weight", "weight_of"),
    [
        (EqualWeight(), lambda first, second: np.ones(len(first))),
        (ThresholdWeight(1.0), lambda first, second: (np.abs(first - second) <= 1)[:, 0].astype(float)),
        (ThresholdWeight(2.6), lambda first, second: (np.abs(first - second) <= 2.6)[:, 0].astype(float)),
        (ExponentialWeight(0.7), lambda first, second: np.exp(-0.7 * np.abs(first - second))[:, 0]),
        (NearestNeighborWeight(1), neighbour),
    ],
    ids=["equal", "threshold 1", "threshold 2.6", "exponential", "neighbour"],
)
@pytest.mark.parametrize("size", [2, 4])
def test_the_means_are_those_over_all_batches(weight, weight_of, size):
    same, effective = expected_locality(weight_of, size)
    drawn = 150
    found = locality(SIX, CLASSES, weight, batch_size=size, batches=drawn, seed=3)
    empty = 1 - len(same) / len(effective)
    # Five standard deviations of the mean of so many draws.
    assert abs(found.empty - empty) <= 5 * np.sqrt(empty * (1 - empty) / drawn) + 1e-12
    assert abs(found.effective_batch - effective.mean()) <= 5 * effective.std() / np.sqrt(drawn) + 1e-9
    used = drawn * (1 - found.empty)
    assert abs(found.same_class - same.mean()) <= 5 * same.std() / np.sqrt(used) + 1e-9
    assert found.same_class + found.other_class == pytest.approx(1)


def test_where_nothing_counts_shares_are_not_numbers():
    found = locality(SIX, CLASSES, ThresholdWeight(0.0), batch_size=4, batches=3)
    assert math.isnan(found.same_class)
    assert math.isnan(found.other_class)
    assert (found.effective_batch, found.empty) == (0, 1)


def test_weights_of_any_size_are_shares():
    plain = locality(SIX, CLASSES, ExponentialWeight(1.0), batch_size=6, batches=5)
    for scale in (1e-300, 1e300):

        def weight(first, second, partner, scale=scale):
            return scale * ExponentialWeight(1.0)(first, second, partner)

        scaled = locality(SIX, CLASSES, weight, batch_size=6, batches=5)
        assert scaled == pytest.approx(plain)


def test_near_pairs_are_of_one_class_where_classes_are_clusters():
    generator = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = generator.normal(size=(300, 5)) + 4 * np.eye(5)[y]
    equal, near = (locality(x, y, weight) for weight in (EqualWeight(), ThresholdWeight("quantile:0.2")))
    assert equal.same_class == pytest.approx(1 / 3, abs=0.02)
    assert near.same_class > 0.9
    assert equal.effective_batch == 128
    assert near.effective_batch == pytest.approx(0.2 * 128, abs=1)


def test_the_seed_of_the_batches_decides():
    x, y = samples(60, 2, 2)
    first, again, other = (locality(x, y, ExponentialWeight(1.0), 10, 5, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("argument", "value"), [("bins", 0), ("bins", 2.0), ("max_pairs", 0), ("seed", -1), ("seed", None)]
)
def test_other_arguments_of_the_profile_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"distance_profile: {argument} must be an integer >= [01]. Received"):
        distance_profile(SIX, CLASSES, **{argument: value})


@pytest.mark.parametrize(
    ("argument", "value", "rule"),
    [
        ("batch_size", 1, "an integer >= 2"),
        ("batch_size", 7, "at most 6, the number of samples"),
        ("batches", 0, "an integer >= 1"),
        ("seed", -1, "an integer >= 0"),
    ],
)
def test_other_batches_are_refused(argument, value, rule):
    with pytest.raises(ValueError, match=rf"locality: {argument} must be {rule}. Received: {argument}={value}"):
        locality(SIX, CLASSES, EqualWeight(), **{"batch_size": 4, argument: value})


@pytest.mark.parametrize("weight", [None, 1.0, "quantile:0.5"])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(TypeError, match="locality: weight must be a weight such as"):
        locality(SIX, CLASSES, weight, batch_size=4)


@pytest.mark.parametrize("values", [[1.0], [1.0, -1, 1, 1], [np.nan] * 4, [np.inf, 1, 1, 1]])
def test_weights_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match=r"locality: weight must give finite numbers >= 0.*Received: function"):
        locality(SIX, CLASSES, lambda first, second, partner: values, batch_size=4)


@pytest.mark.parametrize("function", [distance_profile, lambda x, y: locality(x, y, EqualWeight(), batch_size=2)])
def test_bad_data_are_refused(function):
    for x, y, message in (
        (SIX, np.ones(6, int), "y must hold two classes at least"),
        (SIX, [0, 1], "x must be .* Received: x of shape"),
        (np.zeros(0), np.zeros(0, int), "x must be .* Received: x of shape"),
        (np.zeros([6, 0]), CLASSES, "x must have features"),
        (np.where(SIX > 8, np.nan, SIX), CLASSES, "x must be finite"),
        (SIX, CLASSES - 1, "integer classes must be >= 0"),
        (SIX, CLASSES / 2, "y must be integer classes .* or one-hot"),
    ):
        with pytest.raises(ValueError, match=message):
            function(x, y)
