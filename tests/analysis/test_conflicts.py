"""What mixing adds to conflicts, against brute force over the pairs drawn and enumeration of all pairs and ratios."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kmix_tf.analysis import conflicts
from kmix_tf.analysis.conflicts import conflicts_by_alpha, label_conflicts

# The chance that one statistical assertion fails for a right share, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def clusters(size, dimension, classes, seed):
    generator = np.random.default_rng(seed)
    y = np.arange(size) % classes
    return generator.normal(size=(size, dimension)) + generator.normal(size=(classes, dimension))[y], y


def xor(size, dimension, seed):
    x = np.random.default_rng(seed).normal(size=(size, dimension))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def nearest_class(point, x, y, first, second):
    distances = np.linalg.norm(x - point, axis=1)
    distances[[first, second]] = np.inf
    return y[distances.argmin()]


def conflict_and_baseline(x, y, first, second, ratio):
    """Whether the mixture meets a class of neither end, and the ends' share of the same, each by what it weighs."""
    points = (ratio * x[first] + (1 - ratio) * x[second], x[first], x[second])
    foreign = [nearest_class(point, x, y, first, second) not in (y[first], y[second]) for point in points]
    return foreign[0], ratio * foreign[1] + (1 - ratio) * foreign[2]


def recorded(patch):
    drawn, draw = [], conflicts.pairs_of
    patch.setattr(conflicts, "pairs_of", lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1])
    return drawn


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(2, 5), st.sampled_from([0.0, 0.3, 1.0, 99.0]), st.integers(0, 1000))
def test_the_baseline_is_what_both_ends_of_the_same_pairs_meet_unmixed(dimension, classes, alpha, seed):
    # Of twelve samples many have their partner for a neighbour, which does not count.
    x, y = clusters(12, dimension, classes, seed)
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = label_conflicts(x, y, alpha, mixtures=200, seed=seed)

    told = [conflict_and_baseline(x, y, *pair) for pair in zip(*drawn[0], strict=True)]
    conflict, baseline = np.array(told, float).T
    assert found.share == conflict.mean() and found.baseline == pytest.approx(baseline.mean())
    assert found.excess == pytest.approx((conflict - baseline).mean(), abs=1e-12)
    assert found.excess_low <= found.excess <= found.excess_high


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 8), st.integers(2, 4), st.integers(0, 1000))
def test_the_baseline_of_a_triple_is_how_often_ends_meet_that_class(dimension, classes, seed):
    x, y = clusters(15, dimension, classes, seed)
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = label_conflicts(x, y, 1.0, mixtures=150, seed=seed)
    for kind in found.triples:
        met = [
            ratio * (nearest_class(x[i], x, y, i, j) == kind.nearest_class)
            + (1 - ratio) * (nearest_class(x[j], x, y, i, j) == kind.nearest_class)
            for i, j, ratio in zip(*drawn[0], strict=True)
            if sorted((y[i], y[j])) == [kind.first_class, kind.second_class]
        ]
        assert len(met) == kind.mixtures and kind.baseline == pytest.approx(np.mean(met))


@pytest.mark.parametrize("data", [xor(200, 20, 0), clusters(90, 2, 3, 1), (np.zeros((8, 2)), np.arange(8) % 3)])
def test_where_nothing_is_mixed_nothing_is_added(data):
    found = label_conflicts(*data, 0.0, mixtures=1000)
    assert found.excess == 0 and found.baseline == found.share
    for kind in found.triples:
        assert kind.baseline == pytest.approx(kind.share)


def test_mixtures_of_both_of_two_classes_conflict_with_none_mixed_or_not():
    x, y = xor(100, 20, 3)
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        found = label_conflicts(x, y, 1.0, mixtures=500)
    assert found.triples and all(kind.first_class == kind.second_class for kind in found.triples)
    told = np.array([conflict_and_baseline(x, y, *pair) for pair in zip(*drawn[0], strict=True)], float)
    is_across = y[drawn[0].first] != y[drawn[0].second]
    assert is_across.sum() > 200 and not told[is_across].any()
    # About half of the samples have a neighbour of the other class, half of the pairs are of one class.
    assert 0.15 < found.baseline < 0.35
    assert found.baseline == pytest.approx(told[~is_across, 1].sum() / 500)


@pytest.mark.parametrize("data", [clusters(9, 2, 3, 5), clusters(8, 1, 2, 2), xor(10, 3, 4)])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_the_excess_of_all_pairs_and_ratios_is_in_the_interval(data, alpha):
    x, y = data
    ratios = stats.beta(alpha, alpha).ppf((np.arange(100) + 0.5) / 100)
    pairs = itertools.permutations(range(len(x)), 2)
    told = [conflict_and_baseline(x, y, *pair, ratio) for pair in pairs for ratio in ratios]
    conflict, baseline = np.array(told, float).T
    found = label_conflicts(x, y, alpha, mixtures=40_000, confidence=1 - FALSE_ALARM, seed=1)
    assert found.excess_low < (conflict - baseline).mean() < found.excess_high
    # 40,000 draws of values in [0, 1] are off by less than five times 1/2 / 200.
    assert found.baseline == pytest.approx(baseline.mean(), abs=0.0125)
    assert found.excess_high - found.excess_low < 0.06


@pytest.mark.parametrize(("chances", "size"), [((0.01, 0.0), 100), ((0.3, 0.2), 50), ((0.0, 0.002), 400)])
def test_intervals_of_paired_differences_hold_what_they_promise_also_of_what_is_rare(chances, size):
    generator, (up, down) = np.random.default_rng(0), chances
    draws = generator.choice([1.0, -1.0, 0.0], (2000, size), p=[up, down, 1 - up - down])
    held = [low <= up - down <= high for _, low, high in (conflicts._mean(values, 0.95) for values in draws)]
    assert np.mean(held) >= 0.95


def test_the_same_pairs_are_drawn_at_each_alpha():
    x, y = clusters(30, 3, 3, 0)
    with pytest.MonkeyPatch.context() as patch:
        drawn = recorded(patch)
        each = [label_conflicts(x, y, alpha, mixtures=100, seed=4) for alpha in (0.2, 1.0, 32.0)]
    assert conflicts_by_alpha(x, y, (0.2, 1.0, 32.0), mixtures=100, seed=4) == each
    for other in drawn[1:]:
        assert np.array_equal(drawn[0].first, other.first) and np.array_equal(drawn[0].second, other.second)


def test_of_one_mixture_the_interval_is_everything():
    found = label_conflicts([[0.0], [1.0], [2.0]], [0, 1, 0], 1.0, mixtures=1)
    assert (found.excess_low, found.excess_high) == (-1, 1)
