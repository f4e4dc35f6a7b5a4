"""Partners' distributions against all groups and all permutations of them."""

import itertools
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import OptimalTransportPairing
from kmix_tf.analysis.matching_distribution import flat_samples, matched_pairs, matching_distribution

# The chance that one statistical assertion fails for a right estimate, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def noise(size, dimension=2, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dimension))


def brute_force(x, index, k, disjoint=True):
    """D_i itself: all groups with the sample, all that face them, all permutations."""
    squares = np.square(x[:, np.newaxis] - x[np.newaxis]).sum(axis=2)
    counts = np.zeros(len(x))
    for first in itertools.combinations(range(len(x)), k):
        if index not in first:
            continue
        pool = [row for row in range(len(x)) if not (disjoint and row in first)]
        for second in itertools.combinations(pool, k):
            best = min(itertools.permutations(second), key=lambda order: squares[list(first), list(order)].sum())
            counts[best[first.index(index)]] += 1
    return counts / counts.sum()


def worst_deviation(found, expected, trials):
    """In standard errors; a sample that cannot be a partner must not be one."""
    assert not found[expected == 0].any()
    errors = np.sqrt(expected * (1 - expected) / trials)
    return (np.abs(found - expected)[errors > 0] / errors[errors > 0]).max(initial=0)


def critical(comparisons):
    return stats.norm.isf(FALSE_ALARM / 2 / comparisons)


@pytest.mark.parametrize("disjoint", [True, False])
@pytest.mark.parametrize(("size", "k"), [(4, 1), (4, 2), (6, 2), (7, 2), (6, 3)])
def test_enumerated_it_is_that_of_all_groups(size, k, disjoint):
    x = noise(size, seed=size + k)
    for index in (0, size - 1):
        found = matching_distribution(x, index, k, trials=None, disjoint=disjoint)
        np.testing.assert_allclose(found.probabilities, brute_force(x, index, k, disjoint), atol=1e-12)
        assert not found.standard_errors.any()


@pytest.mark.parametrize("disjoint", [True, False])
def test_drawn_it_is_that_of_all_groups_within_its_standard_errors(disjoint):
    x, trials = noise(7, seed=3), 4000
    expected = brute_force(x, 2, 3, disjoint)
    found = matching_distribution(x, 2, 3, trials=trials, seed=1, disjoint=disjoint)
    assert worst_deviation(found.probabilities, expected, trials) < critical(7)
    np.testing.assert_allclose(found.standard_errors, np.sqrt(expected * (1 - expected) / trials), rtol=0.25)
    # Estimated it is: whole numbers of trials.
    np.testing.assert_allclose(found.probabilities * trials, np.round(found.probabilities * trials), atol=1e-9)


def test_the_layers_pairing_draws_partners_from_it():
    x, draws = noise(6, seed=8), 500
    pairing = OptimalTransportPairing(k=3)
    partners = [int(pairing([tf.constant(x)], seed=seed).partner[4]) for seed in range(draws)]
    counts = np.bincount(partners, minlength=6) / draws
    assert worst_deviation(counts, matching_distribution(x, 4, 3, trials=None).probabilities, draws) < critical(6)


def test_distances_are_squared():
    # Between {0, 3} and {4, 9}: plain distances 4 + 6 and 9 + 1 tie, squares 16 + 36 and 81 + 1 do not.
    x = np.array([[0.0], [3.0], [4.0], [9.0], [-900.0], [900.0]])
    found = matching_distribution(x, 1, 2, trials=None)
    np.testing.assert_allclose(found.probabilities, brute_force(x, 1, 2), atol=1e-12)
    # On a line matching is sorting: 3 is the lower of its group or the upper one, and meets the like.
    sorting = np.zeros(6)
    for mate in (0, 2, 3, 4, 5):
        for second in itertools.combinations({0, 2, 3, 4, 5} - {mate}, 2):
            sorting[sorted(second, key=lambda row: x[row, 0])[int(x[mate, 0] < 3)]] += 1
    np.testing.assert_allclose(found.probabilities, sorting / sorting.sum(), atol=1e-12)


def test_own_copies_are_partners_of_independent_groups_but_not_always():
    # Of {0, 1} and {1, 2} the shared sample is not left to itself: 1 + 1 is less than 4 + 0.
    x = np.array([[0.0], [1.0], [2.0]])
    found = matching_distribution(x, 1, 2, trials=None, disjoint=False)
    np.testing.assert_allclose(found.probabilities, brute_force(x, 1, 2, disjoint=False), atol=1e-12)
    assert 0 < found.probabilities[1] < 2 / 3  # it is in two of three groups


@settings(max_examples=20)
@given(st.integers(2, 3), st.integers(0, 1000))
def test_two_samples_are_as_likely_each_others_partners(k, seed):
    x = noise(2 * k + 1, seed=seed)
    table = np.array([matching_distribution(x, i, k, trials=None).probabilities for i in range(len(x))])
    np.testing.assert_allclose(table, table.T, atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    assert not np.diag(table).any()


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(0, 1000), st.booleans())
def test_mean_and_covariance_are_those_of_the_probabilities(k, seed, disjoint):
    x = noise(12, 3, seed) + 5
    found = matching_distribution(x, 3, k, trials=50, seed=seed, disjoint=disjoint)
    weights = found.probabilities
    np.testing.assert_allclose(found.mean, np.average(x, axis=0, weights=weights))
    np.testing.assert_allclose(found.covariance, np.cov(x.T, aweights=weights, ddof=0), atol=1e-12)
    assert sorted(found.indices) == np.flatnonzero(weights).tolist()
    assert (np.diff(weights[found.indices]) <= 0).all()


