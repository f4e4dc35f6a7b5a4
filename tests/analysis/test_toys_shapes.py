"""Where the samples of each toy lie, held against the curves and boxes that its docstring names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.spatial.distance import pdist
from sklearn.datasets import make_moons

from kmix_tf.analysis import coiling_spirals, four_bars, half_moons, noisy_spiral, one_ring, swiss_roll


def uniform(values, low, high):
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-6


@pytest.mark.parametrize(("label", "inner", "outer"), [(0, 0.0, 0.2), (1, 0.4, 0.6)])
def test_disc_and_ring_are_filled_evenly(label, inner, outer):
    x, y = one_ring(20_000)
    a, b = x[y == label].T
    radius = np.hypot(a, b)
    assert radius.min() >= inner and radius.max() <= outer
    # Of an even filling, a circle's share is its area's; and each direction is as likely.
    assert uniform(radius**2, inner**2, outer**2) and uniform(np.arctan2(b, a), -np.pi, np.pi)


@given(st.integers(2, 60), st.integers(0, 1000))
def test_each_bar_has_its_box_and_its_share(n, seed):
    x, y = four_bars(n, seed)
    assert (np.abs(x[:, 1]) <= 5.3 / 2).all()
    for label, middles in ((0, [-1.5, 0.5]), (1, [-0.5, 1.5])):
        in_bar = np.abs(x[y == label, :1] - middles) <= 0.2
        assert (in_bar.sum(axis=1) == 1).all()
        assert abs(np.subtract(*in_bar.sum(axis=0).astype(int))) <= 1


def test_bars_are_filled_evenly():
    x, _ = four_bars(20_000)
    assert uniform((x[:, 0] + 0.5 + 0.2) % 1, 0, 0.4) and uniform(x[:, 1], -2.65, 2.65)


@pytest.mark.parametrize(
    ("toy", "low", "high", "turn", "start"),
    [
        # Counterclockwise from the first axis, and clockwise from the second.
        (swiss_roll, 2.2, 6.6, 1.5 * np.pi / 2.2, 0.0),
        (lambda n, seed: noisy_spiral(n, flipped=0.0, seed=seed), 0.0, 5.0, -0.7 * np.pi, np.pi / 2),
    ],
    ids=["swiss_roll", "noisy_spiral"],
)
def test_radius_and_angle_of_an_arm_grow_together(toy, low, high, turn, start):
    x, y = toy(5000, seed=4)
    point = (x[:, 0] + 1j * x[:, 1]) * np.where(y == 0, 1, -1)
    radius = np.abs(point)
    np.testing.assert_allclose(point, radius * np.exp(1j * (turn * radius + start)), atol=1e-12)
    assert all(uniform(radius[y == label], low, high) for label in (0, 1))


def unscaled(toy):
    """The scales that were divided out, and the points without them: radius and angle of class 0 must agree."""
    points = toy.x[toy.y == 0]

    def off(scales):
        a, b = (points * scales).T
        # From the angle of (-a, b), which is the radius but for whole turns.
        return np.sin((np.hypot(a, b) - np.arctan2(b, -a)) / 2)

    spread = 4 * np.pi / 2
    found = optimize.least_squares(off, [spread, spread], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return found.x, found.cost


def test_without_noise_the_coiling_spirals_are_curves_of_two_turns():
    toy = coiling_spirals(4000, thickness=0.0)
    scales, cost = unscaled(toy)
    assert cost < 1e-12
    radius = np.hypot(*(toy.x[toy.y == 0] * scales).T)
    # t = 4 pi sqrt(u).
    assert uniform(np.square(radius / (4 * np.pi)), 0, 1)


@pytest.mark.parametrize(
    ("noise", "distribution"), [("normal", stats.norm(0, 1.5)), ("uniform", stats.uniform(0, 1.5))]
)
def test_the_noise_of_the_coiling_spirals_is_as_asked(noise, distribution):
    # Both draw the same angles in the same order.
    clean, noisy = (coiling_spirals(4000, thickness, noise, seed=3) for thickness in (0.0, 1.5))
    scales, _ = unscaled(clean)
    side = np.where(clean.y == 0, 1, -1)[:, np.newaxis]
    curve = clean.x * scales
    # The mean is 0 by symmetry, so only the scale was lost; the variance that noise should add gives it back.
    for axis in (0, 1):
        size = np.sqrt(np.var(curve[:, axis] + (side * distribution.mean())[:, 0]) + distribution.var())
        added = (side * (noisy.x * size - curve))[noisy.y == 0, axis]
        # The size is an estimate of its own: half a percent of the largest radius, by much less than the noise.
        assert stats.kstest(added, distribution.cdf).statistic < 0.06
        assert added.std() == pytest.approx(distribution.std(), rel=0.05)


@given(st.integers(2, 60), st.floats(0, 3), st.sampled_from(["normal", "uniform"]), st.integers(0, 1000))
def test_coiling_spirals_are_mirrored_and_scaled(n, thickness, noise, seed):
    x, y = coiling_spirals(n, thickness, noise, seed)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-9)
    if n % 2 == 0:
        first, second = (np.sort(points, axis=0) for points in (x[y == 0], -x[y == 1]))
        np.testing.assert_allclose(first, second, atol=1e-9)


def test_distances_of_the_published_spirals_go_up_to_four():
    distances = pdist(coiling_spirals(thickness=0.5, noise="uniform").x)
    assert 3.8 < distances.max() < 4.0


@given(st.integers(2, 80), st.integers(0, 1000))
def test_without_noise_half_moons_are_those_of_scikit_learn(n, seed):
    x, y = half_moons(n, noise=0.0, seed=seed)
    expected, classes = make_moons(n, shuffle=False)
    # Along a half circle the first coordinate tells the samples apart.
    order = np.lexsort([x[:, 0] * np.where(y == 0, -1, 1), y])
    np.testing.assert_allclose(x[order], expected, atol=1e-12)
    np.testing.assert_array_equal(y[order], classes)


def test_the_noise_of_half_moons_is_normal():
    clean, noisy = (half_moons(10_000, noise=noise, seed=1) for noise in (0.0, 0.2))
    added = noisy.x - clean.x
    assert stats.kstest(added.ravel() / 0.2, "norm").pvalue > 1e-6
    assert abs(stats.pearsonr(*added.T).statistic) < 0.05
