"""Masks of least energy against enumeration and dynamic programming, over thousands of random puzzles."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.blend.puzzle.energy import PairEnergy, mask_energy
from kmix_tf.blend.puzzle.minimum_cut import CutProblem, cut_problem, minimum_cut

# Capacities are rounded to a part in 2^19 of their mean bound; a puzzle here has fewer than 300 of them.
ROUNDING = 300 / 2**19


def puzzles(number, shape, seed):
    """Saliency that dominates and that does not, with edges of no weight among the others; and ratios."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.1, 1.0, 10.0], size=(number, *[1] * len(shape)))
    pull = rng.normal(size=(number, *shape)) * scale
    smooth = []
    for axis in range(len(shape)):
        edges = (number, *(size - (other == axis) for other, size in enumerate(shape)))
        smooth.append(rng.exponential(size=edges) * (rng.uniform(size=edges) > 0.2))
    ratio = rng.uniform(0.01, 0.99, size=number).astype(np.float32)
    wide = [each.astype(np.float32) for each in (pull, *smooth)]
    return PairEnergy(tf.constant(wide[0]), tuple(map(tf.constant, wide[1:]))), ratio


def log_chances(ratio, draws):
    """Logarithms of the binomial's probabilities, `(puzzles, draws + 1)`."""
    ratio, label = ratio.astype(np.float64)[:, np.newaxis], np.arange(draws + 1)
    choose = np.array([math.comb(draws, each) for each in label])
    return np.log(choose * ratio**label * (1 - ratio) ** (draws - label))


def energies_of(energy, masks, ratio, n_labels, eta):
    """The energies `(puzzles, masks)` of masks `(1, masks, *blocks)`, or `(puzzles, masks, *blocks)`."""
    draws, number = n_labels - 1, len(ratio)
    masks = np.broadcast_to(masks, (number, *masks.shape[1:]))
    share = masks / draws
    flat = (number, share.shape[1], -1)
    total = (energy.pull.numpy().astype(np.float64)[:, np.newaxis] * share).reshape(flat).sum(-1)
    for axis, edges in enumerate(energy.smooth, start=2):
        steps = np.square(np.diff(share, axis=axis))
        total += (edges.numpy().astype(np.float64)[:, np.newaxis] * steps).reshape(flat).sum(-1)
    chances = log_chances(ratio, draws)[np.arange(number)[:, np.newaxis, np.newaxis], masks.reshape(flat)]
    return total - eta * chances.mean(-1)


def tolerance(energy):
    parts = [np.abs(part).reshape(len(energy.pull), -1).sum(1) for part in (energy.pull, *energy.smooth)]
    return ROUNDING * (np.sum(parts, axis=0) + 1)


def solved(energy, ratio, n_labels, eta, solver="host"):
    problem = cut_problem(energy, tf.constant(np.atleast_2d(ratio)), n_labels=n_labels, eta=eta)
    return minimum_cut(problem, solver).numpy()


@pytest.mark.parametrize(
    ("shape", "n_labels", "number"),
    [
        ((3, 3), 2, 1000),
        ((2, 4), 2, 1000),
        ((4, 4), 2, 8),
        ((2, 2), 3, 1000),
        ((2, 3), 3, 500),
        ((3, 3), 3, 30),
        ((5,), 4, 300),
        ((2, 2), 5, 300),
    ],
    ids=str,
)
def test_no_mask_has_less_energy(shape, n_labels, number):
    energy, ratio = puzzles(number, shape, seed=n_labels)
    found = solved(energy, ratio, n_labels, eta=0.7)
    assert set(np.unique(found)) == set(range(n_labels))
    masks = np.array(list(itertools.product(range(n_labels), repeat=math.prod(shape))))
    least = energies_of(energy, masks.reshape(1, -1, *shape), ratio, n_labels, 0.7).min(axis=1)
    ours = energies_of(energy, found[:, np.newaxis], ratio, n_labels, 0.7)[:, 0]
    assert (ours >= least - 1e-9).all()
    assert (ours - least <= tolerance(energy)).all()


def least_by_rows(pull, smooth, chances, eta, draws):
    """The least energy of one puzzle by dynamic programming over rows: every row against every next one."""
    height, width = pull.shape
    rows = np.array(list(itertools.product(range(draws + 1), repeat=width)))
    share = rows / draws
    within = np.square(np.diff(share, axis=1))
    best = 0
    for number in range(height):
        own = share @ pull[number] + within @ smooth[1][number] - eta / pull.size * chances[rows].sum(1)
        if number:
            steps = np.square(share[:, np.newaxis] - share[np.newaxis]) @ smooth[0][number - 1]
            best = (best[:, np.newaxis] + steps).min(axis=0)
        best = best + own
    return best.min()


def test_no_mask_of_four_by_four_blocks_and_three_labels_has_less_energy():
    # 43 million masks each; rows have 81.
    energy, ratio = puzzles(300, (4, 4), seed=1)
    found = solved(energy, ratio, 3, eta=0.4)
    ours = energies_of(energy, found[:, np.newaxis], ratio, 3, 0.4)[:, 0]
    pull, smooth = energy.pull.numpy().astype(np.float64), [each.numpy().astype(np.float64) for each in energy.smooth]
    chances = log_chances(ratio, 2)
    least = [
        least_by_rows(pull[index], [edges[index] for edges in smooth], chances[index], 0.4, 2) for index in range(300)
    ]
    assert (ours - least <= tolerance(energy)).all()
    assert (ours >= np.array(least) - 1e-9).all()


