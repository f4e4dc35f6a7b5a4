"""The mixup-optimal classifier against brute force over ordered pairs, Monte Carlo and closed forms."""

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from kmix_tf.analysis import chords, optimal_classifier
from kmix_tf.analysis.optimal_classifier import BetaLaw, mixup_optimal_classifier

LINE = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 0])
# The chance that one statistical assertion fails for a right estimate, were its seeds chosen anew.
FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)


def interval(first, second, point, radius):
    """The ratios of the first at which the chord is in the ball, by the textbook formula; None if there are none."""
    chord, offset = first - second, second - point
    linear, square = chord @ offset, chord @ chord
    discriminant = linear**2 - square * (offset @ offset - radius**2)
    if square == 0:
        return (0.0, 1.0) if offset @ offset < radius**2 else None
    if discriminant <= 0:
        return None
    low, high = ((-linear + sign * np.sqrt(discriminant)) / square for sign in (-1, 1))
    low, high = max(low, 0.0), min(high, 1.0)
    return (low, high) if low < high else None


def masses(low, high, alpha):
    """Mass and first moment of Beta(alpha, alpha) in an interval, by SciPy's distributions."""
    return tuple(np.diff(stats.beta.cdf([low, high], alpha + k, alpha))[0] / (k + 1) for k in (0, 1))


def shares(x, y, point, radius, masses_of):
    """xi of each ordered pair of classes, (classes, classes) each: the mass, and the expected ratio."""
    count = y.max() + 1
    xi, xi_lambda = np.zeros((count, count)), np.zeros((count, count))
    for s in range(len(x)):
        for t in range(len(x)):
            found = interval(x[s], x[t], point, radius)
            if found is not None:
                mass, moment = masses_of(*found)
                xi[y[s], y[t]] += mass / len(x) ** 2
                xi_lambda[y[s], y[t]] += moment / len(x) ** 2
    return xi, xi_lambda


def numerators(xi, xi_lambda):
    """Those of eq. (1), for each class."""
    classes = range(len(xi))
    return np.array(
        [
            xi[i, i]
            + 2 * sum(xi_lambda[i, j] for j in classes if j > i)
            + 2 * sum(xi[j, i] - xi_lambda[j, i] for j in classes if j < i)
            for i in classes
        ]
    )


def brute_force(x, y, point, alpha, radius):
    parts = numerators(*shares(x, y, point, radius, lambda low, high: masses(low, high, alpha)))
    return parts / parts.sum()


def data(size, dimension, classes, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(size, dimension)), generator.integers(0, classes, size)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.sampled_from([1e-3, 0.2, 1.0, 3.0, 40.0]), st.floats(0.05, 4), st.integers(0, 2**32 - 1))
def test_it_is_the_brute_force_over_all_ordered_pairs(dimension, alpha, radius, seed):
    x, y = data(7, dimension, 3, seed)
    y[:3] = [0, 1, 2]
    # On a chord, on a sample, and beside a sample: all have mixtures near.
    points = np.stack([0.3 * x[0] + 0.7 * x[1], x[2], x[3] + 0.4 * radius / dimension])
    expected = [brute_force(x, y, point, alpha, radius) for point in points]
    found = mixup_optimal_classifier(x, y, points, alpha, radius)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 8.0])
def test_it_is_the_mean_label_of_mixtures_in_the_ball(alpha):
    x, y = data(12, 2, 3, 7)
    draws, radius = 2_000_000, 0.4
    generator = np.random.default_rng(3)
    s, t = generator.integers(len(x), size=(2, draws))
    ratio = generator.beta(alpha, alpha, draws)
    mixtures = ratio[:, np.newaxis] * x[s] + (1 - ratio)[:, np.newaxis] * x[t]
    labels = ratio[:, np.newaxis] * np.eye(3)[y[s]] + (1 - ratio)[:, np.newaxis] * np.eye(3)[y[t]]
    points = np.stack([x[0], 0.5 * (x[1] + x[2])])
    found = mixup_optimal_classifier(x, y, points, alpha, radius)
    for point, row in zip(points, found, strict=True):
        near = labels[np.square(mixtures - point).sum(axis=1) < radius**2]
        assert len(near) > 10_000
        np.testing.assert_array_less(np.abs(row - near.mean(axis=0)), Z * near.std(axis=0) / np.sqrt(len(near)))


@pytest.mark.parametrize("radius", [0.05, 0.3, 0.49])
def test_for_uniform_ratios_the_middle_of_three_points_has_a_closed_form(radius):
    # Pairs of 0 and 2 pass by for |2 l - 1| < radius, with mass radius; those of 1 and an end for l < radius, where
    # the end's mean share is radius / 2. Twice for the order; and 1 with itself.
    zero = 2 * radius + 4 * radius**2 / 2
    one = 1 + 4 * (radius - radius**2 / 2)
    found = mixup_optimal_classifier(*LINE, [[1.0]], 1.0, radius)
    np.testing.assert_allclose(found, [[zero / (zero + one), one / (zero + one)]], rtol=1e-13)


