"""Contradicted labels against the exact condition of the three-point line, and brute force."""

import re

import numpy as np
import pytest
from scipy import optimize, stats

from kmix_tf.analysis import flip
from kmix_tf.analysis.flip import contradicted, contradictions, flip_threshold
from kmix_tf.analysis.optimal_classifier import mixup_optimal_classifier

LINE = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 0])


def moons(size, seed):
    generator = np.random.default_rng(seed)
    y = np.arange(size) % 3
    return generator.normal(size=(size, 2)) + y[:, np.newaxis], y


def excess(alpha, radius):
    """2 P(|l - 1/2| < radius / 2) - 1 - 4 E[(1 - 2 l) 1{l < radius}], positive where the middle's label is lost."""
    law = stats.beta(alpha, alpha)
    passing = law.cdf(0.5 + radius / 2) - law.cdf(0.5 - radius / 2)
    # E[l 1{l < r}] by Beta(alpha + 1, alpha), whose density is 2 l times the other.
    return 2 * passing - 1 - 4 * (law.cdf(radius) - stats.beta(alpha + 1, alpha).cdf(radius))


@pytest.mark.parametrize("radius", [0.03, 0.1, 0.25, 0.49])
def test_on_the_line_of_three_it_is_the_root_of_the_exact_condition(radius):
    expected = optimize.brentq(lambda alpha: excess(alpha, radius), 1e-2, 1e4, xtol=1e-12, rtol=1e-12)
    found = flip_threshold(*LINE, radius)
    assert found.alpha == pytest.approx(expected, rel=1e-6)
    assert found[1:4] == (1, 1, 0)
    np.testing.assert_array_equal(found.thresholds, [np.inf, found.alpha, np.inf])
    # What the proof's bound, enough for P > 1/2, is with |l - 1/2| < radius / 2 and the variance 1 / (8 alpha + 4).
    assert found.alpha < np.log(4) / radius**2 - 0.5
    for factor, share in ((0.999, 0), (1.001, 1 / 3)):
        assert contradicted(*LINE, factor * found.alpha, radius).share == pytest.approx(share)


def test_in_between_the_alphas_looked_at_the_root_is_found():
    coarse, fine = (flip_threshold(*LINE, 0.1, per_decade=count).alpha for count in (1, 30))
    assert coarse == pytest.approx(fine, rel=1e-8)


def test_each_samples_threshold_is_where_the_classifier_turns():
    x, y = moons(24, 3)
    radius = 0.4
    found = flip_threshold(x, y, radius, low=0.05, high=500)
    assert np.isfinite(found.thresholds).any() and np.isinf(found.thresholds).any()
    assert found.alpha == found.thresholds.min() and found.index == found.thresholds.argmin()
    for index, alpha in zip(found.checked, found.thresholds, strict=True):
        # Well below, the label is in force everywhere.
        below = np.geomspace(0.05, min(alpha, 500), 12)[:-1] if alpha > 0.05 else []
        for value in below:
            assert mixup_optimal_classifier(x, y, x[[index]], value, radius)[0].argmax() == y[index]
        if 0 < alpha < np.inf:
            row = mixup_optimal_classifier(x, y, x[[index]], 1.0001 * alpha, radius)[0]
            assert row.argmax() != y[index]
            assert row.max() - row[y[index]] < 1e-3
    own = mixup_optimal_classifier(x, y, x[[found.index]], max(1.0001 * found.alpha, 0), radius)[0]
    assert (found.label, found.flipped_to) == (y[found.index], own.argmax())


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 64.0, stats.uniform()])
def test_the_contradicted_are_those_whose_prediction_is_another_class(alpha):
    x, y = moons(40, 5)
    rows = mixup_optimal_classifier(x, y, x, alpha, 0.5)
    # Where there is a tie, the sample's own class stands.
    rows[np.arange(40), y] += 1e-9
    predictions = rows.argmax(axis=1)
    found = contradicted(x, y, alpha, 0.5)
    np.testing.assert_array_equal(found.index, np.flatnonzero(predictions != y))
    np.testing.assert_array_equal(found.flipped_to, predictions[found.index])
    np.testing.assert_array_equal(found.label, y[found.index])
    assert found.share == (predictions != y).mean() > 0
    np.testing.assert_array_equal(found.checked, np.arange(40))


def test_a_sample_among_others_is_contradicted_without_mixing():
    x, y = np.array([[0.0], [0.01], [0.02], [5.0]]), np.array([0, 0, 1, 1])
    found = flip_threshold(x, y, 0.1)
    assert found[:4] == (0.0, 2, 1, 0)
    assert contradicted(x, y, 0, 0.1).index.tolist() == [2]


