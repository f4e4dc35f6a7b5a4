"""Labels of mixtures against those of the nearest samples: by brute force, and where the answer is known."""

import numpy as np
import pytest

from kmix_tf.analysis import label_distance
from kmix_tf.analysis.mixtures import pairs_of


def by_hand(x, y, alpha, mixtures, seed):
    """The definition, pair by pair."""
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    made = pairs_of(len(x), mixtures, alpha, np.random.default_rng(seed))

    def nearest(point, i, j):
        apart = np.square(x - point).sum(axis=1)
        apart[[i, j]] = np.inf
        return y[apart.argmin()]

    rows = []
    for i, j, r in zip(*made, strict=True):
        label = r * y[i] + (1 - r) * y[j]
        mixture = np.linalg.norm(label - nearest(r * x[i] + (1 - r) * x[j], i, j))
        own = [np.linalg.norm(y[k] - nearest(x[k], i, j)) for k in (i, j)]
        rows.append((mixture, r * own[0] + (1 - r) * own[1]))
    return np.array(rows)


@pytest.mark.parametrize("targets", [1, 2])
def test_it_is_what_its_definition_says(targets):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(40, 3)), generator.normal(size=(40, targets)) * [1, 20][:targets]
    rows = by_hand(x, y, 0.7, 300, 5)
    (found,) = label_distance(x, y, [0.7], mixtures=300, seed=5)
    np.testing.assert_allclose([found.distance, found.baseline], rows.mean(axis=0), rtol=1e-6)
    added = rows[:, 0] - rows[:, 1]
    reach = 1.96 * added.std(ddof=1) / np.sqrt(300)
    np.testing.assert_allclose(
        [found.excess, found.low, found.high], added.mean() + np.array([0, -reach, reach]), rtol=1e-6, atol=1e-9
    )


def test_unmixed_adds_nothing_a_line_nearly_nothing_and_a_bend_what_it_bends():
    x = np.linspace(-1, 1, 2001)[:, np.newaxis]
    zero, one = label_distance(x, x**2, [0, 1], mixtures=20_000)
    assert (zero.excess, zero.low, zero.high) == (0, 0, 0)
    # r (1 - r) (a - b)^2 on average, 1/6 of 2/3, in spreads of x^2.
    assert abs(one.distance - (1 / 9) / np.sqrt(4 / 45)) < 0.01
    assert abs(label_distance(x, 3 * x[:, 0] + 7, [1], mixtures=2000)[0].excess) < 0.002


def test_units_of_targets_do_not_matter_and_images_are_rows():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(60, 4, 2)), generator.normal(size=60)
    first, again = label_distance(x, y), label_distance(x.reshape(60, 8), 1e6 * y - 5)
    np.testing.assert_allclose(first, again, rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (np.ones((3, 1)), np.ones(3), "label_distance: y must differ between samples"),
        (np.ones((2, 1)), np.arange(2), r"n >= 3\. Received: shapes \(2, 1\) and \(2,\)"),
        (np.ones((3, 1)), [0, np.nan, 1], "x and y must be finite"),
        (np.ones(3), np.arange(3), r"x must be \(n, \.\.\.\)"),
    ],
)
def test_what_cannot_be_meant_is_refused(x, y, told):
    with pytest.raises(ValueError, match=told):
        label_distance(x, y)
