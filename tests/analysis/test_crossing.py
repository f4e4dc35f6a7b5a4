"""Matches across clusters against enumeration, and against what must be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf.analysis.crossing import cross_match_bound, cross_match_limits, cross_match_share

# The chance that one statistical assertion fails for a right estimate, were its seeds chosen anew.
FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)


def crossing(first, second, labels_first, labels_second):
    """How many matches of two groups join different labels, by SciPy on squared distances."""
    columns = linear_sum_assignment(cdist(first, second, "sqeuclidean"))[1]
    return int((labels_first != labels_second[columns]).sum())


def all_group_pairs(size, k):
    for first in itertools.combinations(range(size), k):
        for second in itertools.combinations([row for row in range(size) if row not in first], k):
            yield list(first), list(second)


def test_the_lemma_as_printed_is_false():
    # Three clusters in a row, as far apart as one likes for their size, which is 0.
    points = np.array([[0.0], [4.0], [8.0]])
    found = crossing(points[[0, 1]], points[[1, 2]], np.array([0, 1]), np.array([1, 2]))
    printed = 0.5 * np.abs(np.subtract([1, 1, 0], [0, 1, 1])).sum()
    assert (found, printed) == (2, 1)
    assert cross_match_limits([1, 1, 0], [0, 1, 1]) == (1, 2)


@given(st.integers(1, 12), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_clusters_far_apart_are_matched_within_the_limits(k, clusters, seed):
    generator = np.random.default_rng(seed)
    # On a grid of spacing 1, with radius 0.2, so that gaps are wider than clusters.
    cells = generator.choice(25, clusters, replace=False)
    centres = np.stack(np.divmod(cells, 5), axis=1)
    labels = generator.integers(0, clusters, (2, k))
    first, second = centres[labels] + 0.1 * generator.uniform(-1, 1, (2, k, 2))
    counts = [np.bincount(row, minlength=clusters) for row in labels]
    least, most = cross_match_limits(*counts)
    found = crossing(first, second, *labels)
    assert least <= found <= most
    assert least == np.maximum(counts[0] - counts[1], 0).sum()
    if clusters == 2:
        assert found == least


@pytest.mark.parametrize("clusters", [3, 4, 6])
def test_the_most_is_reached(clusters):
    # One sample more at one end, one less at the other: matches pass it along the row.
    points = np.arange(clusters - 1.0)[:, np.newaxis]
    found = crossing(points, points + 1, np.arange(clusters - 1), np.arange(clusters - 1) + 1)
    limits = cross_match_limits([1] * (clusters - 1) + [0], [0] + [1] * (clusters - 1))
    assert found == limits.most == (clusters - 1) * limits.least


@given(st.integers(1, 10), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_matching_has_less_than_the_least(k, clusters, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, clusters, (2, k))
    first, second = generator.normal(size=(2, k, 2))
    counts = [np.bincount(row, minlength=clusters) for row in labels]
    assert crossing(first, second, *labels) >= cross_match_limits(*counts).least


def test_limits_of_many_pairs_of_groups_come_at_once():
    first, second = [[2, 0, 0], [1, 1, 0]], [[0, 2, 0], [1, 1, 0]]
    limits = cross_match_limits(first, second)
    assert limits.least.tolist() == [2, 0]
    assert limits.most.tolist() == [2, 0]


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("probabilities", [[1.0], [0.5, 0.5], [0.2, 0.3, 0.5], [0.25, 0.75, 0.0]])
def test_expectations_over_independent_samples_are_those_of_all_draws(probabilities, k):
    p = np.array(probabilities)
    draws = [np.array(counts) for counts in itertools.product(range(k + 1), repeat=len(p)) if sum(counts) == k]
    chances = [stats.multinomial.pmf(counts, k, p) for counts in draws]
    expected = sum(
        a * b * np.abs(r - s).sum() / 2
        for (r, a), (s, b) in itertools.product(zip(draws, chances, strict=True), repeat=2)
    )
    bound = cross_match_bound(p, k)
    assert bound.least == pytest.approx(expected / k, abs=1e-12)
    assert bound.most == pytest.approx(min(1, max(np.count_nonzero(p) - 1, 0) * expected / k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("counts", [[6], [3, 3], [1, 2, 4], [5, 0, 2]])
def test_expectations_over_disjoint_groups_are_those_of_all_groups(counts, k):
    labels = np.repeat(np.arange(len(counts)), counts)
    unequal = [
        np.abs(np.bincount(labels[a], minlength=9) - np.bincount(labels[b], minlength=9)).sum()
        for a, b in all_group_pairs(len(labels), k)
    ]
    assert cross_match_bound(counts, k).least == pytest.approx(np.mean(unequal) / (2 * k), abs=1e-9)


@pytest.mark.parametrize("sizes", [[0.5, 0.5], [0.1, 0.3, 0.6], [500, 300, 200], [20000] * 10])
def test_the_least_falls_as_the_theorem_says(sizes):
    k = [1, 4, 16, 64, 256]
    bound = cross_match_bound(sizes, k)
    assert (bound.least <= bound.rate).all()
    assert bound.rate * np.sqrt(k) == pytest.approx(np.full(5, bound.rate[0]))
    shares = np.array(sizes) / np.sum(sizes)
    # The printed p (p - 1) has no square root.
    assert (shares * (shares - 1) < 0).all()
    size = np.sum(sizes)
    finite = 1.0 if size == pytest.approx(1) else size / (size - 1)
    assert bound.rate[0] == pytest.approx(np.sqrt(shares * (1 - shares) * finite / 2).sum())


def test_the_rates_constant_is_that_of_a_normal_distribution():
    bound = cross_match_bound([0.2, 0.3, 0.5], 4000)
    assert bound.least / bound.rate == pytest.approx(np.sqrt(2 / np.pi), rel=1e-3)


def test_many_samples_are_as_good_as_probabilities():
    of_counts = cross_match_bound(np.array([2, 3, 5]) * 10**6, [1, 8, 64])
    of_probabilities = cross_match_bound([0.2, 0.3, 0.5], [1, 8, 64])
    for ours, theirs in zip(of_counts, of_probabilities, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def clusters(counts, distance, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    return generator.normal(size=(len(labels), 2)) + distance * labels[:, np.newaxis], labels


def test_two_clusters_far_apart_have_the_least_share():
    x, labels = clusters([70, 50], distance=100)
    k = [1, 2, 5, 20, 60]
    found, bound = cross_match_share(x, labels, k, trials=400), cross_match_bound([70, 50], k)
    np.testing.assert_array_equal(bound.least, bound.most)
    assert (np.abs(found.share - bound.least) <= Z * found.standard_error + 1e-12).all()
    # With all samples in the two groups, the share of k = 60 is still random; of one pair, it is all pairs'.
    assert found.standard_error[0] == 0 and (found.standard_error[1:] > 0).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_share_is_that_of_all_groups(k):
    x, labels = clusters([4, 2, 1], distance=1.5)
    trials = 3000
    shares = [crossing(x[a], x[b], labels[a], labels[b]) / k for a, b in all_group_pairs(7, k)]
    found = cross_match_share(x, labels, k, trials=trials, seed=2)
    assert abs(found.share - np.mean(shares)) <= Z * np.std(shares) / np.sqrt(trials) * (k > 1) + 1e-12
    if k > 1:
        assert found.standard_error == pytest.approx(np.std(shares) / np.sqrt(trials), rel=0.1)


def test_a_share_does_not_depend_on_what_else_is_asked():
    x, labels = clusters([20, 20], distance=2)
    several = cross_match_share(x, labels, np.array([2, 8]), trials=10, seed=3)
    for row, k in enumerate((2, 8)):
        one = cross_match_share(x, labels, k, trials=10, seed=3)
        assert one == (k, several.share[row], several.standard_error[row])
        assert [type(value) for value in one] == [int, float, float]
    assert several.k.tolist() == [2, 8]
    assert cross_match_share(x, labels, 8, trials=10, seed=4) != one


def test_labels_may_be_names_or_one_hot():
    x, labels = clusters([10, 10, 10], distance=2)
    expected = cross_match_share(x, labels, 4)
    for same in (labels - 7, labels.astype("U1"), np.eye(3)[labels], np.eye(3, dtype=bool)[labels], labels.tolist()):
        assert cross_match_share(x, same, 4) == expected
    assert cross_match_share(x, np.zeros(30, int), 4).share == 0
    assert cross_match_share(x, np.arange(30), 4).share == 1


@settings(max_examples=10)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_images_in_any_unit_are_matched_alike(k, seed):
    x, labels = np.random.default_rng(seed).normal(size=(16, 2, 3)), np.arange(16) % 3
    expected = cross_match_share(x, labels, k, trials=5)
    assert cross_match_share(7 - 1e-6 * x.reshape(16, 6), labels, k, trials=5) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": [2, 0]}, "k must be an integer >= 1. Received: k=0."),
        ({"k": []}, "k must be an integer >= 1, or several"),
        ({"k": 11}, "x must hold at least 2 k = 22 samples"),
        ({"trials": 1}, "trials must be an integer >= 2"),
        ({"trials": None}, "trials must be an integer >= 2"),
        ({"labels": [0, 1]}, "labels must hold one for each of 20 samples"),
        ({"labels": np.linspace(0, 1, 20)}, "labels must be classes or cluster ids"),
        ({"labels": np.full((20, 2), 0.5)}, "labels must be classes or cluster ids"),
        ({"x": np.full((20, 1), np.inf)}, "x must be finite"),
    ],
)
def test_shares_of_what_does_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"cross_match_share: {message}"):
        cross_match_share(**{"x": np.arange(20.0), "labels": np.arange(20) % 2, "k": 2, **arguments})


@pytest.mark.parametrize(
    ("sizes", "k", "message"),
    [
        ([0.5, 0.6], 2, "sizes must be"),
        ([-1, 5], 2, "sizes must be"),
        ([], 2, "sizes must be"),
        ([[1, 2]], 1, "sizes must be"),
        ([True, False], 1, "sizes must be"),
        ([np.nan, 1.0], 1, "sizes must be"),
        ([3, 4], 4, "sizes must be at least 2 k = 8 samples in all"),
        ([0.5, 0.5], 0, "k must be an integer >= 1"),
    ],
)
def test_bounds_of_what_does_not_fit_are_refused(sizes, k, message):
    with pytest.raises(ValueError, match=f"cross_match_bound: {message}"):
        cross_match_bound(sizes, k)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 1], [1, 2], "with as many samples in both groups"),
        ([1, 1], [1, 1, 0], "of one shape"),
        ([0.5, 0.5], [0.5, 0.5], "first must be integers >= 0"),
        ([1, 0], [2, -1], "second must be integers >= 0"),
    ],
)
def test_limits_of_what_does_not_fit_are_refused(first, second, message):
    with pytest.raises(ValueError, match=f"cross_match_limits: .*{message}"):
        cross_match_limits(first, second)