@pytest.mark.parametrize("disjoint", [True, False])
def test_plain_mixups_partners_are_uniform_without_drawing(disjoint):
    found = matching_distribution(noise(5), 2, 1, trials=3, disjoint=disjoint)
    expected = np.full(5, 0.2) if not disjoint else np.array([0.25, 0.25, 0, 0.25, 0.25])
    np.testing.assert_allclose(found.probabilities, expected)
    assert not found.standard_errors.any()


@settings(max_examples=15)
@given(st.sampled_from([1e-150, 1e-3, 1.0, 1e150]), st.floats(-1e3, 1e3), st.integers(0, 1000))
def test_it_moves_with_the_data(scale, offset, seed):
    x = noise(9, 3, seed)
    expected = matching_distribution(x, 1, 3, trials=40, seed=seed).probabilities
    rotation, _ = np.linalg.qr(noise(3, 3, seed + 1))
    for moved in (scale * x, x + offset, x @ rotation, -x):
        found = matching_distribution(moved, 1, 3, trials=40, seed=seed).probabilities
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("trials", [20, 4000])
def test_whether_products_are_tabled_beforehand_does_not_show(trials, monkeypatch):
    x = noise(40, 3)
    found = matching_distribution(x, 0, 4, trials=trials)
    # By its module's name: the package has a function of the same.
    monkeypatch.setattr(sys.modules[matching_distribution.__module__], "_LARGEST_TABLE", 0)
    np.testing.assert_array_equal(found.probabilities, matching_distribution(x, 0, 4, trials=trials).probabilities)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float16", "bfloat16", "int64"])
def test_images_of_any_number_are_flattened_and_compared_exactly(dtype):
    images = tf.cast(
        np.random.default_rng(2).integers(0, 256, size=(10, 3, 4)) % (2 if dtype == "bool" else 256), dtype
    )
    found = matching_distribution(images, 0, 3, trials=30)
    flat = tf.cast(images, tf.float64).numpy().reshape(10, 12)
    np.testing.assert_array_equal(found.probabilities, matching_distribution(flat, 0, 3, trials=30).probabilities)
    assert found.mean.dtype == np.float64 and found.covariance.shape == (12, 12)


def test_larger_groups_bring_partners_nearer():
    x = noise(200)
    spreads = [np.trace(matching_distribution(x, 0, k, trials=500).covariance) for k in (1, 4, 32)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[2] < spreads[0] / 2


def test_the_seed_decides():
    first, again, other = (matching_distribution(noise(20), 0, 4, 30, seed).probabilities for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def table_of(pairs, size):
    table = np.zeros((size, size))
    np.add.at(table, (pairs.sample, pairs.partner), pairs.weights / len(pairs.sample))
    return size * table


@pytest.mark.parametrize("disjoint", [True, False])
@pytest.mark.parametrize("size", [6, 7])
def test_pairs_of_all_samples_have_their_distributions(size, disjoint):
    # Six samples are cut without remainder, seven are not.
    k, trials = 3, 3000
    x = noise(size, seed=4)
    expected = np.array([brute_force(x, i, k, disjoint) for i in range(size)])
    exact = matched_pairs(x, k, None, 0, disjoint)
    np.testing.assert_allclose(table_of(exact, size), expected, atol=1e-12)
    drawn = matched_pairs(x, k, trials, 0, disjoint)
    assert len(drawn.sample) == trials
    for sample, weights in zip(drawn.sample[:20], drawn.weights, strict=False):
        np.testing.assert_allclose(np.bincount(sample, weights, size), np.full(size, 1 / size))
    # Each trial has at least one partner of each sample.
    assert worst_deviation(table_of(drawn, size), expected, trials) < critical(size**2)


def test_flat_samples_keep_their_numbers():
    x, k = flat_samples(np.zeros((4, 2, 3), np.uint8), 2)
    assert x.shape == (4, 6) and x.dtype == np.uint8 and k == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be an integer >= 1. Received: k=0."),
        ({"k": 2.0}, ValueError, "k must be an integer >= 1"),
        ({"k": 5}, ValueError, r"x must hold at least 2 k = 10 samples. Received: x of shape \(9, 2\)"),
        ({"k": 10, "disjoint": False}, ValueError, "x must hold at least k = 10 samples"),
        ({"index": 9}, ValueError, r"index must be in \[0, 9\). Received: index=9."),
        ({"index": -1}, ValueError, "index must be an integer >= 0"),
        ({"trials": 0}, ValueError, "trials must be an integer >= 1"),
        ({"seed": None}, ValueError, "seed must be an integer >= 0"),
        ({"disjoint": 1}, ValueError, "disjoint must be True or False"),
        ({"x": [[np.nan]] * 9}, ValueError, "x must be finite"),
        ({"x": [["a"]] * 9}, TypeError, "x must be real numbers"),
        ({"x": [[1j]] * 9}, TypeError, "x must be real numbers"),
        ({"x": np.zeros((9, 0))}, ValueError, "x must hold at least"),
        ({"x": 3.0}, ValueError, "x must hold at least"),
        ({"x": noise(60), "k": 8, "trials": None}, ValueError, "trials must be an integer, as there are more pairs"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=f"matching_distribution: {message}"):
        matching_distribution(**{"x": noise(9), "index": 0, "k": 2, **arguments})
