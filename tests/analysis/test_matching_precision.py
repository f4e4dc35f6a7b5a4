"""How sure matched alphas are, what is reached where none is enough, and the xi of the k-mixup tables."""

import warnings

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.datasets import load_iris

from kmix_tf.analysis import match_alpha, matched_alpha, mean_matching_cost, perturbation


def gamma_squared(alpha):
    return 2 * integrate.quad(lambda x: x**2 * stats.beta.pdf(x, alpha, alpha), 0, 0.5)[0]


def on_a_line(x, k, trials, seed=0):
    """The mean cost of matching groups of k on a line, where matching is sorting."""
    rng, costs = np.random.default_rng(seed), np.empty(trials)
    for trial in range(trials):
        rows = rng.permutation(len(x))[: 2 * k]
        costs[trial] = np.square(np.sort(x[rows[:k]]) - np.sort(x[rows[k:]])).mean()
    return costs.mean()


X = np.random.default_rng(0).normal(size=60)
ALPHA = 0.15


@pytest.fixture(scope="module")
def truth():
    """The alpha that makes up for groups of 4, with a standard error of 0.5 % or so."""
    wanted = gamma_squared(ALPHA) * 2 * X.var() * 60 / 59 / on_a_line(X, 4, 60_000)
    return optimize.brentq(lambda alpha: gamma_squared(alpha) - wanted, 0.1, 100)


def test_alphas_of_many_seeds_lie_within_three_percent(truth):
    found = [matched_alpha(X, 4, ALPHA, seed=seed) for seed in range(16)]
    apart = np.array([each.alpha for each in found]) / truth - 1
    errors = np.array([each.standard_error / each.alpha for each in found])
    assert (2 * errors <= 0.03).all()
    # 95 of 100 are expected within 3 % (of a truth that is uncertain, too); 10 of 16 or less by chance in 10^-5.
    assert (np.abs(apart) < 0.03).sum() > 10
    assert abs(apart.mean()) < 0.015
    # The errors that are given are those that are made: chi square of 16 is within these in all but 10^-4.
    assert 0.35 < apart.std() / errors.mean() < 1.8
    assert found[3].alpha == match_alpha(X, 4, ALPHA, seed=3)


def test_a_hundred_trials_are_not_enough(truth):
    few = [match_alpha(X, 4, ALPHA, trials=100, seed=seed) for seed in range(16)]
    assert np.std(few) / truth > 0.03


def test_more_precision_takes_more_trials_and_is_kept(truth):
    fine = matched_alpha(X, 4, ALPHA, precision=0.02)
    assert 0.01 < 2 * fine.standard_error / fine.alpha <= 0.02
    assert fine.alpha == pytest.approx(truth, rel=0.05)


def test_what_falls_short_is_warned_of(monkeypatch):
    monkeypatch.setattr("kmix_tf.analysis.matching._MOST_TRIALS", 200)
    with pytest.warns(UserWarning, match=r"match_alpha: alpha is known within 0\.\d+ of itself, after 200 trials"):
        match_alpha(X, 4, ALPHA)
    with pytest.warns(UserWarning, match=r"mean_matching_cost: the cost of matching is known within 0\.\d+"):
        mean_matching_cost(X, 4, precision=1e-3)
    # Trials that are asked for are as many as they are.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match_alpha(X, 4, ALPHA, trials=20)


def test_the_largest_alpha_caps_and_what_it_reaches_is_told():
    found = matched_alpha(X, 20, 1.0, largest=5.0)
    assert (found.alpha, found.standard_error) == (5.0, 0)
    assert match_alpha(X, 20, 1.0, largest=5) == 5.0
    expected = np.sqrt(gamma_squared(5) * on_a_line(X, 20, 5000, seed=1))
    assert found.perturbation == pytest.approx(expected, rel=0.1)
    assert found.plain_perturbation == pytest.approx(np.sqrt(2 * X.var() * 60 / 59 / 12))
    assert found.perturbation < 0.8 * found.plain_perturbation
    # Of what lies in reach, nothing is capped.
    assert match_alpha(X, 4, ALPHA, largest=1e5) == match_alpha(X, 4, ALPHA)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_what_is_reached_has_the_datas_unit(scale):
    small, found = matched_alpha(X, 4, ALPHA, trials=50), matched_alpha(scale * X, 4, ALPHA, trials=50)
    for name in ("perturbation", "perturbation_error", "plain_perturbation"):
        assert getattr(found, name) == pytest.approx(scale * getattr(small, name), rel=1e-6, abs=0)
    assert perturbation(scale * X, 4, ALPHA) == pytest.approx(scale * perturbation(X, 4, ALPHA), rel=1e-6, abs=0)


def test_xi_is_that_of_the_papers_tables():
    # k-mixup's table of Iris, columns scaled to [0, 1], k = 1.
    x = load_iris().data
    x = (x - x.min(axis=0)) / np.ptp(x, axis=0)
    # The last is .2146, and the paper's own estimate of it, of some random pairs, .22.
    found = [perturbation(x, 1, alpha) for alpha in (0.05, 0.1, 1)]
    assert found == pytest.approx([0.07, 0.10, 0.22], abs=0.006)


def test_xi_is_the_root_of_what_is_drawn():
    rng, k, alpha = np.random.default_rng(1), 4, 0.7
    squares = []
    for _ in range(4000):
        rows, ratio = rng.permutation(60)[: 2 * k], rng.beta(alpha, alpha)
        apart = np.sort(X[rows[:k]]) - np.sort(X[rows[k:]])
        squares.append(np.square(min(ratio, 1 - ratio) * apart).mean())
    error = np.std(squares) / np.mean(squares) / 2 / np.sqrt(4000)
    xi = perturbation(X, k, alpha)
    # One in 10^5, beside 1 % of its own.
    assert abs(xi / np.sqrt(np.mean(squares)) - 1) < 4.5 * error + 0.01
    assert perturbation(X, k, 0) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest": 0.1}, "match_alpha: largest must be >= alpha, which is 0.15. Received: largest=0.1."),
        ({"largest": 0}, "match_alpha: largest must be > 0 and finite"),
        ({"largest": np.inf}, "match_alpha: largest must be > 0 and finite"),
        ({"precision": 0}, "match_alpha: precision must be > 0 and finite"),
    ],
    ids=str,
)
def test_other_bounds_and_precisions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        match_alpha(X, 4, ALPHA, **options)
    with pytest.raises(ValueError, match="perturbation: precision must be > 0"):
        perturbation(X, 4, ALPHA, precision=-1)
