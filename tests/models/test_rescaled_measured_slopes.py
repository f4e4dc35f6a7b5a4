"""Sums from which slopes follow, and their standard errors, against whole regressions by NumPy."""

import numpy as np
import pytest

from kmix_tf.models.rescaled.slopes import Slope

RNG = np.random.default_rng(2)


def rows(count, shape, slope=0.7, offset=50.0):
    near = RNG.normal(offset, np.arange(1, shape[-1] + 1), size=(count, *shape))
    return near, slope * near + RNG.normal(size=near.shape)


def summed(shape, centre, batches):
    found = Slope(shape, np.full([size or 1 for size in shape], centre, "f8"))
    for near, mixed, weights in batches:
        found.add(near, mixed, weights)
        found.end_batch()
    return found


def regression(near, mixed, weights, axes=(0,)):
    """Pooled over places, with an intercept at each; places that are averaged over count as one."""
    weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (near.ndim - weights.ndim)), near.shape)
    means = [(weights * each).sum(axis=axes, keepdims=True) / weights.sum(axis=axes, keepdims=True)
             for each in (near, mixed)]  # fmt: skip
    near, mixed = near - means[0], mixed - means[1]
    return (weights * near * mixed).sum() / (weights * near**2).sum()


def joined(batches):
    return [np.concatenate(each) for each in zip(*batches, strict=True)]


@pytest.mark.parametrize("centre", (0.0, 50.0, 51.5))
def test_a_slope_is_the_weighted_regression_wherever_sums_are_centred(centre):
    batches = [(*rows(20, (3,)), RNG.uniform(0, 2, 20)) for _ in range(5)]
    assert summed((3,), centre, batches).value == pytest.approx(regression(*joined(batches)), rel=1e-9)


def test_places_may_weigh_differently():
    batches = [(*rows(20, (4, 2)), RNG.integers(0, 2, (20, 4)).astype("f8")) for _ in range(5)]
    assert summed((4, 2), 49.0, batches).value == pytest.approx(regression(*joined(batches)), rel=1e-9)


def test_open_axes_have_one_intercept_for_all_places():
    batches = [(*rows(10, (size, 2)), RNG.uniform(0, 2, 10)) for size in (3, 5, 4)]
    whole = [(near.reshape(-1, 2), mixed.reshape(-1, 2), np.repeat(weights, near.shape[1]))
             for near, mixed, weights in batches]  # fmt: skip
    assert summed((None, 2), 49.0, batches).value == pytest.approx(regression(*joined(whole)), rel=1e-9)


def test_shards_join_to_the_whole_around_whatever_centres_and_open_afterwards():
    batches = [(*rows(20, (4, 2)), RNG.uniform(0, 2, 20)) for _ in range(6)]
    first, second = summed((4, 2), 45.0, batches[:2]), summed((4, 2), 52.0, batches[2:])
    first.merge(second)
    near, mixed, weights = joined(batches)
    assert first.value == pytest.approx(regression(near, mixed, weights), rel=1e-9)
    opened = first.opened((None, 2), np.full((1, 2), 48.0))
    assert opened.value == pytest.approx(regression(near, mixed, weights, axes=(0, 1)), rel=1e-9)


def test_standard_errors_are_as_slopes_spread_where_samples_of_a_batch_share_their_ratio():
    values, errors = [], []
    for _ in range(200):
        batches = []
        for _ in range(25):
            near = RNG.normal(3, 1, size=(30, 2))
            batches.append((near, RNG.uniform(0.5, 1) * near + RNG.normal(3, 0.1, size=near.shape), np.ones(30)))
        found = summed((2,), 3.0, batches)
        values.append(found.value)
        errors.append(found.error)
    # A standard deviation of 200 values is within 20 % of the truth, but for one in 10,000.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_weights_that_move_the_means_do_not_inflate_the_error():
    """Around the data's mean, which is not that of what counts, residuals have one sign, and would seem to vary."""
    values, errors = [], []
    for _ in range(200):
        batches = []
        for _ in range(40):
            near = RNG.normal(0, 1, size=(50, 1))
            batches.append((near, 0.7 * near + 5 + RNG.normal(0, 0.5, size=near.shape), np.exp(near[:, 0])))
        found = summed((1,), 0.0, batches)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_of_one_batch_the_error_is_unknown():
    assert summed((3,), 50.0, [(*rows(20, (3,)), np.ones(20))]).error == np.inf


def test_what_is_not_moved_or_does_not_vary_has_slope_one():
    near, mixed = rows(20, (3,))
    unmoved = summed((3,), 50.0, [(near, near * (1 + 1e-8), np.ones(20))])
    assert (unmoved.is_unmoved, unmoved.value, unmoved.error) == (True, 1.0, 0.0)
    constant = summed((3,), 50.0, [(np.full((20, 3), 50.0), mixed, np.ones(20))])
    assert (constant.is_unmoved, constant.value, constant.error) == (False, 1.0, 0.0)
    # What does not count does not move anything.
    assert summed((3,), 50.0, [(near, mixed, np.zeros(20))]).is_unmoved
