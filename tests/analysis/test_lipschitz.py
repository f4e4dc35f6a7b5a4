"""The bound on the Lipschitz constant, held against a minimiser over all pairs of segments that knows no formula."""

import itertools
import math
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial.distance import cdist

from kmix_tf.analysis import lipschitz
from kmix_tf.analysis.lipschitz import lipschitz_lower_bound, lipschitz_lower_bounds, nearest_segments
from kmix_tf.analysis.segments import rounding_of_squares, segment_distances, squared_distances, squares_inside

SQUARE = [[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]]


def least(first, second):
    """The distance of two segments, as a least-squares problem with bounds."""
    matrix = np.stack([first[1] - first[0], second[0] - second[1]], axis=1)
    solved = lsq_linear(matrix, second[0] - first[0], bounds=(0, 1), method="bvls", tol=1e-14)
    return np.sqrt(2 * solved.cost)


def brute_force(x, y, epsilon):
    """The least distance over all pairs of segments, points among them."""
    x = np.asarray(x, float).reshape(len(x), -1)
    pairs = [
        (i, j)
        for i, j in itertools.combinations_with_replacement(range(len(x)), 2)
        if y[i] == y[j] and np.linalg.norm(x[i] - x[j]) <= epsilon
    ]
    return min(
        least(x[list(one)], x[list(other)])
        for one, other in itertools.combinations(pairs, 2)
        if y[one[0]] != y[other[0]]
    )


def labels(n, classes, generator):
    return generator.permutation(np.arange(n) % classes)


def normal(n, width, classes, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, width)), labels(n, classes, generator)


@settings(max_examples=60)
@given(st.integers(3, 9), st.integers(1, 6), st.integers(2, 3), st.integers(0, 10**6), st.floats(0, 5))
def test_it_is_the_least_distance_over_all_pairs_of_segments(n, width, classes, seed, epsilon):
    x, y = normal(n, width, min(n, classes), seed)
    for threshold in (0, epsilon, math.inf):
        assert nearest_segments(x, y, threshold).distance == pytest.approx(brute_force(x, y, threshold), abs=1e-7)


@settings(max_examples=100)
@given(st.data())
def test_on_grids_with_equal_points_and_parallel_segments_too(data):
    # Coordinates of few values: duplicates, collinear points, parallel and crossing segments, thresholds met exactly.
    width = data.draw(st.integers(1, 4))
    point = st.lists(st.integers(0, 3), min_size=width, max_size=width)
    x = data.draw(st.lists(point, min_size=2, max_size=8))
    y = [0, 1, *data.draw(st.lists(st.integers(0, 2), min_size=len(x) - 2, max_size=len(x) - 2))]
    epsilon = data.draw(st.sampled_from([0, 1, 2, 3, math.sqrt(2), math.inf]))
    expected = brute_force(x, y, epsilon)
    found = nearest_segments(x, y, epsilon).distance
    assert found == pytest.approx(expected, abs=1e-7)
    # Squares of distances are ratios of small integers: 0 or not in the least near it.
    assert (found == 0) == (expected < 1e-7)


@pytest.mark.parametrize(("width", "scale"), [(30, 1e-3), (200, 1.0)])
def test_many_samples_in_many_dimensions_agree_with_all_pairs_compared_directly(width, scale):
    x, y = normal(40, width, 3, seed=width)
    x *= scale
    epsilon = float(np.quantile(cdist(x, x), 0.6))
    pairs = [
        (i, j)
        for i, j in itertools.combinations_with_replacement(range(40), 2)
        if y[i] == y[j] and np.linalg.norm(x[i] - x[j]) <= epsilon
    ]
    of = {label: x[np.array([pair for pair in pairs if y[pair[0]] == label])] for label in range(3)}
    expected = min(
        segment_distances(np.repeat(of[a], len(of[b]), axis=0), np.tile(of[b], (len(of[a]), 1, 1))).min()
        for a, b in ((0, 1), (0, 2), (1, 2))
    )
    nearest = nearest_segments(x, y, epsilon)
    assert nearest.distance == pytest.approx(expected, rel=1e-9)
    assert expected < cdist(x[y == 0], x[y != 0]).min()


