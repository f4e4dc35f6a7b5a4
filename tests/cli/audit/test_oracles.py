"""Each measure against brute force on small data."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from kmix_tf.analysis.optimal_classifier import mixup_optimal_classifier
from kmix_tf.cli.audit.measuring import ALPHAS, STEPS, flattened, harm, measure
from kmix_tf.cli.audit.measuring.distances import measure_locality, measure_matching, sizes
from kmix_tf.cli.audit.measuring.harm import measure_conflicts, measure_contradictions, measure_steepness
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import UserError


def clouds(count=60, classes=3, features=5, seed=0):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, classes, count)
    y[:classes] = range(classes)
    x = generator.normal(size=(count, features)) + 2 * np.eye(classes, features)[y]
    return x - x.mean(axis=0), y


def sample_of(x, y, folder):
    np.savez(folder / "d.npz", x=x, y=y)
    return collect(open_data([str(folder / "d.npz")], Options()), 10_000, 0)


def other_distances(x, y):
    """Of each sample to the nearest of another class."""
    return np.where(y[:, np.newaxis] == y, np.inf, cdist(x, x)).min(axis=1)


def test_each_sample_is_asked_in_a_ball_of_half_the_distance_to_another_class(monkeypatch):
    monkeypatch.setattr(harm, "_ASKED", 1000)
    x, y = clouds(40, features=2, seed=4)
    told = measure_contradictions(x.astype(np.float32), y, [0.2, 4.0, 32.0], 0)
    x = x.astype(np.float32).astype(float)
    shares = []
    for row in told["by_alpha"]:
        wrong = []
        for i, radius in enumerate(other_distances(x, y) / 2):
            (prediction,) = mixup_optimal_classifier(x, y, x[[i]], row["alpha"], radius)
            wrong.append(prediction.max() > prediction[y[i]] + 1e-9)
        assert row["share"] == np.mean(wrong)
        assert row["examples"] == np.flatnonzero(wrong)[:5].tolist()
        shares.append(row["share"])
    assert told["asked"] == told["samples"] == 40 and len(set(shares)) > 1


def test_samples_with_a_copy_of_another_class_are_not_asked(monkeypatch):
    monkeypatch.setattr(harm, "_ASKED", 1000)
    x, y = clouds(30, features=2)
    x[7], y[7], y[3] = x[3], 0, 1
    assert measure_contradictions(x.astype(np.float32), y, [1.0], 0)["asked"] == 28


def test_as_many_samples_are_asked_as_said_and_rows_are_those_of_the_data(monkeypatch):
    monkeypatch.setattr(harm, "_ASKED", 9)
    monkeypatch.setattr(harm, "_ASKED_AMONG", 25)
    monkeypatch.setattr(harm, "_LEAST_SAMPLES", 5)
    x = np.arange(300.0)[:, np.newaxis].astype(np.float32)
    y = np.arange(300) % 2
    told = measure_contradictions(x, y, [32.0], 3)
    assert (told["samples"], told["asked"]) == (25, 9)
    assert told == measure_contradictions(x, y, [32.0], 3)
    assert (
        all(0 <= row < 300 for row in told["by_alpha"][0]["examples"]) and max(told["by_alpha"][0]["examples"]) > 25
    )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 32.0])
def test_the_share_in_conflict_is_that_of_all_pairs_and_ratios(alpha):
    x, y = clouds(24, features=2, seed=2)
    told = measure_conflicts(x, y, [alpha], 0)
    ratio = stats.beta(alpha, alpha).ppf((np.arange(200) + 0.5) / 200)[:, np.newaxis]
    foreign = []
    for i, j in itertools.permutations(range(24), 2):
        distances = cdist(ratio * x[i] + (1 - ratio) * x[j], x)
        distances[:, [i, j]] = np.inf
        foreign.append(~np.isin(y[distances.argmin(axis=1)], (y[i], y[j])))
    expected = np.mean(foreign)
    assert 0.02 < expected < 0.98
    # Five standard deviations of 4,000 mixtures, which are drawn almost independently.
    assert abs(told["by_alpha"][0]["share"] - expected) < 5 * math.sqrt(expected * (1 - expected) / told["mixtures"])
    assert told["by_alpha"][0]["low"] < told["by_alpha"][0]["share"] < told["by_alpha"][0]["high"]


def gamma_squared(alpha):
    """E min(l, 1 - l)^2 under Beta(alpha, alpha), by quadrature over quantiles."""
    ratio = stats.beta(alpha, alpha).ppf((np.arange(50_000) + 0.5) / 50_000)
    return np.mean(np.minimum(ratio, 1 - ratio) ** 2)


def test_what_matching_costs_and_joins_is_what_the_best_permutations_do():
    x, y = clouds(40, seed=1)
    told = {row["k"]: row for row in measure_matching(x, y, [0.2, 1.0], 0)["by_k"]}
    assert sorted(told) == sizes(40) == [1, 2, 4, 8, 16]
    squares = cdist(x, x, "sqeuclidean")
    pairs = np.triu_indices(40, 1)
    assert told[1]["cost"] == pytest.approx(squares[pairs].mean())
    assert told[1]["cross_share"] == pytest.approx((y[pairs[0]] != y[pairs[1]]).mean())
    generator = np.random.default_rng(9)
    for k in (2, 8):
        costs, crossing = [], []
        for _ in range(1500):
            rows = generator.permutation(40)[: 2 * k]
            cost = squares[np.ix_(rows[:k], rows[k:])]
            _, match = linear_sum_assignment(cost)
            costs.append(cost[np.arange(k), match].mean())
            crossing.append((y[rows[:k]] != y[rows[k:]][match]).mean())
        # 50 draws there and 1,500 here: five standard errors of a difference.
        for name, found in (("cost", costs), ("cross_share", crossing)):
            assert abs(told[k][name] - np.mean(found)) < 5 * np.std(found) * math.sqrt(1 / 50 + 1 / 1500), name
        assert told[k]["distance"] == pytest.approx(math.sqrt(told[k]["cost"]))
        assert told[k]["least_share"] <= np.mean(crossing)


def test_alpha_k_perturbs_as_much_as_plain_mixup():
    x, y = clouds(40, seed=1)
    rows = measure_matching(x, y, [0.2, 1.0], 0)["by_k"]
    plain = rows[0]["cost"]
    reached = [(row, found) for row in rows for found in row["alphas"] if found["alpha_k"] is not None]
    assert len(reached) >= 5
    for row, found in reached:
        perturbed = gamma_squared(found["alpha_k"]) * row["cost"]
        assert perturbed == pytest.approx(gamma_squared(found["alpha"]) * plain, rel=1e-3)
    for row in rows:
        for found in row["alphas"]:
            if found["alpha_k"] is None:
                # Even ratios of 1/2 perturb too little.
                assert row["cost"] / 4 <= gamma_squared(found["alpha"]) * plain


def test_groups_are_as_large_as_twice_fits():
    assert sizes(3) == [1] and sizes(4) == [1, 2] and sizes(127) == [1, 2, 4, 8, 16, 32] and sizes(128)[-1] == 64


def test_epsilon_is_the_median_distance_to_another_class_and_the_threshold_keeps_pairs_so_near():
    x, y = clouds(30)
    told = measure_locality(x, y, 0)
    assert told["epsilon"] == pytest.approx(np.median(other_distances(x, y)))
    assert told["rate"] == pytest.approx(math.log(2) / told["epsilon"])
    pairs = np.triu_indices(30, 1)
    distances, same = cdist(x, x)[pairs], y[pairs[0]] == y[pairs[1]]
    assert sum(told["same"]) == same.sum() and sum(told["other"]) == (~same).sum()
    np.testing.assert_array_equal(told["same"], np.histogram(distances[same], told["edges"])[0])
    # A batch of all 30, each with a random partner: so many pairs on average are near enough.
    assert told["batch_size"] == 30
    assert told["effective_batch"] == pytest.approx(30 * (distances <= told["epsilon"]).mean(), rel=0.4)
    assert told["plain_same_class"] == pytest.approx(same.mean(), abs=0.08)
    assert told["same_class"] > told["plain_same_class"]


def segment_distance(a, b, c, d, steps=120):
    """Of two segments, on a grid."""
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    return cdist(a + t * (b - a), c + t * (d - c)).min()


def test_q_is_one_by_the_least_distance_of_segments_of_two_classes():
    generator = np.random.default_rng(148)
    x, y = generator.normal(size=(9, 2)) + np.repeat([[0, 0], [4, 0], [0, 4]], 3, axis=0), np.repeat([0, 1, 2], 3)
    # Longer segments come nearer to another class, so that half of epsilon would give another number.
    epsilon = float(np.quantile(cdist(x, x)[y[:, np.newaxis] == y], 0.75))
    told = measure_steepness(x, y, epsilon, 0)
    expected = {}
    for name, limit in (("vanilla", 0), ("local", epsilon), ("full", np.inf)):
        segments = [
            (i, j)
            for i, j in itertools.combinations_with_replacement(range(9), 2)
            if y[i] == y[j] and np.linalg.norm(x[i] - x[j]) <= limit
        ]
        nearest = min(
            segment_distance(x[i], x[j], x[k], x[m])
            for (i, j), (k, m) in itertools.combinations(segments, 2)
            if y[i] != y[k]
        )
        expected[name] = 1 / nearest
    assert told["vanilla"] == pytest.approx(expected["vanilla"])
    # The grid misses the nearest points by a little, so that its distance is too large.
    for name in ("local", "full"):
        assert expected[name] * (1 - 1e-9) <= told[name] < 1.05 * expected[name]
    assert 1.1 * told["vanilla"] < told["local"] < told["full"] / 1.1 and told["samples"] == 9


def test_without_two_classes_in_the_subset_there_is_no_q(monkeypatch):
    x = np.arange(20.0)[:, np.newaxis]
    y = (np.arange(20) == 19).astype(int)
    monkeypatch.setattr(harm, "_JOINED", 3)
    told = measure_steepness(x, y, 1.0, 0)
    assert told["full"] is None and "one class" in told["reason"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardizing_is_dividing_by_the_spread_and_leaves_what_is_constant(dtype):
    x = (np.random.default_rng(0).normal(size=(50, 2, 2)) * [1, 1000] + 500).astype(dtype)
    x[:, 1, 1] = 7
    plain, scaled = flattened(x, False), flattened(x, True)
    flat = x.reshape(50, 4).astype(float)
    np.testing.assert_allclose(plain, flat - flat.mean(axis=0), atol=1e-3 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(scaled[:, :3].std(axis=0), 1, rtol=1e-5)
    assert not scaled[:, 3].any() and plain.dtype == scaled.dtype == dtype


def test_all_measures_are_taken_and_told_in_order(tmp_path):
    x, y = clouds(40)
    told = []
    measures = measure(
        sample_of(x * [1, 1, 9, 1, 1], y, tmp_path), False, 0, lambda what, done: told.append((what, done))
    )
    assert [done for _, done in told] == list(range(STEPS + 1)) and told[-1][0] == "measured"
    assert [row["alpha"] for row in measures["contradictions"]["by_alpha"]] == list(ALPHAS)
    variance = (x * [1, 1, 9, 1, 1]).var(axis=0)
    assert measures["scales"]["widest"] == "2"
    assert measures["scales"]["share"] == pytest.approx(variance[2] / variance.sum())
    balance = measures["balance"]["classes"]
    assert [row["samples"] for row in balance] == np.bincount(y).tolist() == [row["measured"] for row in balance]
    assert sum(row["share"] for row in balance) == pytest.approx(1)
    assert measures["closeness"]["least"] == pytest.approx(other_distances(x * [1, 1, 9, 1, 1], y).min(), rel=1e-4)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_units_do_not_matter_however_small_or_large(factor, tmp_path):
    x, y = clouds(30)
    plain, scaled = (measure(sample_of(x * scale, y, tmp_path), False, 0) for scale in (1.0, factor))
    assert scaled["contradictions"] == plain["contradictions"]
    assert scaled["closeness"]["median"] == pytest.approx(factor * plain["closeness"]["median"], rel=1e-5)
    assert scaled["locality"]["epsilon"] == pytest.approx(factor * plain["locality"]["epsilon"])


@pytest.mark.parametrize(("factor", "received"), [(0.0, "all samples are equal"), (1e-200, "values of size")])
def test_distances_that_cannot_be_squared_are_refused(factor, received, tmp_path):
    x, y = clouds(30)
    with pytest.raises(UserError, match=f"distances must be measurable. Received: {received}"):
        measure(sample_of(x * factor, y, tmp_path), False, 0)
