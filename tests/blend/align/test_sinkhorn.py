"""Sinkhorn's plans against POT, which iterates by itself, and against the assignment that they go to."""

import numpy as np
import ot
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kmix_tf.blend.align.sinkhorn import SinkhornSettings, sinkhorn_weights, squared_distances

EXACT = SinkhornSettings(0.1, 20000, 1e-6)
RNG = np.random.default_rng(4)


def weights_of(cost, settings=EXACT):
    return sinkhorn_weights(tf.constant(cost), settings).numpy()


def by_pot(cost, epsilon):
    rows, columns = cost.shape
    uniform = np.full(rows, 1 / rows), np.full(columns, 1 / columns)
    return ot.sinkhorn(*uniform, cost, epsilon, method="sinkhorn_log", numItermax=5000, stopThr=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 4), (5, 3), (2, 7)])
@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_plans_are_those_of_pot(rows, columns, epsilon):
    cost = RNG.uniform(size=(3, rows, columns))
    found = weights_of(cost, EXACT._replace(epsilon=epsilon)) / rows
    expected = np.stack([by_pot(each, epsilon) for each in cost])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_of_little_entropy_the_plan_is_the_best_assignment():
    cost = np.stack([RNG.permutation(25).reshape(5, 5) for _ in range(10)]).astype(np.float64)
    found = weights_of(cost, SinkhornSettings(0.1, 2000, 1e-3))
    for plan, each in zip(found, cost, strict=True):
        rows, columns = linear_sum_assignment(each)
        best = each[rows, columns].sum()
        # Integers may have several best assignments, and the plan is then between them.
        assert abs((plan * each).sum() - best) < 0.1


@pytest.mark.usefixtures("plain_functions")
class TestAnyCost:
    @given(
        st.integers(1, 4),
        st.integers(1, 6),
        st.sampled_from([0.02, 0.1, 2.0]),
        st.sampled_from(["float32", "float64"]),
        st.integers(0, 2**31 - 1),
    )
    def test_rows_sum_to_one_and_columns_to_within_the_tolerance(self, pairs, places, epsilon, dtype, seed):
        cost = np.random.default_rng(seed).uniform(size=(pairs, places, places)).astype(dtype)
        found = weights_of(cost, SinkhornSettings(epsilon, 20000, 0.01))
        assert found.dtype == dtype
        assert (found >= 0).all()
        np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=0.0101)


def test_a_pairs_plan_does_not_depend_on_the_others():
    # Of which the one takes many more iterations than the other.
    easy, hard = (size * RNG.uniform(size=(1, 5, 5)) for size in (0.2, 3))
    settings = SinkhornSettings()
    together = weights_of(np.concatenate([easy, hard]), settings)
    np.testing.assert_allclose(together, np.concatenate([weights_of(easy, settings), weights_of(hard, settings)]))


def test_iterations_are_at_most_so_many():
    cost = 2 * RNG.uniform(size=(1, 6, 6))
    one, more = (weights_of(cost, SinkhornSettings(0.1, count, 1e-6)).sum(axis=1) for count in (1, 3000))
    assert np.abs(one - 1).max() > 0.1
    np.testing.assert_allclose(more, 1, atol=1e-5)


def test_costs_of_any_size_leave_numbers():
    for size in (0.0, 1e-30, 1e6, 1e12):
        found = weights_of((size * RNG.uniform(size=(2, 4, 4))).astype(np.float32), SinkhornSettings())
        np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)


def test_distances_are_exact_beside_what_all_places_share():
    first, second = RNG.normal(size=(2, 3, 5, 4))
    expected = np.square(first[:, :, np.newaxis] - second[:, np.newaxis]).sum(axis=3)
    shifted = [tf.constant((side + 3000).astype(np.float32)) for side in (first, second)]
    np.testing.assert_allclose(squared_distances(*shifted), expected, atol=5e-3)
