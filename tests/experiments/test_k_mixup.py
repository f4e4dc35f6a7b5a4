"""What the toys' experiments measure, against counting and against data."""

import itertools

import numpy as np
import pytest

from experiments.k_mixup import clusters, common, figure_4, geometry
from experiments.k_mixup.common import BARS, RING, ROLL, TOYS
from kmix_tf.analysis import perturbation


@pytest.mark.parametrize("toy", TOYS)
def test_every_sample_is_where_its_class_is(toy):
    x, y = common.data(toy, 2000, 0)
    for label in (0, 1):
        np.testing.assert_allclose(geometry.to_class(toy, x[y == label], label), 0, atol=2e-3)
        assert geometry.to_class(toy, x[y != label], label).min() > geometry.injectivity_radius(toy)


@pytest.mark.parametrize("toy", TOYS)
def test_distances_are_those_from_many_samples(toy):
    """A set of samples as dense as this one is near enough to all of its class."""
    x, y = common.data(toy, 40_000, 1)
    width = {RING: 0.02, BARS: 0.08, ROLL: 0.02}[toy]
    points = np.random.default_rng(0).uniform(x.min(0) * 1.2, x.max(0) * 1.2, (200, 2))
    for label in (0, 1):
        counted = np.linalg.norm(points[:, np.newaxis] - x[y == label], axis=2).min(axis=1)
        found = geometry.to_class(toy, points, label)
        assert (found <= counted + 1e-3).all()
        assert (found >= counted - width).all()


@pytest.mark.parametrize("toy", TOYS)
def test_injectivity_radius_is_half_the_gap(toy):
    x, y = common.data(toy, 20_000, 2)
    first, second = common.edge_pairs(x, y, 1)
    gap = np.linalg.norm(x[first] - x[second])
    assert gap == pytest.approx(2 * geometry.injectivity_radius(toy), rel=0.06)


def test_nearest_distribution_is_that_of_all_groups():
    x = np.random.default_rng(0).normal(size=(7, 2))
    counted = np.zeros(7)
    for group in itertools.combinations([0, 1, 3, 4, 5, 6], 3):
        counted[min(group, key=lambda row: np.linalg.norm(x[row] - x[2]))] += 1
    np.testing.assert_allclose(geometry.nearest_distribution(x, 2, 3), counted / counted.sum(), atol=1e-12)


def test_transport_is_the_best_of_all_orders_and_the_nearest_are_nearest():
    x = np.random.default_rng(0).normal(size=(30, 2))
    pairs = geometry.groups(30, 4, 5, np.random.default_rng(1))
    for (first, second), partner in zip(pairs, geometry.transported(x, pairs), strict=True):
        assert sorted(partner) == sorted(second)
        costs = [np.square(x[first] - x[list(order)]).sum() for order in itertools.permutations(second)]
        assert np.square(x[first] - x[partner]).sum() == pytest.approx(min(costs))
    for (first, second), partner in zip(pairs, geometry.nearest(x, pairs), strict=True):
        least = [min(np.linalg.norm(x[row] - x[other]) for other in second) for row in first]
        np.testing.assert_allclose(np.linalg.norm(x[first] - x[partner], axis=1), least)


def test_plain_alpha_moves_as_far():
    x, _ = common.data(RING, 256, 0)
    alpha = figure_4.plain_alpha(x, 8, 1.0, trials=500)
    assert perturbation(x, 1, alpha) == pytest.approx(perturbation(x, 8, 1.0, trials=500), rel=0.01)


class _Step:
    """A classifier that changes at `at`, and has 90 % from 0.4 away: in all 40 % of the gap from -1 to 1."""

    def __init__(self, at):
        self._at = at

    def __call__(self, x, training):
        return np.stack([0 * x[:, 0], (x[:, 0] - self._at) * np.log(9) / 0.4], axis=1)


def test_transition_and_middle_are_measured_along_the_gap():
    y = np.arange(600) % 2
    x = np.stack([2.0 * y - 1, np.repeat(np.arange(300) * 10.0, 2)], axis=1).astype(np.float32)
    found = common.behaviour(_Step(0.0), x, y)
    assert found["transition"] == pytest.approx(40, abs=3)
    assert found["off the middle"] == pytest.approx(0, abs=2)
    moved = common.behaviour(_Step(0.5), x, y)
    assert moved["off the middle"] == pytest.approx(25, abs=2)
    assert moved["error"] == 0


def test_ends_are_near_where_they_face_the_other_cluster():
    """Discs at 0 and 4 of radius 1: facing parts end at 2.5 from the other disc, so at 0.5 and 3.5 on the axis."""
    cluster = np.array([[0, 0, 0, 1], [1, 1, 0, 0]])
    points = np.array(
        [[[0.6, 0], [0.4, 0], [0.9, 0], [3.3, 0.1]], [[3.4, 0], [3.2, 0], [0.8, 0], [-0.9, 0]]], dtype=float
    )
    assert clusters._ends_are_near(cluster, points).tolist() == [True, False, False]