def test_ties_contradict_nothing():
    # Data that are their own mirror image with labels exchanged, and a sample of each class in the centre: there,
    # each class has half of the mixtures, up to rounding, whatever the alpha.
    half = np.random.default_rng(0).normal(size=(20, 2))
    x, y = np.concatenate([half, -half, np.zeros((2, 2))]), np.repeat([0, 1, 0, 1], [20, 20, 1, 1])
    for alpha in np.geomspace(0.1, 100, 20):
        assert not np.isin([40, 41], contradicted(x, y, alpha, 0.5).index).any()
    assert np.isinf(flip_threshold(x, y, 0.5).thresholds[40:]).all()


def test_far_classes_are_never_contradicted():
    x, y = np.array([[0.0, 0], [0, 1], [10, 0], [10, 1]]), np.array([0, 0, 1, 1])
    found = flip_threshold(x, y, 0.2)
    assert found[:4] == (np.inf, None, None, None)
    assert np.isinf(found.thresholds).all()


def test_soft_labels_have_the_class_of_their_largest():
    x = LINE[0]
    soft = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]])
    # Soft labels are less in force, so less mixing takes them away.
    hard, softened = (flip_threshold(x, y, 0.1) for y in (LINE[1], soft))
    assert softened[1:4] == hard[1:4]
    assert softened.alpha != hard.alpha
    np.testing.assert_array_equal(flip_threshold(x, np.eye(2)[LINE[1]], 0.1).alpha, hard.alpha)


def test_some_samples_are_asked_about_all_mixtures():
    x, y = moons(40, 5)
    whole, part = contradicted(x, y, 8.0, 0.5), contradicted(x, y, 8.0, 0.5, max_points=15, seed=4)
    assert len(part.checked) == 15 == len(np.unique(part.checked))
    np.testing.assert_array_equal(part.index, np.intersect1d(part.checked, whole.index))
    assert part.share == len(part.index) / 15
    again, other = (contradicted(x, y, 8.0, 0.5, max_points=15, seed=seed).checked for seed in (4, 5))
    assert np.array_equal(part.checked, again) and not np.array_equal(part.checked, other)
    np.testing.assert_array_equal(contradicted(x, y, 8.0, 0.5, max_points=99).checked, np.arange(40))
    some = flip_threshold(x, y, 0.5, max_points=15, seed=4)
    assert some.thresholds.shape == some.checked.shape == (15,)
    assert np.isin(some.index, some.checked)


def simulated(x, y, radii, alpha, draws, seed):
    """Mean labels of random mixtures in each sample's ball, how many there were, and how wrong a mean may be."""
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, len(x), (2, draws))
    ratio = generator.beta(alpha, alpha, (draws, 1))
    mixtures = ratio * x[first] + (1 - ratio) * x[second]
    hot = np.eye(y.max() + 1)[y]
    labels = ratio * hot[first] + (1 - ratio) * hot[second]
    near = [labels[np.linalg.norm(mixtures - x[i], axis=1) < radii[i]] for i in range(len(x))]
    return np.array([block.mean(axis=0) for block in near]), np.array([len(block) for block in near])


@pytest.mark.parametrize("alpha", [0.4, 1.0, 20.0])
def test_with_a_radius_for_each_sample_the_contradicted_are_those_that_simulated_mixtures_outvote(alpha):
    x, y = moons(18, 8)
    # Balls so wide that a few hundred of the mixtures meet each.
    radii = np.random.default_rng(1).uniform(0.5, 1.5, 18)
    means, counts = simulated(x, y, radii, alpha, 300_000, 0)
    assert counts.min() > 300
    ranked = np.sort(means, axis=1)
    # A lead is a mean of numbers from -1 to 1, whose standard deviation is at most 1 by the root of their number.
    clear = np.flatnonzero(ranked[:, -1] - ranked[:, -2] > 5 / np.sqrt(counts))
    assert len(clear) >= 9
    found = contradicted(x, y, alpha, radii)
    wrong = clear[means[clear].argmax(axis=1) != y[clear]]
    assert len(wrong)
    np.testing.assert_array_equal(np.intersect1d(found.index, clear), wrong)
    flipped = dict(zip(found.index.tolist(), found.flipped_to.tolist(), strict=True))
    assert [flipped[i] for i in wrong] == means[wrong].argmax(axis=1).tolist()


def test_each_sample_is_asked_in_the_ball_of_its_own_radius():
    x, y = moons(30, 6)
    radii = np.random.default_rng(2).choice([0.1, 0.6, 1.4], 30)
    found = contradicted(x, y, 4.0, radii)
    one_by_one = {radius: set(contradicted(x, y, 4.0, radius).index.tolist()) for radius in (0.1, 0.6, 1.4)}
    assert found.index.tolist() == [i for i in range(30) if i in one_by_one[radii[i]]]
    # One radius would have given others.
    assert all(set(found.index.tolist()) != indices for indices in one_by_one.values())
    thresholds = flip_threshold(x, y, radii, low=0.1, high=100).thresholds
    for radius in (0.1, 0.6, 1.4):
        alike = flip_threshold(x, y, radius, low=0.1, high=100).thresholds
        np.testing.assert_array_equal(thresholds[radii == radius], alike[radii == radius])