def test_both_oracles_agree():
    energy, ratio = puzzles(5, (3, 2), seed=2)
    masks = np.array(list(itertools.product(range(3), repeat=6))).reshape(1, -1, 3, 2)
    least = energies_of(energy, masks, ratio, 3, 0.3).min(axis=1)
    parts = [[each[index].numpy().astype(np.float64) for each in (energy.pull, *energy.smooth)] for index in range(5)]
    by_rows = [least_by_rows(part[0], part[1:], log_chances(ratio, 2)[row], 0.3, 2) for row, part in enumerate(parts)]
    np.testing.assert_allclose(by_rows, least, atol=1e-9)


@pytest.mark.parametrize(("shape", "n_labels"), [((4, 4), 3), ((3, 5), 2), ((8,), 4)], ids=str)
@pytest.mark.representatives("n_labels", [3])
def test_the_solver_in_the_graph_finds_the_very_same_masks(shape, n_labels):
    energy, ratio = puzzles(400, shape, seed=5)
    on_host = solved(energy, ratio, n_labels, 0.5)
    assert (solved(energy, ratio, n_labels, 0.5, "graph") == on_host).all()


def test_both_solvers_take_the_greatest_of_many_best_cuts():
    # Small integers: most problems have several best cuts.
    rng = np.random.default_rng(3)
    weight = rng.integers(-2, 3, size=(300, 2, 3, 1)).astype(np.int32)
    smooth = [
        rng.integers(0, 2, size=(300, 1, 3)).astype(np.int32),
        rng.integers(0, 2, size=(300, 2, 2)).astype("i4"),
    ]
    masks = np.array(list(itertools.product(range(2), repeat=6))).reshape(-1, 2, 3)
    costs = (weight[:, np.newaxis, ..., 0] * masks).sum((2, 3))
    for axis, edges in enumerate(smooth, start=1):
        costs += (edges[:, np.newaxis] * np.abs(np.diff(masks, axis=axis))).sum((2, 3))
    best = costs == costs.min(axis=1, keepdims=True)
    greatest = np.array([masks[each].max(axis=0) for each in best])
    assert (best.sum(axis=1) > 1).mean() > 0.3
    problem = CutProblem(tf.constant(weight), tuple(map(tf.constant, smooth)))
    for solver in ("host", "graph"):
        assert (minimum_cut(problem, solver).numpy() == greatest).all()


@pytest.mark.parametrize("n_labels", [2, 3, 5])
def test_masks_of_descending_ratios_are_nested(n_labels):
    energy, _ = puzzles(200, (4, 4), seed=7)
    ratio = np.sort(np.random.default_rng(8).uniform(size=(6, 200)), axis=0)[::-1].astype(np.float32)
    ratio[0, :20], ratio[-1, :20] = 1, 0
    found = solved(energy, ratio, n_labels, eta=2.0).reshape(6, 200, 4, 4)
    assert (np.diff(found, axis=0) <= 0).all()
    assert (np.diff(found, axis=0) < 0).any(axis=(1, 2, 3)).all()


def test_a_strong_prior_brings_the_mean_of_the_mask_to_the_ratio():
    # Where the prior is all there is, each block has the binomial's likeliest label, within one of the ratio.
    energy, ratio = puzzles(200, (4, 4), seed=9)
    labels = 16
    off = {
        eta: np.abs(solved(energy, ratio, labels + 1, eta).mean(axis=(1, 2)) / labels - ratio)
        for eta in (0.0, 1.0, 1e6)
    }
    assert off[1e6].max() <= 1 / labels
    assert off[1e6].mean() < off[1.0].mean() < off[0.0].mean()


def test_without_prior_and_smoothness_each_block_goes_to_the_more_salient():
    pull = np.random.default_rng(4).normal(size=(50, 4, 4)).astype(np.float32)
    nothing = (tf.zeros([50, 3, 4]), tf.zeros([50, 4, 3]))
    found = solved(PairEnergy(tf.constant(pull), nothing), np.full(50, 0.3, np.float32), 3, eta=0.0)
    assert (found == np.where(pull < 0, 2, 0)).all()


def test_rough_masks_cost_more_the_smoother_they_should_be():
    energy, ratio = puzzles(100, (4, 4), seed=6)
    borders = []
    for factor in (0.0, 1.0, 100.0):
        smoother = energy._replace(smooth=tuple(factor * edges for edges in energy.smooth))
        found = solved(smoother, ratio, 3, eta=0.1)
        borders.append(np.abs(np.diff(found, axis=1)).sum() + np.abs(np.diff(found, axis=2)).sum())
    assert borders[0] > borders[1] > borders[2]


def test_the_energy_is_what_is_said():
    energy, ratio = puzzles(20, (3, 4), seed=10)
    masks = np.random.default_rng(1).integers(0, 4, size=(20, 3, 4))
    expected = energies_of(energy, masks[:, np.newaxis], ratio, 4, 0.6)[:, 0]
    np.testing.assert_allclose(mask_energy(energy, masks, ratio, n_labels=4, eta=0.6), expected, rtol=1e-12)


def test_no_problems_have_no_masks():
    energy, ratio = puzzles(0, (4, 4), seed=0)
    for solver in ("host", "graph"):
        assert solved(energy, ratio, 3, 0.2, solver).shape == (0, 4, 4)
