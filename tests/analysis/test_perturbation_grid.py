"""Pairs of k and alpha at equal perturbation, against perturbations that are drawn one by one."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf.analysis import match_alpha, perturbation, perturbation_grid

X = np.random.default_rng(0).normal(size=(240, 5)) * [1, 2, 3, 1, 1]
KS, ALPHAS = [1, 2, 8], [0.2, 1.0]


def simulated(k, alpha, groups=1500, seed=1):
    """xi and its standard error: random groups, matched by SciPy, and ratios of NumPy's."""
    generator = np.random.default_rng(seed)
    squares = []
    for _ in range(groups):
        rows = generator.permutation(len(X))[: 2 * k]
        costs = cdist(X[rows[:k]], X[rows[k:]], "sqeuclidean")
        ratio = 0.5 if math.isinf(alpha) else generator.beta(alpha, alpha, size=k)
        squares.append(np.mean(np.minimum(ratio, 1 - np.asarray(ratio)) ** 2 * costs[linear_sum_assignment(costs)]))
    return np.sqrt(np.mean(squares)), np.std(squares) / np.sqrt(groups) / (2 * np.sqrt(np.mean(squares)))


GRID = perturbation_grid(X, KS, ALPHAS, best=1.0, seed=3)


@pytest.mark.parametrize("at", range(len(GRID)))
def test_each_point_perturbs_as_far_as_it_says(at):
    point = GRID[at]
    xi, error = simulated(point.k, point.alpha)
    # The grid is asked for within 3 % of xi squared. Five standard errors: one false alarm in 10^5 runs of all.
    assert abs(point.xi - xi) < 5 * error + 0.015 * xi


def test_points_of_the_grid_perturb_equally_far():
    full = [point for point in GRID if point.strategy == "full"]
    assert [(point.plain_alpha, point.k) for point in full] == list(itertools.product(ALPHAS, KS))
    for point in full:
        plain = perturbation(X, 1, point.plain_alpha)  # exact
        assert point.in_reach and point.alpha < math.inf
        assert point.wanted == pytest.approx(plain, rel=1e-9)
        assert point.xi == pytest.approx(plain, rel=1e-9)
        if point.k == 1:
            assert point.alpha == point.plain_alpha
        else:
            assert point.alpha == pytest.approx(match_alpha(X, point.k, point.plain_alpha), rel=0.08)


def test_of_the_same_trials_alphas_are_those_of_match_alpha():
    for point in perturbation_grid(X, KS, ALPHAS, "full", trials=50, seed=3):
        found = match_alpha(X, point.k, point.plain_alpha, trials=50, seed=3)
        assert point.alpha == pytest.approx(found, rel=1e-9)


def test_the_simple_strategy_keeps_alpha_at_one():
    simple = perturbation_grid(X, KS, ALPHAS, strategy="simple", seed=3)
    of_all = [point for point in GRID if point.strategy == "simple"]
    for point, other in zip(simple, of_all, strict=True):
        assert (point.k, point.alpha) == (other.k, other.alpha)
        assert point.xi == pytest.approx(other.xi, rel=0.03)
    assert [(point.k, point.alpha) for point in simple] == [(k, 1.0) for k in KS]
    xis = [point.xi for point in simple]
    assert xis == sorted(xis, reverse=True) and xis[-1] < 0.9 * xis[0]


def test_the_second_stage_waits_for_the_best():
    first = perturbation_grid(X, KS, ALPHAS, strategy="two-stage", seed=3)
    assert [(point.k, point.alpha) for point in first] == [(1, alpha) for alpha in ALPHAS]
    both = perturbation_grid(X, KS, ALPHAS, strategy="two-stage", best=0.2, seed=3)
    assert both[:2] == first
    assert [(point.k, point.plain_alpha) for point in both[2:]] == [(2, 0.2), (8, 0.2)]
    for point in both[2:]:
        assert point.xi == pytest.approx(both[0].xi, rel=1e-9)


def test_the_strategies_come_one_after_another():
    assert list(dict.fromkeys(point.strategy for point in GRID)) == ["simple", "two-stage", "full"]
    assert GRID[0][:4] == (1, 1.0, GRID[0].xi, "simple")


@pytest.mark.parametrize("largest", [None, 8.0])
def test_what_is_out_of_reach_is_said_and_not_dropped(largest):
    line = X[:, :1]
    with pytest.warns(UserWarning, match=r"perturbation_grid: no alpha.*k=32 at the xi of alpha=4"):
        points = perturbation_grid(line, [1, 32], [4.0], strategy="full", largest=largest)
    assert [(point.k, point.in_reach) for point in points] == [(1, True), (32, False)]
    out = points[1]
    assert out.alpha == (math.inf if largest is None else largest)
    assert out.xi < out.wanted == pytest.approx(points[0].xi)
    most = perturbation(line, 32, 1e6 if largest is None else largest, precision=0.01)
    assert out.xi == pytest.approx(most, rel=0.03)


def test_no_mixing_perturbs_nothing():
    points = perturbation_grid(X, KS, [0.0], strategy="full", trials=5)
    assert [(point.alpha, point.xi, point.in_reach) for point in points] == [(0.0, 0.0, True)] * 3


def test_the_seed_decides_and_scales_do_not():
    ours, again = (perturbation_grid(X, [4], [0.5], "full", trials=20, seed=5) for _ in range(2))
    assert ours == again != perturbation_grid(X, [4], [0.5], "full", trials=20, seed=6)
    large = perturbation_grid(X * 1e150, [4], [0.5], "full", trials=20, seed=5)
    assert large[0].alpha == pytest.approx(ours[0].alpha)
    assert large[0].xi == pytest.approx(1e150 * ours[0].xi)


def test_generators_and_ranges_are_lists_of_numbers():
    points = perturbation_grid(X, (2**i for i in range(2)), np.array([0.5, 1.0]), "full", trials=5)
    assert [(point.k, point.plain_alpha) for point in points] == [(1, 0.5), (2, 0.5), (1, 1.0), (2, 1.0)]


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("ks", [], ValueError),
        ("ks", [2, 2], ValueError),
        ("ks", [0], ValueError),
        ("ks", [1.5], ValueError),
        ("ks", 4, TypeError),
        ("alphas", [], ValueError),
        ("alphas", [-0.1], ValueError),
        ("alphas", [math.inf], ValueError),
        ("alphas", None, TypeError),
        ("strategy", "grid", ValueError),
        ("best", 0.3, ValueError),
        ("largest", 0.5, ValueError),
        ("trials", 0, ValueError),
        ("seed", -1, ValueError),
        ("precision", 0, ValueError),
    ],
)
def test_other_arguments_are_refused_by_name(argument, value, error):
    with pytest.raises(error, match=rf"perturbation_grid: {argument} must be .* Received: {argument}="):
        perturbation_grid(X, **{"ks": [1, 2], "alphas": [0.5, 1.0], argument: value})


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"perturbation_grid: x must hold at least 2 k = 400 samples"):
        perturbation_grid(X, [200], [1.0])