def test_a_radius_of_0_leaves_a_sample_out_and_its_mixtures_in():
    # The middle is contradicted by mixtures of the two that are not asked.
    found = contradicted(*LINE, 32, [0, 0.1, 0])
    assert found.checked.tolist() == [1] == found.index.tolist() and found.share == 1
    assert flip_threshold(*LINE, [0.1, 0, 0.1])[:2] == (np.inf, None)
    x, y = moons(40, 5)
    radii = np.where(np.arange(40) % 4 == 0, 0, 0.5)
    drawn = contradicted(x, y, 8.0, radii, max_points=12, seed=3)
    assert len(drawn.checked) == 12 and (drawn.checked % 4 > 0).all()
    np.testing.assert_array_equal(contradicted(x, y, 8.0, radii, max_points=30).checked, np.flatnonzero(radii))


def test_several_alphas_give_what_each_gives_alone():
    x, y = moons(40, 5)
    radii = np.random.default_rng(3).uniform(0.2, 0.9, 40)
    alphas = [0.0, 0.3, 1, np.float32(32), stats.uniform()]
    together = contradictions(x, y, alphas, radii, max_points=25, seed=2)
    assert isinstance(together, tuple) and len({found.share for found in together}) > 2
    for alpha, found in zip(alphas, together, strict=True):
        for one, other in zip(found, contradicted(x, y, alpha, radii, max_points=25, seed=2), strict=True):
            np.testing.assert_array_equal(one, other)


def test_several_alphas_cut_the_chords_of_a_ball_once(monkeypatch):
    x, y = moons(20, 1)
    cut = []
    chords_of = flip.chords_of
    monkeypatch.setattr(flip, "chords_of", lambda ball: cut.append(1) or chords_of(ball))
    contradictions(x, y, [0.2, 1.0, 32.0], 0.5, max_points=7)
    assert len(cut) == 7


def test_chords_too_many_to_keep_are_cut_anew(monkeypatch):
    x, y = moons(15, 2)
    kept = flip_threshold(x, y, 0.4)
    monkeypatch.setattr(flip, "_KEPT", 3)
    np.testing.assert_array_equal(flip_threshold(x, y, 0.4).thresholds, kept.thresholds)
    shares = [found.share for found in contradictions(x, y, [0.5, 8.0], 0.4)]
    assert shares == [contradicted(x, y, alpha, 0.4).share for alpha in (0.5, 8.0)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 0}, "radius must be > 0 and finite. Received: radius=0."),
        ({"radius": [0.1, 0.2]}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": np.full((3, 1), 0.1)}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": [0.1, -0.1, 0.1]}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": [0.1, np.nan, 0.1]}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": [True, False, True]}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": ["a", "b", "c"]}, "radius must be a number > 0, or (3,), one for each sample"),
        ({"radius": [0, 0, 0]}, "radius must be > 0 for one sample at least."),
        ({"low": 0}, "low must be > 0 and finite. Received: low=0."),
        ({"low": 2.0, "high": 1.0}, "high must be > low, which is 2. Received: high=1.0."),
        ({"per_decade": 0}, "per_decade must be an integer >= 1."),
        ({"max_points": 0}, "max_points must be an integer >= 1."),
        ({"seed": -1}, "seed must be an integer >= 0."),
        ({"y": [1, 1, 1]}, "y must have samples of at least 2 classes. Received: 1."),
        ({"x": [[0.0], [np.nan], [1.0]]}, "x must be finite."),
        ({"x": np.zeros((3, 0))}, "x must have features."),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    arguments = {"x": LINE[0], "y": LINE[1], "radius": 0.1, **changes}
    with pytest.raises(ValueError, match=re.escape(f"flip_threshold: {message}")):
        flip_threshold(**arguments)


def test_other_alphas_are_refused():
    with pytest.raises(ValueError, match=r"contradicted: alpha must be >= 0 and finite. Received: alpha=-1."):
        contradicted(*LINE, -1, 0.1)
    with pytest.raises(TypeError, match="contradicted: alpha must be a number, or a symmetric distribution"):
        contradicted(*LINE, None, 0.1)
    for alphas in (1.0, [], [[1.0]], None):
        with pytest.raises(TypeError, match="contradictions: alphas must be a sequence of one or more"):
            contradictions(*LINE, alphas, 0.1)
    with pytest.raises(ValueError, match=r"contradictions: alpha must be >= 0 and finite. Received: alpha=-1."):
        contradictions(*LINE, [1.0, -1], 0.1)