def test_small_blocks_find_the_same(monkeypatch):
    x, y = normal(60, 5, 3, seed=1)
    expected = nearest_segments(x, y, 2.5)
    for rows, cached, block in ((1, 1, 1), (7, 14, 50)):
        monkeypatch.setattr(lipschitz, "_ROWS", rows)
        monkeypatch.setattr(lipschitz, "_CACHED", cached)
        monkeypatch.setattr(lipschitz, "_BLOCK", block)
        assert nearest_segments(x, y, 2.5) == expected


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_the_witness_is_what_it_says(seed):
    x, y = normal(30, 4, 3, seed)
    epsilon = 2.0
    nearest = nearest_segments(x, y, epsilon)
    one, other = (list(pair) for pair in (nearest.first, nearest.second))
    assert least(x[one], x[other]) == pytest.approx(nearest.distance, rel=1e-7)
    assert y[one[0]] == y[one[1]] != y[other[0]] == y[other[1]]
    assert np.linalg.norm(x[one[0]] - x[one[1]]) <= epsilon
    assert np.linalg.norm(x[other[0]] - x[other[1]]) <= epsilon
    assert nearest.distance == pytest.approx(1 / lipschitz_lower_bound(x, y, epsilon))


def test_without_segments_it_is_the_nearest_pair_of_different_classes():
    x, y = normal(300, 10, 4, seed=2)
    distances = cdist(x, x)
    distances[y[:, np.newaxis] == y] = np.inf
    assert lipschitz_lower_bound(x, y, 0) == pytest.approx(1 / distances.min(), rel=1e-12)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_it_never_falls_as_epsilon_grows_and_several_are_as_one_by_one(seed):
    x, y = normal(40, 3, 2, seed)
    epsilons = [1.0, 0.0, 0.3, math.inf, 2.0, 0.3]
    bounds = lipschitz_lower_bounds(x, y, epsilons)
    np.testing.assert_allclose(bounds, [lipschitz_lower_bound(x, y, epsilon) for epsilon in epsilons], rtol=1e-9)
    assert (np.diff(bounds[np.argsort(epsilons)]) >= 0).all()


def test_it_grows_with_epsilon_where_segments_matter():
    x, y = normal(40, 6, 2, seed=4)
    bounds = lipschitz_lower_bounds(x, y, [0, 2, 3, math.inf])
    assert (np.diff(bounds) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_crossing_segments_make_it_infinite(seed):
    generator = np.random.default_rng(seed)
    width = 2 + 20 * seed
    # Two segments through one point, in any position and far from the origin.
    centre, one, other = generator.normal(size=(3, width))
    x = 100 * centre + np.stack([0.3 * one, -0.7 * one, 0.2 * other, -1.1 * other])
    assert lipschitz_lower_bound(x, [0, 0, 1, 1], math.inf) == math.inf
    assert lipschitz_lower_bound(x, [0, 0, 1, 1], 0) < math.inf
    nearest = nearest_segments(x, [0, 0, 1, 1], math.inf)
    assert sorted([nearest.first, nearest.second]) == [(0, 1), (2, 3)]


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-11])
def test_segments_that_almost_cross_are_told_from_those_that_do(gap):
    x = np.array([[-1.0, 0, 0], [1.0, 0.1, 0], [0.2, -1, gap], [-0.1, 1.5, gap]])
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    assert nearest_segments(x, [0, 0, 1, 1], math.inf).distance == pytest.approx(gap, rel=1e-9)
    assert nearest_segments(x @ rotation, [0, 0, 1, 1], math.inf).distance == pytest.approx(gap, rel=1e-3)


@pytest.mark.parametrize(("angle", "height"), [(1e-7, 1e-9), (1e-3, 0.1), (1e-5, 1e-3)])
def test_nearly_parallel_segments_are_measured_inside(angle, height):
    # They cross near one end; which end comes first is nobody's concern.
    x = np.array([[-1.9, -1.9 * angle, 0], [0.1, 0.1 * angle, 0], [-1.9, 0, height], [0.1, 0, height]])
    for order in ([0, 1, 2, 3], [1, 0, 2, 3], [1, 0, 3, 2]):
        assert nearest_segments(x[order], [0, 0, 1, 1], math.inf).distance == pytest.approx(height, rel=1e-8)