def test_the_misprinted_denominator_would_not_be_a_classifier():
    x, y = data(10, 2, 3, 1)
    xi, xi_lambda = shares(x, y, x[0], 1.0, lambda low, high: masses(low, high, 1.0))
    parts = numerators(xi, xi_lambda)
    # As printed, the sum over q ends before 2(...), whose q is then that of one class, whichever.
    for q in range(3):
        printed = np.trace(xi) + parts[q] - xi[q, q]
        assert abs((parts / printed).sum() - 1) > 0.05
    # As it is meant, it is the mass in the ball.
    assert parts.sum() == pytest.approx(xi.sum(), rel=1e-12)
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, x[:1], 1.0, 1.0)[0], parts / xi.sum(), atol=1e-12)


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.4])
def test_the_middle_of_three_points_flips_to_two_thirds_in_the_limit(radius):
    np.testing.assert_allclose(mixup_optimal_classifier(*LINE, [[1.0]], 1e6, radius), [[2 / 3, 1 / 3]], rtol=1e-9)


def test_where_two_chords_cross_their_classes_share():
    # Proposition 2.5; the mass there is radius / 8 for each class, and not radius / 4.
    x, y = np.array([[0.0, 1], [0, -1], [1, 0], [-1, 0]]), np.array([0, 0, 1, 1])
    radius = 0.01
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, [[0.0, 0]], 1.0, radius), [[0.5, 0.5]], atol=1e-12)
    xi, _ = shares(x, y, np.zeros(2), radius, lambda low, high: masses(low, high, 1.0))
    assert xi[0, 0] == pytest.approx(radius / 8)
    # It is not continuous: beside the crossing, one chord is alone.
    np.testing.assert_array_equal(mixup_optimal_classifier(x, y, [[0.0, 0.1]], 1.0, radius), [[1.0, 0.0]])


def test_it_jumps_where_a_sample_enters_the_ball():
    before, after = (mixup_optimal_classifier(*LINE, [[0.6]], 5.0, radius)[0] for radius in (0.4 - 1e-9, 0.4 + 1e-9))
    assert after[1] > before[1] + 0.1


def test_without_mixing_it_is_the_mean_label_of_the_samples_in_the_ball():
    x = np.array([[0.0], [0.1], [0.2], [5.0]])
    y = np.array([[1.0, 0], [0.25, 0.75], [0, 1], [0, 1]])
    found = mixup_optimal_classifier(x, y, [[0.05], [0.1], [3.0]], 0, 0.11)
    np.testing.assert_allclose(found, [[0.625, 0.375], [1.25 / 3, 1.75 / 3], [np.nan, np.nan]])
    # Which is the limit of little mixing.
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, [[0.05]], 1e-9, 0.11)[0], found[0], atol=1e-6)


def test_where_no_mixture_comes_the_row_is_nan():
    found = mixup_optimal_classifier(*LINE, [[1.5], [2.5], [-1.0]], 1.0, 0.1)
    assert np.isnan(found).tolist() == [[False, False], [True, True], [True, True]]


def test_soft_labels_count_linearly():
    x, _ = data(8, 2, 3, 5)
    generator = np.random.default_rng(2)
    first, second = generator.dirichlet(np.ones(3), size=(2, 8))
    arguments = x[:2], 0.7, 0.8
    mixed = mixup_optimal_classifier(x, 0.3 * first + 0.7 * second, *arguments)
    apart = [mixup_optimal_classifier(x, labels, *arguments) for labels in (first, second)]
    np.testing.assert_allclose(mixed, 0.3 * apart[0] + 0.7 * apart[1], atol=1e-12)


def test_one_hot_labels_tensors_and_images_are_the_same_data():
    x, y = data(6, 4, 3, 9)
    expected = mixup_optimal_classifier(x, y, x[:2], 2.0, 1.5)
    images = tf.reshape(tf.constant(x), (6, 2, 2, 1))
    found = mixup_optimal_classifier(images, tf.one_hot(y, y.max() + 1), images[:2], 2.0, 1.5)
    np.testing.assert_array_equal(found, expected)
    assert mixup_optimal_classifier(x, y, np.zeros((0, 4)), 2.0, 1.5).shape == (0, y.max() + 1)


