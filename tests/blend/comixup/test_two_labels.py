"""The best of two labels for each block, row by row and by cuts, against all labellings."""

import numpy as np
import pytest

from kmix_tf.blend.comixup import two_labels
from kmix_tf.blend.comixup.two_labels import best_choices, edges_along
from tests.blend.comixup.problems import every_labelling, neighbours


def random_problems(rng, number, sizes):
    more = rng.normal(size=(number, *sizes))
    shape = np.array(sizes)
    apart = [
        rng.uniform(0, 1, (number, *(shape - np.eye(len(sizes), dtype=int)[axis]))) for axis in range(len(sizes))
    ]
    return more, apart


def cost(choices, more, apart):
    total = more[choices == 0].sum()
    for edges, (below, above) in zip(apart, edges_along(more.ndim), strict=True):
        total += edges[choices[below] != choices[above]].sum()
    return total


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("sizes", [(1,), (7,), (3, 3), (2, 5), (2, 2, 2)])
def test_no_labelling_costs_less(by_row, sizes, monkeypatch):
    if not by_row:
        monkeypatch.setattr(two_labels, "MOST_IN_ROW", 0)
    more, apart = random_problems(np.random.default_rng(0), 11, sizes)
    labellings = every_labelling(2, sizes)
    choices = best_choices(more, apart)
    assert choices.shape == more.shape
    for at in range(11):
        problem = more[at], [edges[at] for edges in apart]
        least = min(cost(each, *problem) for each in labellings)
        assert cost(choices[at], *problem) == pytest.approx(least, abs=1e-12 if by_row else 1e-4)


def test_cuts_and_rows_agree_on_larger_grids(monkeypatch):
    more, apart = random_problems(np.random.default_rng(1), 20, (6, 5))
    row_by_row = best_choices(more, apart)
    monkeypatch.setattr(two_labels, "MOST_IN_ROW", 0)
    by_cut = best_choices(more, apart)
    for at in range(20):
        problem = more[at], [edges[at] for edges in apart]
        assert cost(by_cut[at], *problem) == pytest.approx(cost(row_by_row[at], *problem), abs=1e-4)
    assert (by_cut == row_by_row).mean() > 0.99


def test_edges_are_all_pairs_of_neighbours():
    number = np.arange(12).reshape(2, 3, 2)
    found = {
        pair
        for below, above in edges_along(3)
        for pair in zip(number[below].ravel().tolist(), number[above].ravel().tolist(), strict=True)
    }
    assert found == {(int(number[one]), int(number[other])) for one, other in neighbours((2, 3, 2))}
