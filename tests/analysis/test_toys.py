import numpy as np
import pytest
from scipy import stats

from kmix_tf.analysis.toys import alternating_line, two_moons


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (3, 2), (10, 2), (10, 10), (7, 3)])
def test_classes_take_turns_on_the_line(n, classes):
    x, y = alternating_line(n, classes)
    assert x.tolist() == [[float(i)] for i in range(n)]
    assert y.tolist() == [i % classes for i in range(n)]
    assert x.dtype == np.float64 and y.dtype == np.int64


@pytest.mark.parametrize("separation", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_each_moon_keeps_its_distance_from_the_line_between(separation, noise):
    x, y = two_moons(301, separation, noise, seed=3)
    across = np.where(y == 0, x[:, 0], -x[:, 0])
    assert across.min() >= separation
    # But for the separation, that does not move anything else.
    other = two_moons(301, separation + 1, noise, seed=3)
    np.testing.assert_array_equal(other.y, y)
    np.testing.assert_allclose(other.x[:, 1], x[:, 1], atol=1e-12)
    np.testing.assert_allclose(np.abs(other.x[:, 0]) - np.abs(x[:, 0]), 1, atol=1e-12)


def test_without_noise_they_are_half_circles():
    x, y = two_moons(400, separation=0.5, noise=0.0)
    # Centres of the two circles; 0.3 away from each other, 0.5 for scikit-learn's shift, both centred.
    for label, side in ((0, 1), (1, -1)):
        moon = x[y == label]
        distance = np.hypot(moon[:, 1] + side * 0.5, side * moon[:, 0] - 0.5 - 0.05)
        np.testing.assert_allclose(distance, 1, atol=0.01)
        # Its ends are at the line, its bulge away from it.
        assert moon[:, 1].max() - moon[:, 1].min() == pytest.approx(2, abs=1e-9)


def test_the_noise_is_normal_and_as_large_as_asked():
    x, y = two_moons(20000, noise=0.2, seed=1)
    clean, labels = two_moons(20000, noise=0.0, seed=1)
    # The order is drawn after the noise: compare sorted by what noise leaves, the moments of the whole.
    assert np.bincount(y).tolist() == np.bincount(labels).tolist() == [10000, 10000]
    added = x[:, 1].var() - clean[:, 1].var()
    # Five standard errors of a variance about 0.9, false alarm below 1e-6.
    assert abs(added - 0.04) < 5 * 0.9 * np.sqrt(2 / 20000)


def test_the_seed_decides():
    first, again, other = (two_moons(50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)


def test_the_order_is_random():
    _, y = two_moons(1000)
    # Runs of equal labels, false alarm 1e-6 about their mean of 501.
    runs = 1 + (np.diff(y) != 0).sum()
    assert abs(runs - 501) < stats.norm.isf(5e-7) * np.sqrt(250) + 1


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_samples_are_two_classes_too(n):
    x, y = two_moons(n)
    assert x.shape == (n, 2) and np.bincount(y).tolist() == [n - n // 2, n // 2]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (alternating_line, {"n": 0}, "alternating_line: n must be an integer >= 1. Received: n=0."),
        (alternating_line, {"n": 3, "classes": 1}, "alternating_line: classes must be an integer >= 2."),
        (two_moons, {"n": 1}, "two_moons: n must be an integer >= 2."),
        (two_moons, {"separation": -0.1}, "two_moons: separation must be >= 0 and finite."),
        (two_moons, {"noise": np.nan}, "two_moons: noise must be >= 0 and finite."),
        (two_moons, {"seed": -1}, "two_moons: seed must be an integer >= 0."),
    ],
)
def test_what_does_not_fit_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**arguments)
