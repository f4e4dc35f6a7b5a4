import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import beta

from kmix_tf.cli.audit.measuring import turned
from kmix_tf.cli.audit.measuring.distances import measure_closeness, measure_matching, nearest
from kmix_tf.cli.audit.measuring.harm import measure_conflicts, measure_contradictions, measure_intrusion


def clouds(count=60, classes=3, features=5, spread=1.0, seed=0):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, classes, count)
    y[:classes] = range(classes)
    x = spread * generator.normal(size=(count, features)) + 3 * np.eye(features)[y]
    return x.astype(np.float32), y


def test_neighbours_are_those_of_all_distances():
    x, y = clouds(700)
    found, all_of_them = nearest(x, y), cdist(x.astype(float), x.astype(float))
    np.fill_diagonal(all_of_them, np.inf)
    same = np.where(y[:, np.newaxis] == y, all_of_them, np.inf)
    other = np.where(y[:, np.newaxis] == y, np.inf, all_of_them)
    np.testing.assert_allclose(found.same_distance, same.min(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.other_distance, other.min(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found.other, other.argmin(axis=1))


def test_a_sample_alone_in_its_class_is_infinitely_far_from_its_own():
    found = nearest(np.array([[0], [1], [5]], np.float32), np.array([0, 0, 1]))
    assert found.same_distance.tolist() == [1, 1, np.inf] and found.other_distance.tolist() == [5, 4, 4]


def test_closeness_is_told_in_units_of_the_data_with_each_pair_once():
    x = np.array([[0], [2], [3], [9]], np.float32)
    told = measure_closeness(x / 10, np.array([0, 0, 1, 1]), 10.0)
    assert told["least"] == pytest.approx(1) and told["median"] == pytest.approx((1 + 3) / 2)
    # 2 and 3 are nearest to one another.
    assert told["nearest_is_other"] == 0.5
    assert [(pair["first"], pair["second"]) for pair in told["examples"]] == [(1, 2), (0, 2), (1, 3)]


def _mean_label_near(x, y, point, radius, alpha, draws, generator):
    """Labels of random mixtures in the ball, by simulation."""
    first, second = generator.integers(0, len(x), (2, draws))
    ratio = generator.beta(alpha, alpha, draws)
    inside = np.abs(ratio * x[first, 0] + (1 - ratio) * x[second, 0] - point) < radius
    hot = np.eye(y.max() + 1)[y]
    return (ratio[:, np.newaxis] * hot[first] + (1 - ratio)[:, np.newaxis] * hot[second])[inside].mean(axis=0)


@pytest.mark.parametrize("alpha", [1.0, 32.0])
def test_contradicted_labels_are_those_that_simulated_mixtures_outvote(alpha):
    x = np.array([[0.0], [1.0], [2.0], [4.0], [5.5]], np.float32)
    y = np.array([0, 1, 0, 1, 0])
    radius = cdist(x, x)
    radius = np.where(y[:, np.newaxis] == y, np.inf, radius).min(axis=1) / 2
    generator = np.random.default_rng(0)
    expected = []
    for i in range(len(x)):
        label = _mean_label_near(x, y, x[i, 0], radius[i], alpha, 400_000, generator)
        # Clear enough that 400,000 draws cannot be mistaken.
        assert abs(label[0] - label[1]) > 0.01
        expected.append(label.argmax() != y[i])
    told = measure_contradictions(x, y, [alpha], 0)
    assert told["asked"] == 5 and told["by_alpha"][0]["share"] == np.mean(expected)
    assert told["by_alpha"][0]["examples"] == np.flatnonzero(expected).tolist()


def test_where_each_sample_has_a_copy_of_another_class_none_is_asked_and_the_reason_told():
    x = np.repeat(np.arange(4.0), 2)[:, np.newaxis].astype(np.float32)
    told = measure_contradictions(x, np.arange(8) % 2, [1.0], 0)
    assert (
        told["asked"] == 0
        and told["by_alpha"][0]["share"] is None
        and "another class" in told["by_alpha"][0]["reason"]
    )


def test_conflicts_between_three_points_on_a_line_are_what_the_ratio_says():
    # Mixtures of -2 and 3 are nearest to 0 if it is nearer than other samples of both classes, at -2.1 and 3.1.
    x = np.array([[-2.0], [-2.1], [0.0], [0.1], [3.0], [3.1]])
    y = np.array([0, 0, 1, 1, 2, 2])
    told = measure_conflicts(x, y, [1.0, 8.0], 0)
    for row in told["by_alpha"]:
        shares = [pair["share"] - pair["baseline"] for pair in row["worst"]]
        assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1]
        (worst,) = (pair for pair in row["worst"] if pair["classes"] == [0, 2])
        assert worst["third"] == 1
        expected = np.mean([_share_near_zero(a, b, row["alpha"]) for a, b in itertools.product((0, 1), (4, 5))])
        # Some 1,067 mixtures of the pair: five standard deviations are below 0.08.
        assert abs(worst["share"] - expected) < 0.08


def _share_near_zero(first, second, alpha):
    x = np.array([-2.0, -2.1, 0.0, 0.1, 3.0, 3.1])
    ratio = beta.ppf((np.arange(4000) + 0.5) / 4000, alpha, alpha)
    points = ratio * x[first] + (1 - ratio) * x[second]
    others = np.delete(np.arange(6), [first, second])
    return np.isin(others[np.abs(points[:, np.newaxis] - x[others]).argmin(axis=1)], (2, 3)).mean()


def test_the_nearest_mixtures_are_as_far_from_their_sample_as_told():
    x, y = clouds(80)
    told = measure_intrusion(x.astype(float), y, [0.2, 1.0, 32.0], 0)
    assert told["examples"] and told["by_alpha"][1]["least"] == pytest.approx(told["examples"][0]["distance"])
    pairs = [(example["first"], example["second"]) for example in told["examples"]]
    assert len(set(pairs)) == len(pairs)
    for example in told["examples"]:
        mixture = example["ratio"] * x[example["first"]] + (1 - example["ratio"]) * x[example["second"]]
        assert np.linalg.norm(mixture - x[example["sample"]]) == pytest.approx(example["distance"], rel=1e-4)
        assert y[example["sample"]] not in (y[example["first"]], y[example["second"]])


def test_intrusion_is_measured_at_each_alpha():
    x, y = np.array([[0.0], [10.0], [5.0], [5.5]] * 10), np.array([0, 2, 1, 1] * 10)
    told = measure_intrusion(x, y, [1e-9, 1e4], 0)["by_alpha"]
    assert [row["alpha"] for row in told] == [1e-9, 1e4]
    # Mixtures that are one of their ends: the nearest samples of another class.
    assert told[0]["least"] == pytest.approx(4.5) and told[0]["mean"] == pytest.approx(np.mean([5, 4.5, 5, 4.5]))
    # Midpoints: those of 0 and 10 fall upon 5; of classes 1 and 1 none is nearer to 0 than 5, or to 10 than 5.5.
    assert told[1]["mean"] == pytest.approx(np.mean([5, 4.5, 0, 0.5]), abs=0.1) and told[1]["least"] < 0.05


def test_of_many_classes_of_which_few_were_drawn_measures_are_those_of_the_few():
    x, y = clouds()
    for measured in (measure_contradictions, measure_intrusion, measure_conflicts):
        few, many = (measured(x, labels, [1.0], 0) for labels in (y, 20_000 * y))
        if measured is measure_conflicts:
            for pair in few["by_alpha"][0]["worst"]:
                pair.update(classes=[20_000 * label for label in pair["classes"]], third=20_000 * pair["third"])
        assert few == many


def test_where_no_mixture_of_other_classes_is_met_the_reason_stands_for_each_alpha():
    told = measure_intrusion(np.arange(400.0)[:, np.newaxis], (np.arange(400) > 0).astype(int), [0.2, 1.0], 0)
    assert [(row["alpha"], row["least"], row["mean"]) for row in told["by_alpha"]] == [
        (0.2, None, None),
        (1.0, None, None),
    ]
    assert all("too few samples" in row["reason"] for row in told["by_alpha"]) and told["examples"] == []


@pytest.mark.parametrize("distance", [0.0, 3.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_matches_across_are_never_fewer_than_any_matching_has(distance, seed):
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, 150)
    x = generator.normal(size=(150, 3)) + distance * np.eye(3)[y]
    rows = measure_matching(x, y, [1.0], seed)["by_k"]
    assert all(row["least_share"] <= row["cross_share"] <= 1 for row in rows)
    # Far apart, nothing is left to chance but which groups are drawn, and that is known exactly.
    assert distance < 30 or rows[-1]["standard_error"] < 0.003
    assert rows[0]["standard_error"] == 0 < rows[-1]["cross_share"]


def test_estimates_of_matches_across_are_possible_and_never_certain():
    # Of a hundred classes of two, few draws hold a pair: most runs of fifty see no match within a class.
    y = np.arange(200) // 2
    x = np.random.default_rng(5).normal(size=(200, 5))
    within = np.array(
        [
            [measure_matching(x, y, [1.0], seed)["by_k"][1][key] for key in ("cross_share", "standard_error")]
            for seed in (1, 34, 38, 90)
        ]
    )
    assert (within[:, 0] <= 1).all() and (within[:, 0] >= 1 - 2 / 199).all()
    assert (within[:, 1] >= 1 / (2 * 50)).all()


def test_alphas_that_no_ratio_reaches_are_none_with_a_reason():
    x, y = clouds(200, features=3)
    rows = measure_matching(x, y, [0.2, 32.0], 0)["by_k"]
    assert [row["k"] for row in rows] == [1, 2, 4, 8, 16, 32, 64]
    assert rows[0]["alphas"] == [{"alpha": 0.2, "alpha_k": 0.2}, {"alpha": 32.0, "alpha_k": 32.0}]
    assert rows[-1]["alphas"][1]["alpha_k"] is None and "no ratio" in rows[-1]["alphas"][1]["reason"]
    costs = [row["cost"] for row in rows]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_more_features_than_rows_are_turned_into_few_that_keep_all_distances(dtype):
    x = np.random.default_rng(0).normal(size=(30, 500)).astype(dtype)
    x[[4, 9, 20]] = x[[17, 17, 3]]
    found = turned(x)
    assert found.shape == (30, 27) and found.dtype == dtype
    np.testing.assert_array_equal(found[[4, 9, 20]], found[[17, 17, 3]])
    ratio = np.random.default_rng(1).uniform(size=(40, 1))
    pairs = np.random.default_rng(2).integers(30, size=(2, 40))
    mixtures = [(ratio * part[pairs[0]] + (1 - ratio) * part[pairs[1]]).astype(np.float64) for part in (x, found)]
    precision = 1e-5 if dtype == np.float32 else 1e-12
    apart = [cdist(one, part.astype(np.float64)) for one, part in zip(mixtures, (x, found), strict=True)]
    np.testing.assert_allclose(*apart, rtol=precision)
    assert turned(x[:, :50]).shape == (30, 50)
