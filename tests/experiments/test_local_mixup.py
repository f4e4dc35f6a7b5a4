"""What the experiments on Local Mixup rest on: pairs within epsilon, networks side by side, lines."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments.local_mixup.common import NearPairs, adam, probabilities_of_arms, side_by_side
from experiments.local_mixup.figure_2 import least_squares, with_uniform_ratios
from experiments.local_mixup.table_1 import counts_like
from experiments.local_mixup.theorems import line

X = np.float32([[0, 0], [1, 0], [3, 0], [3, 0]])
Y = np.int32([0, 1, 0, 1])


def test_pairs_within_epsilon_are_those_of_the_double_loop():
    pairs = NearPairs(X)
    for epsilon in (0.5, 1.0, 2.0, 3.0):
        near = {(i, j) for i in range(4) for j in range(4) if np.linalg.norm(X[i] - X[j]) <= epsilon}
        assert set(zip(*map(list, pairs.rows(pairs.within(epsilon))), strict=True)) == near


def test_at_epsilon_0_samples_without_a_double_stay_themselves():
    x = np.float32([[0, 0], [1, 0], [3, 0], [7, 0]])
    mixed, targets = next(iter(NearPairs(x).batches(x, Y, [0, np.inf], 256, seed=0)))
    alone = mixed[:, 0].numpy().round(3)
    assert {tuple(row) for row in alone} == {tuple(row) for row in x}
    for row, target in zip(alone, targets[:, 0].numpy(), strict=True):
        assert target[Y[np.flatnonzero((x == row).all(axis=1))[0]]] == 1
    assert len(np.unique(mixed[:, 1].numpy(), axis=0)) > 100


def test_mixtures_lie_between_pairs_within_epsilon_and_targets_follow():
    x = np.float32([[0, 0], [1, 0], [5, 0], [6, 0]])
    mixed, targets = next(iter(NearPairs(x).batches(x, Y, [1.0], 256, seed=0)))
    at = mixed[:, 0, 0].numpy()
    # The least below 5 that rounding leaves is none between the pairs.
    assert ((at <= 1 + 1e-5) | (at >= 5 - 1e-5)).all()
    # Between 0 and 1, as between 5 and 6, classes are 0 and 1.
    np.testing.assert_allclose(targets[:, 0, 1].numpy(), np.where(at < 3, at, at - 5), atol=1e-5)


def test_networks_side_by_side_learn_as_each_alone():
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 3, 2)).astype(np.float32)
    y = tf.one_hot(generator.integers(2, size=(64, 3)), 2)
    together = side_by_side([16], 2, 2, 3)
    alone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2)])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    first = [weights[1] for weights in together.get_weights()]
    together.compile(adam(0.01, 3), loss)
    together.fit(x, y, batch_size=64, epochs=20, shuffle=False, verbose=0)
    alone.set_weights(first)
    alone.compile(keras.optimizers.Adam(0.01), loss)
    alone.fit(x[:, 1], y[:, 1], batch_size=64, epochs=20, shuffle=False, verbose=0)
    expected = tf.nn.softmax(alone(x[:, 1]))[:, 1].numpy()
    np.testing.assert_allclose(probabilities_of_arms(together, x[:, 1], 3)[1], expected, atol=1e-4)


def test_the_line_is_that_of_many_mixtures():
    x, y = np.array([0.0, 1.0, 3.0, 3.5]), np.array([0.0, 1.0, 0.0, 2.0])
    ratio = (np.arange(1000) + 0.5) / 1000
    pairs = [(i, j) for i in range(4) for j in range(4) if abs(x[i] - x[j]) <= 2]
    xs, ys = (np.concatenate([ratio * each[i] + (1 - ratio) * each[j] for i, j in pairs]) for each in (x, y))
    np.testing.assert_allclose(line(x, y, 2), np.polyfit(xs, ys, 1), atol=1e-5)


def test_least_squares_and_uniform_ratios_of_two_neighbours_by_hand():
    y = np.array([5.0, 0.0, 5.0, 10.0, 5.0])
    # Four segments end at point 1; the one from 0 to 2 passes over it.
    assert least_squares(y, 2)[1] == pytest.approx((4 * 0 + 5) / 5)
    # On each side: a short segment counts 1, two long ones 1/2 each.
    assert with_uniform_ratios(y, 2)[1] == pytest.approx(2.5 / (1 + 0.5 + 0.5))


def test_equal_weights_count_in_full_and_one_large_one_alone():
    x = np.float32([[0], [1], [100], [300]])
    assert counts_like(x, 0.0) == pytest.approx(100)
    assert counts_like(x, 1.0) == pytest.approx(100 / 6)
