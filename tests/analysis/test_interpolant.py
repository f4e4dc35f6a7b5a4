"""Local Mixup's interpolant, held against the weighted least squares it solves and against the printed recursion."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.analysis.interpolant import local_mixup_interpolant


def least_squares(y, neighbors):
    """Minimises the loss itself: one equation for each segment and each point it meets, unknown the values there."""
    n = len(y)
    rows, targets = [], []
    for start in range(n):
        for length in range(1, neighbors + 1):
            for step in range(length + 1):
                # The segment from `start` says this at `step` steps on, as any other does.
                equation = np.zeros(n)
                equation[(start + step) % n] = 1
                rows.append(equation)
                ratio = 1 - step / length
                targets.append(ratio * y[start] + (1 - ratio) * y[(start + length) % n])
    return np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]


def recursion(y, neighbors, first_only=False):
    """Eqs. (4) and (5) with loops; as printed, with 1/K on the first term only."""
    n, values = len(y), []
    for i in range(n):
        total = 0.0
        for length in range(2, neighbors + 1):
            for k in range(1, length):
                total += (length - k) * y[(i - k) % n] / length
                total += k * y[(i + length - k) % n] / (1 if first_only else length)
        values.append(2 / (neighbors * (neighbors + 3)) * (2 * neighbors * y[i] + total))
    return np.array(values)


def signal(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@given(st.integers(1, 9), st.integers(1, 14), st.integers(0, 1000))
def test_it_solves_the_least_squares_of_its_definition(n, neighbors, seed):
    y = signal(n, seed)
    np.testing.assert_allclose(local_mixup_interpolant(y, neighbors), least_squares(y, neighbors), atol=1e-12)


@pytest.mark.parametrize("neighbors", [1, 2, 3, 10, 40])
def test_it_is_the_corrected_recursion_and_not_the_printed_one(neighbors):
    y = signal(25)
    np.testing.assert_allclose(local_mixup_interpolant(y, neighbors), recursion(y, neighbors), atol=1e-12)
    if neighbors > 1:
        assert np.abs(local_mixup_interpolant(y, neighbors) - recursion(y, neighbors, first_only=True)).max() > 0.05
        assert np.abs(least_squares(y, neighbors) - recursion(y, neighbors, first_only=True)).max() > 0.05


@given(st.integers(1, 30), st.integers(1, 100), st.integers(0, 1000))
def test_it_keeps_the_mean_and_stays_within_the_values(n, neighbors, seed):
    y = signal(n, seed)
    values = local_mixup_interpolant(y, neighbors)
    assert values.mean() == pytest.approx(y.mean(), abs=1e-12)
    assert values.min() >= y.min() - 1e-12
    assert values.max() <= y.max() + 1e-12


def test_with_one_neighbour_it_is_the_data_and_with_very_many_their_mean():
    y = signal(20)
    np.testing.assert_allclose(local_mixup_interpolant(y, 1), y, atol=1e-14)
    # Theorem 4.2: the share of the point itself falls as 4 / K.
    for neighbors in (1000, 100_000):
        distance = np.abs(local_mixup_interpolant(y, neighbors) - y.mean()).max()
        assert distance < 5 / neighbors * np.abs(y - y.mean()).max()


def test_variance_falls_and_bias_grows_with_neighbours():
    y = signal(200)
    values = [local_mixup_interpolant(y, neighbors) for neighbors in (1, 2, 5, 20, 100, 1000)]
    assert (np.diff([value.var() for value in values]) < 0).all()
    assert (np.diff([np.square(value - y).mean() for value in values]) > 0).all()


@pytest.mark.parametrize("neighbors", [1, 2, 11, 12, 30, 100])
def test_the_variance_of_independent_values_is_within_the_papers_bounds(neighbors):
    # Theorem 4.4, on a circle so large that it is a line: the variance is the sum of the squared shares.
    variance = np.square(local_mixup_interpolant(np.eye(1, 401)[0], neighbors)).sum()
    assert variance <= 8 / neighbors
    # The lower bound holds from 12 neighbours on only.
    assert (16 / neighbors**2 <= variance) == (neighbors >= 12)


def test_several_columns_are_as_each_alone():
    y = np.stack([signal(15, seed) for seed in range(3)], axis=1)
    values = local_mixup_interpolant(tf.constant(y), 4)
    np.testing.assert_allclose(values.T, [local_mixup_interpolant(column, 4) for column in y.T], atol=1e-14)
    assert local_mixup_interpolant([0, 1, 1, 0], 2).tolist() == local_mixup_interpolant([0.0, 1, 1, 0], 2).tolist()


@pytest.mark.parametrize("scale", [1e-300, 1e300, 1.7e308])
def test_values_near_the_ends_of_the_range_are_averaged_too(scale):
    y = np.array([1.0, -1.0, 0.5, 0.25])
    np.testing.assert_allclose(
        local_mixup_interpolant(scale * y, 3) / scale, local_mixup_interpolant(y, 3), atol=1e-14
    )


@pytest.mark.parametrize("neighbors", [0, -1, 1.5, True, None, "2"])
def test_other_numbers_of_neighbours_are_refused(neighbors):
    with pytest.raises(ValueError, match=r"local_mixup_interpolant: neighbors must be an integer >= 1. Received"):
        local_mixup_interpolant([0.0, 1.0], neighbors)


@pytest.mark.parametrize(
    "y", [[], 1.0, np.zeros((2, 2, 2)), np.zeros((3, 0))], ids=["none", "number", "cube", "thin"]
)
def test_other_shapes_are_refused(y):
    with pytest.raises(ValueError, match=r"local_mixup_interpolant: y must be \(n,\) or \(n, c\), n >= 1. Received"):
        local_mixup_interpolant(y, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="local_mixup_interpolant: y must be finite"):
        local_mixup_interpolant([0.0, value], 1)
