"""Swaps of two labels, against all labellings there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf.blend.comixup.swap import Grid, grid_energies, swapped
from tests.blend.comixup.problems import every_labelling, neighbours


def random_grid(rng, labels, sizes):
    between = rng.uniform(0, 1, (labels, labels))
    between = (between + between.T) * (1 - np.eye(labels))
    return Grid(rng.normal(size=(labels, *sizes)), between * rng.choice([0.1, 0.5, 2.0]))


def written_out(labels, grid):
    own = sum(grid.own[(labels[block], *block)] for block in np.ndindex(*labels.shape))
    return own + sum(grid.between[labels[one], labels[other]] for one, other in neighbours(labels.shape))


@pytest.mark.parametrize("sizes", [(1,), (6,), (2, 3), (2, 1, 3)])
def test_energies_are_sums_over_blocks_and_borders(sizes):
    rng = np.random.default_rng(0)
    grid, labels = random_grid(rng, 4, sizes), rng.integers(0, 4, (7, *sizes))
    np.testing.assert_allclose(grid_energies(labels, grid), [written_out(each, grid) for each in labels], rtol=1e-12)


@pytest.mark.parametrize("sizes", [(6,), (3, 3), (2, 2, 2)])
def test_of_two_labels_the_best_labelling_is_found(sizes):
    rng = np.random.default_rng(1)
    for _ in range(20):
        grid = random_grid(rng, 2, sizes)
        least = grid_energies(every_labelling(2, sizes), grid).min()
        found = swapped(rng.integers(0, 2, sizes), grid)
        assert written_out(found, grid) == pytest.approx(least, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), labels=st.integers(2, 5), sizes=st.sampled_from([(5,), (2, 3), (3, 3)]))
def test_no_swap_makes_the_labels_better_and_none_made_them_worse(seed, labels, sizes):
    rng = np.random.default_rng(seed)
    grid, start = random_grid(rng, labels, sizes), rng.integers(0, labels, sizes)
    found = swapped(start, grid)
    energy = written_out(found, grid)
    assert energy <= written_out(start, grid) + 1e-12
    for one in range(labels):
        for other in range(one):
            taken = (found == one) | (found == other)
            for choice in every_labelling(2, (int(taken.sum()),)) if taken.any() else ():
                moved = found.copy()
                moved[taken] = np.where(choice, one, other)
                assert written_out(moved, grid) >= energy - 1e-9
