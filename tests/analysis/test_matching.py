"""Matching costs against enumeration, and the alpha that makes up for them against quadrature."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from kmix_tf.analysis import match_alpha, mean_matching_cost
from kmix_tf.analysis.matching import alpha_for_cost

# The chance that one statistical assertion fails for a right estimate, were its seeds chosen anew.
FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)


def noise(size, dimension=2, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dimension))


def all_costs(x, k):
    """The least mean squared distance of each two disjoint groups of k, by trying all permutations."""
    squares = np.square(x[:, np.newaxis] - x[np.newaxis]).sum(axis=2)
    costs = []
    for rows in itertools.combinations(range(len(x)), 2 * k):
        for first in itertools.combinations(rows, k):
            second = [row for row in rows if row not in first]
            orders = itertools.permutations(second)
            costs.append(min(squares[list(first), list(order)].mean() for order in orders))
    return np.array(costs)


def gamma_squared(alpha):
    """E[min(l, 1 - l)^2] by quadrature, independent of the closed form."""
    # l = u^(1 / alpha) takes the singularity of the density at 0 away.
    if alpha < 1:
        norm = stats.beta.pdf(0.5, alpha, alpha) / 0.5 ** (2 * (alpha - 1))
        value, _ = integrate.quad(
            lambda u: u ** (2 / alpha) * (1 - u ** (1 / alpha)) ** (alpha - 1) / alpha, 0, 0.5**alpha
        )
        return 2 * norm * value
    spread = 40 / np.sqrt(8 * alpha + 4)
    value, _ = integrate.quad(lambda x: x**2 * stats.beta.pdf(x, alpha, alpha), max(0.5 - spread, 0), 0.5, limit=200)
    return 2 * value


@given(st.integers(2, 30), st.integers(1, 4), st.integers(0, 1000))
def test_for_single_samples_the_mean_over_all_pairs_is_exact(size, dimension, seed):
    x = 3 + noise(size, dimension, seed)
    pairs = [np.square(x[i] - x[j]).sum() for i, j in itertools.combinations(range(size), 2)]
    assert mean_matching_cost(x, 1) == pytest.approx(np.mean(pairs), rel=1e-9)


@pytest.mark.parametrize(("size", "k"), [(4, 2), (5, 2), (7, 2), (6, 3), (7, 3)])
def test_the_mean_is_that_of_all_pairs_of_groups(size, k):
    # With fewer than 4 k samples each trial is a shuffle of its own, so trials are independent.
    x, trials = noise(size, 2, seed=size), 3000
    costs = all_costs(x, k)
    mean = mean_matching_cost(x, k, trials=trials, seed=5)
    assert abs(mean - costs.mean()) <= Z * costs.std() / np.sqrt(trials) + 1e-12


def test_groups_of_one_shuffle_are_all_used():
    # Eight samples make two pairs of groups at a time. Their costs are of one shuffle, so at worst as good as half
    # as many trials.
    x, trials = noise(8, 2, seed=4), 3000
    costs = all_costs(x, 2)
    mean = mean_matching_cost(x, 2, trials=trials, seed=1)
    assert abs(mean - costs.mean()) <= Z * costs.std() / np.sqrt(trials / 2)
    # Two trials are the two halves of one shuffle: any one's cost lies among those enumerated.
    one, two = (mean_matching_cost(x, 2, trials=trials, seed=1) for trials in (1, 2))
    assert np.isclose(costs, one).any()
    assert np.isclose(costs, 2 * two - one).any()


@settings(max_examples=20)
@given(st.integers(2, 4), st.integers(0, 1000))
def test_on_a_line_matching_is_sorting(k, seed):
    x = noise(2 * k, 1, seed)[:, 0]
    sorted_costs = [
        np.square(np.sort(x[list(first)]) - np.sort(np.delete(x, first))).mean()
        for first in itertools.combinations(range(2 * k), k)
    ]
    for trial in range(5):
        assert np.isclose(sorted_costs, mean_matching_cost(x, k, trials=1, seed=trial)).any()


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_costs_move_with_the_data(k, seed, scale, offset):
    x = noise(12, 3, seed)
    rotation, _ = np.linalg.qr(noise(3, 3, seed + 1))
    cost = mean_matching_cost(x, k, trials=5, seed=seed)
    assert mean_matching_cost(x + offset, k, trials=5, seed=seed) == pytest.approx(cost, rel=1e-6)
    assert mean_matching_cost(x @ rotation, k, trials=5, seed=seed) == pytest.approx(cost)
    assert mean_matching_cost(x[:, ::-1], k, trials=5, seed=seed) == pytest.approx(cost)
    assert mean_matching_cost(scale * x, k, trials=5, seed=seed) == pytest.approx(scale**2 * cost)


def test_larger_groups_are_matched_at_less_cost():
    x = noise(64, 2)
    costs = [mean_matching_cost(x, k, trials=200) for k in (1, 2, 8, 32)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.3 * costs[0]


def test_images_and_integers_are_points_too():
    images = np.random.default_rng(2).integers(0, 256, size=(10, 3, 4), dtype=np.uint8)
    flat = images.reshape(10, 12).astype(np.float64)
    for k in (1, 3):
        assert mean_matching_cost(images, k, 4) == mean_matching_cost(flat, k, 4)
    assert mean_matching_cost(np.arange(4), 1) == pytest.approx(np.mean([1, 1, 1, 4, 4, 9]))


def test_the_seed_decides():
    x = noise(20)
    first, again, other = (mean_matching_cost(x, 4, 3, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("k", [2, 6])
def test_the_alpha_perturbs_as_much(alpha, k):
    x = noise(80, 12)
    matched = match_alpha(x, k, alpha, trials=40, seed=3)
    plain, cost = mean_matching_cost(x, 1), mean_matching_cost(x, k, trials=40, seed=3)
    assert cost < plain
    assert matched > alpha
    assert gamma_squared(matched) * cost == pytest.approx(gamma_squared(alpha) * plain, rel=1e-6)


@given(st.floats(0, 100))
def test_plain_mixup_keeps_its_alpha(alpha):
    assert match_alpha(noise(10), 1, alpha) == alpha


def test_no_mixing_stays_no_mixing():
    assert match_alpha(noise(10), 4, 0) == 0


@pytest.mark.parametrize("alpha", [1e-10, 1e-6, 1e-3])
def test_alphas_near_zero_are_matched(alpha):
    x = noise(40)
    matched = match_alpha(x, 4, alpha)
    # E[min(l, 1 - l)^2] is proportional to alpha there.
    expected = alpha * mean_matching_cost(x, 1) / mean_matching_cost(x, 4)
    assert matched == pytest.approx(expected, rel=0.02)


def test_samples_that_are_all_equal_keep_their_alpha():
    assert match_alpha(np.ones((10, 2)), 4, 0.7) == 0.7


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1e6, 1e10])
def test_where_all_pairs_cost_the_same_alpha_stays(alpha):
    # The corners of a simplex: all distances are equal, but for rounding.
    assert match_alpha(np.eye(6), 2, alpha) == pytest.approx(alpha, rel=1e-3)


def test_the_alpha_is_never_less_than_that_of_plain_mixup():
    # Matching costs at most what random pairs do; a few trials may say otherwise.
    matched = [match_alpha(noise(40, 100, seed), 2, 1.0, trials=3, seed=seed) for seed in range(20)]
    assert min(matched) >= 1


def test_the_alpha_does_not_depend_on_the_datas_unit():
    x = noise(40, 6)
    matched = match_alpha(x, 4, 0.5, trials=20)
    for other in (x + 100, -7 * x, 1e-6 * x):
        assert match_alpha(other, 4, 0.5, trials=20) == pytest.approx(matched, rel=1e-6)


def test_where_no_alpha_will_do_the_error_says_what_is_reachable():
    x = noise(200, 1)
    with pytest.raises(ValueError, match=r"match_alpha: no alpha .* largest reachable is below") as caught:
        match_alpha(x, 50, 1.0, trials=20)
    asked, reachable = (
        float(re.search(pattern, str(caught.value))[1])
        for pattern in (r"perturbation of ([\d.e-]+) asked", r"reachable is below ([\d.e-]+\d)")
    )
    # Ratios of a half perturb most, by a quarter of the cost. Numbers are printed with six digits.
    assert reachable == pytest.approx(mean_matching_cost(x, 50, trials=20) / 4, rel=1e-5)
    assert asked == pytest.approx(gamma_squared(1.0) * mean_matching_cost(x, 1), rel=1e-5)
    assert asked > reachable


def test_just_below_what_is_reachable_there_is_an_alpha():
    # Costs a little above and below the least that makes alpha = 1 reachable: four times gamma squared = 1/12.
    for margin in (1e-2, 1e-3, 1e-4):
        matched = alpha_for_cost(1.0, 3.0, 1 + margin)
        assert gamma_squared(matched) * (1 + margin) == pytest.approx(0.25, rel=1e-6)
    for margin in (1e-5, 0.0, -1e-5, -1e-2):
        # So near that only an alpha beyond all use would do, it may be refused, but in our words.
        try:
            assert alpha_for_cost(1.0, 3.0, 1 + margin) > 1e8
        except ValueError as error:
            assert "largest reachable is below" in str(error)


@pytest.mark.parametrize("k", [0, 2.0, True, None])
def test_other_ks_are_refused(k):
    with pytest.raises(ValueError, match=r"mean_matching_cost: k must be an integer >= 1. Received: k="):
        mean_matching_cost(noise(10), k)


@pytest.mark.parametrize(("argument", "value"), [("trials", 0), ("trials", 1.5), ("seed", -1), ("seed", None)])
def test_other_trials_and_seeds_are_refused(argument, value):
    with pytest.raises(
        ValueError, match=rf"mean_matching_cost: {argument} must be an integer >= [01]. Received: {argument}="
    ):
        mean_matching_cost(noise(10), 2, **{argument: value})


@pytest.mark.parametrize("alpha", [-1, float("nan"), "1", None])
def test_other_alphas_are_refused(alpha):
    with pytest.raises(ValueError, match=r"match_alpha: alpha must be >= 0 and finite. Received: alpha="):
        match_alpha(noise(10), 2, alpha)


@pytest.mark.parametrize("x", [np.zeros((7, 2)), np.zeros(0), np.float64(3)], ids=["7 for 8", "none", "a number"])
def test_too_few_samples_are_refused(x):
    with pytest.raises(ValueError, match=r"mean_matching_cost: x must hold at least 2 k = 8 samples. Received: x of"):
        mean_matching_cost(x, 4)


def test_alpha_is_matched_at_any_scale_and_whether_or_not_squares_are_floats():
    x = noise(12)
    expected = match_alpha(x, 2, 0.5)
    for scale in (1e-315, 1e-200, 1e-140, 1e140, 1e200, 1e307):
        assert match_alpha(x * scale, 2, 0.5) == pytest.approx(expected, rel=1e-6)


def test_costs_beyond_floats_are_refused():
    with pytest.raises(
        ValueError, match=r"mean_matching_cost: x must be near enough for squared distances to be fin"
    ):
        mean_matching_cost(noise(12) * 1e200, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 2)), r"x must hold at least 2 k = 4 samples. Received: x of shape \(3, 2\)."),
        ([], r"x must hold at least 2 k = 4 samples. Received: x of shape \(0,\)."),
        (np.zeros((12, 0)), r"x must have features. Received: x of shape \(12, 0\)."),
    ],
    ids=["too few", "none", "no features"],
)
def test_both_functions_refuse_the_same_data_in_their_own_name(x, message):
    with pytest.raises(ValueError, match=f"match_alpha: {message}"):
        match_alpha(x, 2, 0.5)
    with pytest.raises(ValueError, match=f"mean_matching_cost: {message}"):
        mean_matching_cost(x, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="mean_matching_cost: x must be finite"):
        mean_matching_cost(np.array([0.0, 1.0, value, 2.0]), 1)
