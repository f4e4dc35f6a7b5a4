"""Splits hold every row once, and every class in its share."""

import numpy as np
import pytest

from kmix_tf.trial.problem import make_problem
from kmix_tf.trial.splits import parts, split


@pytest.mark.parametrize("counts", [[5, 5, 40], [33, 34], [10] * 7, [100, 5]])
def test_every_row_is_in_one_part_and_every_class_has_its_share(counts):
    strata = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    sizes = set()
    for number in range(6):
        made = split(strata, 3, number)
        np.testing.assert_array_equal(np.sort(np.concatenate(made)), np.arange(len(strata)))
        sizes.add(tuple(map(len, made)))
        for stratum, count in enumerate(counts):
            tested, validated = ((strata[rows] == stratum).sum() for rows in (made.test, made.validation))
            assert abs(tested - len(made.test) / len(strata) * count) < 1.01 and tested >= 1
            assert abs(validated - len(made.validation) / len(strata) * count) < 2
    assert len(sizes) == 1
    ((train, _, test),) = sizes
    assert test == round(0.25 * len(strata)) and train >= 0.59 * len(strata)


def test_splits_are_the_seeds_and_differ_by_number():
    strata = np.arange(40) % 2
    first, again, other, seed = (split(strata, *which) for which in [(0, 0), (0, 0), (0, 1), (1, 0)])
    np.testing.assert_array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test) and not np.array_equal(first.test, seed.test)


def test_features_are_scaled_by_the_training_part_alone():
    generator = np.random.default_rng(0)
    x = np.stack([1e9 + generator.normal(size=60), generator.normal(size=60), np.full(60, 7.0)], axis=1)
    problem = make_problem(x, np.arange(60) % 2)
    chosen = split(problem.strata, 0, 0)
    made = parts(problem, chosen)
    rows = x[:, :2]
    expected = (rows - rows[chosen.train].mean(axis=0)) / rows[chosen.train].std(axis=0)
    for part, places in zip(made, chosen, strict=True):
        np.testing.assert_allclose(part.x[:, :2], expected[places], atol=1e-4)
        np.testing.assert_allclose(part.x[:, 2], 0, atol=1e-6)


def test_images_are_scaled_by_channel_and_targets_to_a_spread_of_one():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 6, 6, 2)) * [1, 30] + [5, -3]
    problem = make_problem(x, generator.normal(size=40) * 100 + 1e6)
    train = parts(problem, split(problem.strata, 0, 0)).train
    np.testing.assert_allclose(train.x.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(train.x.std(axis=(0, 1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose([train.y.mean(), train.y.std()], [0, 1], atol=1e-4)