def test_of_many_that_almost_cross_the_nearest_is_found():
    # Crosses, far from one another, whose gaps are below what squares can tell.
    gaps = 1e-9 * np.random.default_rng(0).permutation(np.arange(1, 21))
    cross = np.array([[-1.0, -0.1, 0], [1.0, 0.2, 0], [0.2, -1.0, 0], [-0.3, 1.0, 0]])
    places = np.outer(np.arange(20), [10.0, 3.0, 0])
    x = np.repeat(places, 4, axis=0) + np.tile(cross, (20, 1))
    x[:, 2] = np.outer(gaps, [0, 0, 1, 1]).ravel()
    nearest = nearest_segments(x, np.tile([0, 0, 1, 1], 20), 3.0)
    assert nearest.distance == pytest.approx(1e-9, rel=1e-6)
    assert nearest.first[0] // 4 == gaps.argmin()


def test_on_a_line_segments_that_overlap_make_it_infinite_and_others_do_not():
    x, y = [0.0, 0.7, 0.3, 5.1], [0, 0, 1, 1]
    assert lipschitz_lower_bound(x, y, 0.5) == pytest.approx(1 / 0.3)
    assert lipschitz_lower_bound(x, y, 0.7) == math.inf


def test_equal_samples_of_different_classes_make_it_infinite():
    assert lipschitz_lower_bound([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], [0, 0, 1], 0) == math.inf


def test_a_threshold_met_exactly_counts():
    assert nearest_segments(SQUARE, [0, 0, 1], 4).distance == 1
    assert nearest_segments(SQUARE, [0, 0, 1], np.nextafter(4, 0)).distance == pytest.approx(math.sqrt(5))
    third = np.array([[0.1, 0.0], [0.4, 0.0], [0.25, 0.1]])
    assert nearest_segments(third, [0, 0, 1], np.linalg.norm(third[0] - third[1])).distance == pytest.approx(0.1)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(-150, 150), st.floats(-1e3, 1e3))
def test_it_moves_with_the_data(seed, exponent, offset):
    x, y = normal(20, 3, 2, seed)
    scale = 10.0**exponent
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    distance = nearest_segments(x, y, 1.7).distance
    assert nearest_segments(x @ rotation + offset, y, 1.7).distance == pytest.approx(distance, rel=1e-6, abs=1e-9)
    assert nearest_segments(scale * x, y, 1.7 * scale).distance / scale == pytest.approx(
        distance, rel=1e-9, abs=1e-12
    )


def test_the_kind_of_the_arguments_changes_nothing():
    generator = np.random.default_rng(5)
    images, y = generator.integers(0, 256, size=(12, 3, 4), dtype=np.uint8), labels(12, 3, generator)
    expected = nearest_segments(images.reshape(12, 12).astype(float), y, 300.0)
    for x in (images, tf.constant(images), tf.cast(images, tf.float32)):
        for classes in (y, np.eye(3)[y], tf.one_hot(y, 3), 10**9 + y, y.astype(np.uint8)):
            assert nearest_segments(x, classes, 300.0) == expected


@given(st.integers(1, 5), st.integers(0, 10**6), st.integers(-12, 0))
def test_the_distance_of_two_segments_is_that_of_a_minimiser(width, seed, exponent):
    first, second = np.random.default_rng(seed).normal(size=(2, 2, width))
    # From a point up to a full segment, in any direction.
    second[1] = second[0] + 10.0**exponent * (second[1] - second[0])
    expected = least(first, second)
    assert segment_distances(first[np.newaxis], second[np.newaxis])[0] == pytest.approx(expected, abs=1e-7)
    assert segment_distances(second[np.newaxis], first[np.newaxis])[0] == pytest.approx(expected, abs=1e-7)


