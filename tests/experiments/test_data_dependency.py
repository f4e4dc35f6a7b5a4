"""What experiments of the data-dependency paper compute beside training, against another way to say the same."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import nnls

from experiments.data_dependency import figure_3, table_2, theorem_2_11, theorem_3_2, theorem_3_5
from experiments.data_dependency.common import SummingAdam
from experiments.data_dependency.items import ITEMS
from kmix_tf.analysis import intrusion_distances, mixup_optimal_classifier


def test_summing_adam_is_adam_given_the_sums():
    gradients = np.random.default_rng(0).normal(size=(5, 3))
    variable = tf.Variable(np.zeros(3, np.float32))
    optimizer = SummingAdam(1e-2)
    optimizer.build([variable])
    expected, first, second, total = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for step, gradient in enumerate(gradients, 1):
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
        total += gradient
        first, second = 0.9 * first + 0.1 * total, 0.999 * second + 0.001 * total**2
        expected -= 1e-2 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4)


def test_bend_is_the_part_that_no_line_separates():
    plane = figure_3._plane(figure_3.FINE)
    assert figure_3._bend(plane, (plane @ [1.0, 0.3] > 0.2).astype(int)) < 0.5
    # A square in the middle that is a quarter of the plane: lines can only leave it all to the other class.
    assert figure_3._bend(plane, (np.abs(plane).max(axis=1) < 1).astype(int)) == pytest.approx(25, abs=1)


def test_margins_are_distances_to_the_other_side():
    plane = figure_3._plane(figure_3.FINE)
    x, y = np.float32([[0.5, 0.3], [-0.25, 1.0]]), np.array([0, 1])
    found = figure_3._margins(x, y, plane, (plane[:, 0] < 0).astype(int))
    np.testing.assert_allclose(found, [0.5, 0.25], atol=0.03)


def test_planes_come_back_as_they_were():
    bits = np.random.default_rng(0).integers(2, size=(40, 40)).astype(bool)
    np.testing.assert_array_equal(figure_3._drawn(np.packbits(bits).tobytes().hex()), bits)


def test_distances_are_those_of_the_analysis():
    x, y = table_2.SOURCES["iris"](return_X_y=True)
    found = table_2.distances(x, y, *table_2.mixtures(x, y, 1.0, 3))
    np.testing.assert_allclose(found, intrusion_distances(x, y, 1.0, same_class=True, seed=3).distances, rtol=1e-6)


@pytest.mark.parametrize(("size", "count"), [(3, 1), (4, 2), (5, 1), (6, 1), (9, 1)])
def test_sets_found_have_the_midpoints(size, count):
    generator = np.random.default_rng(size)
    points = generator.normal(size=(size, 3))
    pairs = np.array(list(itertools.combinations(range(size), 2)))
    found = theorem_2_11.points_of(generator.permutation(points[pairs].mean(1)), size, generator.normal(size=3))
    assert len(found) == count

    def ordered(values):
        return values[np.argsort(values[:, 0])]

    for one in found:
        np.testing.assert_allclose(ordered(one[pairs].mean(1)), ordered(points[pairs].mean(1)))
    assert any(np.allclose(ordered(one), ordered(points)) for one in found)


def test_the_other_four_points_are_the_reflections():
    points = np.random.default_rng(1).normal(size=(4, 2))
    pairs = np.array(list(itertools.combinations(range(4), 2)))
    found = theorem_2_11.points_of(points[pairs].mean(1), 4, np.array([1.0, 0.5]))
    reflected = 2 * points.mean(axis=0) - points
    assert any(np.allclose(np.sort(one, axis=0), np.sort(reflected, axis=0)) for one in found)


def test_segment_distances_are_the_least_over_dense_points():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(9, 2)), np.arange(9) % 3
    ratios = np.linspace(0, 1, 2001)[:, None]
    for index, found in enumerate(theorem_3_2.segment_distances(x, y)):
        others = x[y != y[index]]
        dense = [ratios * s + (1 - ratios) * t for s, t in itertools.combinations(others, 2)]
        assert found == pytest.approx(np.linalg.norm(np.concatenate(dense) - x[index], axis=1).min(), abs=1e-3)


def test_fulfils_sees_all_segments_near_a_point():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, 1.0], [0.3, -1.0]]), np.array([0, 1, 1, 2])
    assert theorem_3_2.fulfils([0.1, 0.0], x, y, 0, 0.05)
    assert not theorem_3_2.fulfils([0.3, 0.0], x, y, 0, 0.05)  # a segment of classes 1 and 2 meets it
    assert not theorem_3_2.fulfils([0.6, 0.0], x, y, 0, 0.05)  # nearer to the other end
    assert not theorem_3_2.fulfils([0.98, 0.0], x, y, 0, 0.05)  # a sample of another class in the ball
    assert mixup_optimal_classifier(x, y, [[0.1, 0.0]], 1.0, 0.05)[0].argmax() == 0


def test_values_minimise_the_sampled_loss():
    y = np.repeat([1, -1], [15, 5])
    values = theorem_3_5._values(y, theorem_3_5.LAWS["alpha = 1"](), is_same_too=True)
    generator = np.random.default_rng(0)
    first, second, ratio = *generator.integers(20, size=(2, 200_000)), generator.uniform(size=200_000)
    target = ratio * (y[first] > 0) + (1 - ratio) * (y[second] > 0)

    def loss(at):
        mixed = ratio * at[first] + (1 - ratio) * at[second]
        return (np.logaddexp(0, mixed) - target * mixed).mean()

    assert all(loss(values * scale) > loss(values) for scale in (0.8, 1.25))
    assert all(loss(values + shift) > loss(values) for shift in (-0.5, 0.5))


def test_the_machine_finds_the_nearest_point_of_the_hull():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(20, 30)), np.repeat([1, -1], [10, 10])
    signed = y[:, None] * x
    weights, _ = nnls(np.vstack([signed.T, np.ones(20)]), np.append(np.zeros(30), 1.0))
    assert theorem_3_5._found(x, y, x @ (signed.T @ weights))["angle"] < 1e-3


def test_every_table_and_figure_is_listed():
    names = [name for name, _, _ in ITEMS]
    assert {f"Figure {number}" for number in range(1, 15)} | {"Table 1", "Table 2"} <= set(names)
    assert all(experiment or why for _, experiment, why in ITEMS)