def test_equal_samples_are_counted_each():
    x, y = np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([0, 1, 1, 0])
    points = np.array([[0.0], [0.5]])
    expected = [brute_force(x, y, point, 1.0, 0.1) for point in points]
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, points, 1.0, 0.1), expected, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.floats(-1e8, 1e8), st.floats(1e-8, 1e8), st.integers(0, 1000))
def test_where_the_data_lie_and_in_which_unit_does_not_matter(offset, scale, seed):
    x, y = data(8, 2, 2, seed)
    # Numbers whose sums with the offset are exact.
    x, offset, scale = np.round(x * 1024) / 1024, np.round(offset), 2.0 ** np.round(np.log2(scale))
    point, radius = x[:1] + 0.25, 0.5
    expected = mixup_optimal_classifier(x, y, point, 0.5, radius)
    found = mixup_optimal_classifier(scale * (x + offset), y, scale * (point + offset), 0.5, scale * radius)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_small_balls_on_long_chords_keep_their_precision():
    # Along a chord between far samples, the ball's interval is symmetric about a ratio of 0.3.
    x = np.array([[1e6, 3e6], [-2e6, 1e6], [5.0, 1e7]])
    point = 0.3 * x[0] + 0.7 * x[1]
    for radius in (1e2, 1.0):
        found = mixup_optimal_classifier(x, [0, 1, 1], [point], 0.5, radius)
        np.testing.assert_allclose(found, [[0.3, 0.7]], atol=1e-8)


@pytest.mark.parametrize("radius", [1.0, 1e-3, 1e-6])
def test_where_chords_cross_each_counts_by_what_the_ball_cuts_off(radius):
    # For uniform ratios, a chord's mass is the ball's width by its length.
    point, first, second = np.array([3.0, 7.0, 1.0]), np.array([30.0, 10.0, 20.0]), np.array([5.0, -40.0, -60.0])
    x = point + np.stack([0.7 * first, -0.3 * first, 0.6 * second, -0.4 * second])
    masses_of = 1 / np.linalg.norm([first, second], axis=1)
    found = mixup_optimal_classifier(x, [0, 0, 1, 1], [point], 1.0, radius)
    np.testing.assert_allclose(found, [masses_of / masses_of.sum()], rtol=1e-8)


def test_masses_too_small_for_floats_add_up_over_blocks(monkeypatch):
    # The first block's are smaller than the second's by hundreds of orders of magnitude.
    x, y = np.array([[2.0], [0.0], [1.0], [0.9]]), np.array([1, 0, 2, 1])
    expected = mixup_optimal_classifier(x, y, [[0.25]], 1e5, 0.1)
    assert (expected > 0.1).sum() == 2
    monkeypatch.setattr(chords, "_PAIRS", 1)
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, [[0.25]], 1e5, 0.1), expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [1e3, 1e5, 1e6])
def test_masses_too_small_for_floats_are_weighed_all_the_same(alpha):
    # Around 0.25, both 0.75 * 0 + 0.25 * 1 and 0.875 * 0 + 0.125 * 2 are deep in the tail, and the first wins.
    radius = 0.1

    def log_density(ratio):
        return (alpha - 1) * np.log(4 * ratio * (1 - ratio))

    top = log_density(0.35)

    def integral(function, low, high):
        return integrate.quad(lambda u: function(u) * np.exp(log_density(u) - top), low, high, points=[high])[0]

    # The density falls by e in 1 / slope; nothing is left 200 times as far.
    reach = 200 * 0.35 * 0.65 / (alpha - 1) / 0.3
    mass, moment = (integral(f, max(0.15, 0.35 - reach), 0.35) for f in (lambda u: 1, lambda u: u))
    found = mixup_optimal_classifier(*LINE, [[0.25]], alpha, radius)
    assert stats.beta.logcdf(0.35, alpha, alpha) < -20
    np.testing.assert_allclose(found, [[1 - moment / mass, moment / mass]], rtol=1e-7)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 4.0, 300.0])
def test_a_distribution_by_its_cdf_is_the_same(alpha):
    x, y = data(10, 2, 3, 3)
    points = np.stack([x[0], 0.4 * x[1] + 0.6 * x[2], 0.5 * (x[3] + x[4])])
    for radius in (1e-7, 1e-4, 0.1, 1.0):
        expected = mixup_optimal_classifier(x, y, points, alpha, radius)
        found = mixup_optimal_classifier(x, y, points, stats.beta(alpha, alpha), radius)
        np.testing.assert_allclose(found, expected, atol=1e-8)


class Jumps:
    """Ratios 0.2, 0.5, 0.8, and 0 or 1: no density."""

    values, weights = np.array([0, 0.2, 0.5, 0.8, 1]), np.array([0.1, 0.25, 0.3, 0.25, 0.1])

    def cdf(self, ratio):
        return ((self.values <= np.asarray(ratio)[..., np.newaxis]) * self.weights).sum(axis=-1)