def test_estimates_from_squares_are_within_the_stated_rounding():
    generator = np.random.default_rng(6)
    for width in (1, 3, 400):
        x = generator.normal(size=(200, width)) * generator.lognormal(0, 2, size=(200, 1))
        bound = rounding_of_squares(x)
        assert np.abs(squared_distances(x, x) - cdist(x, x, "sqeuclidean")).max() < bound / 4
        ends = x[generator.integers(0, 200, size=(4, 1500))]
        i, j, k, m = ends
        corners = np.stack([np.square(i - k).sum(1), np.square(i - m).sum(1), np.square(j - k).sum(1)])
        corners = np.concatenate([corners, np.square(j - m).sum(1)[np.newaxis]])
        lengths = np.square(i - j).sum(1), np.square(k - m).sum(1)
        inside = (lengths[0] > 0) & (lengths[1] > 0)
        noisy = corners + generator.uniform(-bound / 4, bound / 4, corners.shape)
        one, other = np.stack([i, j], 1), np.stack([k, m], 1)
        exact = segment_distances(one, other)[inside] ** 2
        to_ends = [segment_distances(one, np.stack([end, end], 1)) for end in (k, m)]
        to_ends += [segment_distances(np.stack([end, end], 1), other) for end in (i, j)]
        estimate = squares_inside(noisy[:, inside], *(length[inside] for length in lengths))
        # Never less than the truth but for rounding, and equal to it where no end is nearer.
        assert (estimate > exact - bound).all()
        nearest_inside = exact < np.min(to_ends, axis=0)[inside] ** 2 - 1e-9 * exact
        assert nearest_inside.any() == (width > 1)
        assert (estimate < exact + bound)[nearest_inside].all()


def test_progress_is_shown(capsys):
    x, y = normal(20, 3, 2, seed=0)
    lipschitz_lower_bound(x, y, 1.0)
    assert capsys.readouterr().err == ""
    lipschitz_lower_bound(x, y, math.inf, progress=True)
    assert "100%" in capsys.readouterr().err


def test_a_bar_without_rich_names_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"pip install 'kmix_tf\[cli\]'"):
        lipschitz_lower_bound(SQUARE, [0, 0, 1], 1.0, progress=True)


@pytest.mark.parametrize("epsilon", [-1.0, math.nan, "1", None, True, -math.inf])
def test_other_epsilons_are_refused(epsilon):
    with pytest.raises(ValueError, match=r"lipschitz_lower_bound: epsilon must be >= 0.* Received: epsilon="):
        lipschitz_lower_bound(SQUARE, [0, 0, 1], epsilon)


@pytest.mark.parametrize("epsilons", [[], 1.0, [[1.0]], None])
def test_several_epsilons_are_a_sequence(epsilons):
    with pytest.raises(ValueError, match=r"lipschitz_lower_bounds: epsilons must be a sequence"):
        lipschitz_lower_bounds(SQUARE, [0, 0, 1], epsilons)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (SQUARE, [1, 1, 1], "y must hold two classes at least"),
        (SQUARE, [0, 1], "x must be .* Received: x of shape"),
        ([], [], "x must be .* Received: x of shape"),
        (np.zeros([3, 0]), [0, 1, 1], "x must have features"),
        ([[0.0], [np.nan]], [0, 1], "x must be finite"),
        ([[0.0], [np.inf]], [0, 1], "x must be finite"),
        (SQUARE, [0, -1, 1], "integer classes must be >= 0"),
        (SQUARE, [0.0, 1.0, 1.0], "y must be integer classes .* or one-hot"),
        (SQUARE, [[0.5, 0.5], [1, 0], [0, 1]], "y must be integer classes .* or one-hot"),
    ],
)
def test_bad_data_are_refused(x, y, message):
    with pytest.raises(ValueError, match=f"lipschitz_lower_bound: {message}"):
        lipschitz_lower_bound(x, y, 1.0)


def test_more_segments_than_can_be_compared_are_refused(monkeypatch):
    x, y = normal(20, 3, 2, seed=0)
    monkeypatch.setattr(lipschitz, "_MOST_SEGMENTS", 50)
    with pytest.raises(ValueError, match="epsilon must admit at most 50 segments"):
        lipschitz_lower_bound(x, y, math.inf)
    lipschitz_lower_bound(x, y, 0.5)
    monkeypatch.setattr(lipschitz, "_MOST_DISTANCES", 99)
    with pytest.raises(ValueError, match=r"at most 99 pairs\. Received: 10 and 10 samples"):
        lipschitz_lower_bound(x, y, 0.5)
    lipschitz_lower_bound(x, y, 0)
