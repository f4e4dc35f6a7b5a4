"""The assignment solver against enumeration and against SciPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from kmix_tf import solve_assignment


def total(cost, columns):
    return cost[np.arange(len(columns)), columns].sum()


# Small integers tie often, which is where a solver might give a column twice.
costs = st.integers(1, 6).flatmap(
    lambda k: hnp.arrays(np.float32, (k, k), elements=st.integers(-4, 4) | st.floats(-1e3, 1e3, width=32))
)


@given(costs)
def test_no_permutation_is_cheaper(cost):
    columns = solve_assignment(cost).numpy()
    assert sorted(columns) == list(range(len(cost)))
    wide = cost.astype(np.float64)
    least = min(total(wide, np.array(order)) for order in itertools.permutations(range(len(cost))))
    assert total(wide, columns) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("shape", [(7, 7), (3, 20, 20), (2, 3, 5, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_problem_of_a_batch_is_solved_as_scipy_solves_it(shape, dtype):
    cost = np.random.default_rng(1).normal(size=shape).astype(dtype)
    columns = solve_assignment(tf.constant(cost))
    assert columns.dtype == tf.int32
    assert columns.shape == shape[:-1]
    for index in np.ndindex(shape[:-2]):
        assert (columns.numpy()[index] == linear_sum_assignment(cost[index])[1]).all()


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_costs_are_solved(dtype):
    # Multiples of 1/4 are exact in both dtypes.
    cost = np.random.default_rng(2).integers(-20, 20, size=(4, 6, 6)) / 4
    columns = solve_assignment(tf.cast(cost, dtype)).numpy()
    for matrix, found in zip(cost, columns, strict=True):
        assert total(matrix, found) == matrix[linear_sum_assignment(matrix)].sum()


def test_float64_costs_are_compared_in_float64():
    # In float32 both permutations cost the same.
    cost = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-12]])
    assert solve_assignment(cost).numpy().tolist() == [0, 1]
    assert solve_assignment(cost[::-1].copy()).numpy().tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3)])
def test_empty_batches_of_problems_give_empty_results(shape):
    assert solve_assignment(tf.zeros(shape)).shape == shape[:-1]


@pytest.mark.parametrize("shape", [(4, 0, 0), (0, 0)])
def test_empty_matrices_give_empty_results(shape):
    assert solve_assignment(tf.zeros(shape)).shape == shape[:-1]


def test_unknown_shapes_are_solved_when_the_graph_runs():
    solve = tf.function(solve_assignment, input_signature=[tf.TensorSpec([None, None, None])])
    for shape in ((2, 4, 4), (3, 5, 5)):
        cost = np.random.default_rng(3).normal(size=shape).astype(np.float32)
        assert (solve(cost).numpy() == solve_assignment(cost).numpy()).all()


def test_static_shapes_come_through_a_graph():
    graph = tf.function(solve_assignment).get_concrete_function(tf.TensorSpec([None, 4, 4]))
    assert graph.output_shapes.as_list() == [None, 4]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_costs_that_are_not_finite_are_refused(bad):
    cost = np.ones((2, 3, 3), np.float32)
    cost[1, 0, 2] = bad
    with pytest.raises(tf.errors.InvalidArgumentError, match="solve_assignment: cost must be finite"):
        tf.function(solve_assignment)(cost)


def test_costs_that_are_not_finite_are_refused_eagerly_by_the_same_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match="solve_assignment: cost must be finite"):
        solve_assignment([[1.0, np.nan], [1.0, 1.0]])


@pytest.mark.parametrize("cost", [np.ones((3, 4), np.float32), np.ones(3, np.float32), 1.0, np.ones((3, 3), int)])
def test_costs_that_are_no_square_float_matrices_are_refused(cost):
    with pytest.raises(ValueError, match=r"solve_assignment: cost must be a float tensor of shape \(\.\.\., k, k\)"):
        solve_assignment(cost)


@pytest.mark.parametrize("solver", ["scipy", "", None, 3])
def test_other_solvers_are_refused(solver):
    with pytest.raises(
        ValueError, match=r"solve_assignment: solver must be one of 'host', 'graph'. Received: solver="
    ):
        solve_assignment([[1.0]], solver)