def test_a_distribution_may_have_point_masses():
    x, y = data(10, 2, 3, 4)
    points = np.stack([x[0] + 0.01, 0.2 * x[1] + 0.8 * x[2], 0.51 * x[3] + 0.49 * x[4]])

    def exact(low, high):
        # An end in the ball counts with its ratio, 0 or 1.
        within = (Jumps.values >= low) & (Jumps.values <= high)
        return Jumps.weights[within].sum(), (Jumps.weights * Jumps.values)[within].sum()

    found = mixup_optimal_classifier(x, y, points, Jumps(), 0.3)
    for row, point in zip(found, points, strict=True):
        parts = numerators(*shares(x, y, point, 0.3, exact))
        np.testing.assert_allclose(row, parts / parts.sum(), atol=1e-6)


def test_blocks_do_not_show(monkeypatch):
    x, y = data(40, 3, 3, 6)
    points = np.concatenate([x[:2], 0.5 * (x[2:4] + x[4:6])])
    expected = mixup_optimal_classifier(x, y, points, 0.8, 0.7)
    monkeypatch.setattr(chords, "_PAIRS", 50)
    np.testing.assert_allclose(mixup_optimal_classifier(x, y, points, 0.8, 0.7), expected, atol=1e-13)


def test_pairs_whose_chord_misses_the_ball_are_left_out_before_their_masses_are_computed(monkeypatch):
    x, y = data(300, 20, 2, 8)
    asked = []
    tails = optimal_classifier.BetaLaw.tails
    monkeypatch.setattr(optimal_classifier.BetaLaw, "tails", lambda law, v: asked.append(len(v)) or tails(law, v))
    mixup_optimal_classifier(x, y, x[:1], 1.0, 0.5)
    assert 299 <= sum(asked) / 2 < 600


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 0}, "radius must be > 0 and finite. Received: radius=0."),
        ({"radius": -1.0}, "radius must be > 0 and finite. Received: radius=-1.0."),
        ({"radius": np.nan}, "radius must be > 0 and finite."),
        ({"radius": "1"}, "radius must be > 0 and finite."),
        ({"radius": 1e-200}, "radius must be at least 1e-150 of the largest distance."),
        ({"alpha": -1}, "alpha must be >= 0 and finite. Received: alpha=-1."),
        ({"alpha": np.inf}, "alpha must be >= 0 and finite."),
        ({"alpha": stats.beta(1, 2)}, "alpha must be a symmetric distribution on [0, 1]."),
        ({"alpha": stats.norm(0.5)}, "alpha must be a symmetric distribution on [0, 1]."),
        ({"points": [[0.0, 1.0]]}, "points must be finite and of shape ('points', 1), as x is."),
        ({"points": [1.0]}, "points must be finite and of shape ('points', 1), as x is."),
        ({"points": [[np.nan]]}, "points must be finite and of shape ('points', 1), as x is."),
        ({"x": [[0.0], [np.inf], [1.0]]}, "x must be finite."),
        ({"x": np.zeros((2, 1))}, "x must be (n, ...) and y (n,)"),
        ({"x": np.zeros((0, 1)), "y": []}, "x must be (n, ...) and y (n,)"),
        ({"y": [0.0, 1.0, 0.5]}, "y must be integer classes (n,), or one-hot or soft labels"),
        ({"y": [[1.0, 1.0]] * 3}, "y must be integer classes (n,), or one-hot or soft labels"),
        ({"y": [[2.0, -1.0]] * 3}, "y must be integer classes (n,), or one-hot or soft labels"),
        ({"y": [0, -1, 1]}, "integer classes must be >= 0."),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    arguments = {"x": LINE[0], "y": LINE[1], "points": [[1.0]], "alpha": 1.0, "radius": 0.1, **changes}
    with pytest.raises(ValueError, match=re.escape(f"mixup_optimal_classifier: {message}")):
        mixup_optimal_classifier(**arguments)


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 0.7, 0.999])
def test_tails_of_ratios_below_alpha_1_are_scipys(alpha):
    v = np.concatenate([[0.0], np.geomspace(1e-12, 0.5, 20_000)])
    mass, moment = BetaLaw(alpha).tails(v)
    np.testing.assert_allclose(mass, special.betainc(alpha, alpha, v), rtol=1e-13)
    np.testing.assert_allclose(moment, special.betainc(alpha + 1, alpha, v) / 2, rtol=1e-12)


@pytest.mark.parametrize("alpha", [None, [1.0], lambda ratio: 1.0])
def test_what_is_no_distribution_is_refused(alpha):
    with pytest.raises(TypeError, match="mixup_optimal_classifier: alpha must be a number, or a symmetric distribut"):
        mixup_optimal_classifier(*LINE, [[1.0]], alpha, 0.1)
