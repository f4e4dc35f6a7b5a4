"""The solver made of TensorFlow ops against enumeration and against SciPy.

Each shape of a batch is compiled once, so the tests put many problems into few shapes.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from kmix_tf.pairing import graph_solver, in_graph
from kmix_tf.pairing.in_graph import solve_in_graph

PROBLEMS = 50
SIZES = (2, 5, 12, 32)
# Of the largest cost, for each row: what float64 sums of the solver's and of the test's own may round off.
ROUNDING = 1e-13
COST = np.random.default_rng(8).normal(size=(PROBLEMS, 12, 12)).astype(np.float32)


def totals(cost, columns):
    return np.take_along_axis(cost, columns[..., np.newaxis], axis=2).sum(axis=(1, 2))


def unit(cost):
    """Each problem scaled by a power of two near its largest entry, so that the oracle's sums stay finite."""
    peak = np.abs(cost).max(axis=(1, 2), keepdims=True)
    return np.ldexp(cost, -np.frexp(peak)[1])


def assert_permutations(columns, shape):
    assert columns.dtype == np.int32
    assert columns.shape == shape[:2]
    assert (np.sort(columns, axis=1) == np.arange(shape[2])).all()


def assert_optimal(cost, columns=None):
    """Permutations, none dearer than SciPy's by more than rounding."""
    columns = solve_in_graph(tf.constant(cost)).numpy() if columns is None else np.asarray(columns)
    assert_permutations(columns, cost.shape)
    wide = unit(np.asarray(cost, np.float64))
    least = totals(wide, np.stack([linear_sum_assignment(problem)[1] for problem in wide]))
    np.testing.assert_allclose(totals(wide, columns), least, rtol=0, atol=ROUNDING * cost.shape[2])


def squared_distances(first, second):
    return np.square(first[:, :, np.newaxis] - second[:, np.newaxis]).sum(axis=3)


def clustered(draw, shape):
    """Squared distances between points of few clusters, as k-mixup meets them."""
    centres = draw.normal(size=(3, 8))
    points = centres[draw.integers(0, 3, (2, *shape[:2]))] + 0.01 * draw.normal(size=(2, *shape[:2], 8))
    return squared_distances(*points)


def shuffled_diagonal(draw, shape):
    """Only one permutation is free of charge."""
    return draw.permuted(np.broadcast_to(1 - np.eye(shape[2]), shape), axis=1) + np.zeros(shape)


def dominated(draw, shape):
    cost = draw.random(shape)
    cost[:, 0, draw.integers(shape[2])] = 1e12
    return cost


def reduced(draw, shape):
    cost = draw.random(shape)
    cost -= cost.min(axis=2, keepdims=True)
    return cost - cost.min(axis=1, keepdims=True)


def staircase(draw, shape):
    """Two paths at nearly every step have the same length, but for rounding."""
    steps = np.arange(shape[2])
    return 0.1 * np.abs(steps[:, np.newaxis] - steps) + 0.3 * draw.integers(0, 3, shape)


KINDS = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "uniform": lambda draw, shape: draw.random(shape),
    "exponents": lambda draw, shape: np.exp(8 * draw.normal(size=shape)),
    "few integers": lambda draw, shape: draw.integers(-2, 3, shape).astype(float),
    "many integers": lambda draw, shape: draw.integers(0, 1000, shape).astype(float),
    "zeros and ones": lambda draw, shape: (draw.random(shape) > 2 / shape[2]).astype(float),
    "constant": lambda draw, shape: np.full(shape, draw.normal()),
    "zero": lambda draw, shape: np.zeros(shape),
    "equal rows": lambda draw, shape: draw.random((shape[0], 1, shape[2])) + np.zeros(shape),
    "equal columns": lambda draw, shape: draw.random((*shape[:2], 1)) + np.zeros(shape),
    "rank one": lambda draw, shape: draw.normal(size=(*shape[:2], 1)) * draw.normal(size=(shape[0], 1, shape[2])),
    "row plus column": lambda draw, shape: draw.random((*shape[:2], 1)) + draw.random((shape[0], 1, shape[2])),
    "offset": lambda draw, shape: 1e6 + draw.random(shape),
    "shuffled diagonal": shuffled_diagonal,
    "dominated": dominated,
    "reduced": reduced,
    "staircase": staircase,
    "clustered": clustered,
    "a line": lambda draw, shape: squared_distances(*draw.normal(size=(2, *shape[:2], 1))),
}


class TestOptimality:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.representatives("size", SIZES[::3])
    def test_no_permutation_is_cheaper_than_scipy_s(self, kind, size):
        assert_optimal(KINDS[kind](np.random.default_rng(size), (PROBLEMS, size, size)))

    @pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300, 1.7e308])
    @pytest.mark.parametrize("kind", ["normal", "uniform", "few integers", "clustered"])
    def test_float64_costs_of_any_magnitude(self, kind, scale):
        cost = KINDS[kind](np.random.default_rng(1), (PROBLEMS, 12, 12))
        assert_optimal(cost / np.abs(cost).max() * scale)

    def test_differences_too_large_for_their_dtype_count(self):
        cost = np.random.default_rng(1).uniform(0.6, 1, (PROBLEMS, 12, 12))
        cost[:, :, 0] = -1
        assert_optimal(cost * np.finfo(np.float64).max)

    def test_differences_too_small_for_their_dtype_count(self):
        # TensorFlow's threads take what is smaller than the smallest normal number for zero.
        assert_optimal(np.finfo(np.float64).tiny * (1 + np.random.default_rng(1).random((PROBLEMS, 12, 12))))

    @pytest.mark.parametrize("scale", [1e-30, 1.0, 3e38])
    @pytest.mark.parametrize("kind", ["uniform", "few integers", "clustered"])
    def test_float32_costs_of_any_magnitude(self, kind, scale):
        cost = KINDS[kind](np.random.default_rng(2), (PROBLEMS, 12, 12))
        assert_optimal((cost / np.abs(cost).max() * scale).astype(np.float32))

    def test_magnitudes_differ_between_the_problems_of_a_batch(self):
        scales = np.array([1e-300, 1.0, 1e300, 0.0, 1e-5] * (PROBLEMS // 5))[:, np.newaxis, np.newaxis]
        assert_optimal(scales * np.random.default_rng(3).random((PROBLEMS, 12, 12)))

    def test_the_one_optimum_is_found_whatever_its_margin(self):
        # In float32 both permutations cost the same.
        cost = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-12]])
        columns = solve_in_graph(tf.constant(np.stack([cost, cost[::-1]] * (PROBLEMS // 2)))).numpy()
        assert (columns == [[0, 1], [1, 0]] * (PROBLEMS // 2)).all()

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
    @pytest.mark.representatives("size", [1, 4])
    def test_no_permutation_at_all_is_cheaper(self, size):
        draw = np.random.default_rng(size)
        ties, reals = draw.integers(-3, 4, (1000, size, size)), draw.normal(size=(1000, size, size))
        cost = np.concatenate([ties, reals])
        columns = solve_in_graph(tf.constant(cost)).numpy()
        assert_permutations(columns, cost.shape)
        orders = np.array(list(itertools.permutations(range(size))))
        least = cost[:, np.arange(size), orders].sum(axis=2).min(axis=1)
        np.testing.assert_allclose(totals(cost, columns), least, rtol=0, atol=1e-13)

    # Small integers tie often, which is where a solver might give a column twice or walk in circles.
    @given(hnp.arrays(np.float64, (2, 6, 6), elements=st.integers(-3, 3) | st.floats(-1e300, 1e300)))
    def test_any_costs(self, cost):
        assert_optimal(cost)

    # 0.1 + 0.2 is not quite 0.3: paths as long as each other, but for the last bit.
    @given(hnp.arrays(np.float64, (2, 6, 6), elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 0.6, 0.7])))
    def test_costs_that_nearly_tie(self, cost):
        assert_optimal(cost)

    def test_larger_problems(self):
        draw = np.random.default_rng(4)
        clusters, grid = clustered(draw, (2, 100, 100)), KINDS["few integers"](draw, (1, 100, 100))
        assert_optimal(np.concatenate([clusters, grid, KINDS["a line"](draw, (1, 100, 100))]))

    def test_the_longest_paths_and_the_most_phases(self):
        # Every row wants the same columns in the same order: nearly a phase for each row.
        steps = np.arange(32.0)
        assert_optimal(np.stack([np.outer(steps, steps), -np.outer(steps, steps)] * (PROBLEMS // 2)))


class TestPermutations:
    @given(
        hnp.arrays(
            np.float64, (2, 6, 6), elements=st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0]) | st.floats(-9, 9)
        )
    )
    def test_costs_that_are_not_finite_end_in_permutations(self, cost):
        assert_permutations(solve_in_graph(tf.constant(cost)).numpy(), cost.shape)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_nothing_but_infinity_ends_in_permutations(self, bad, dtype):
        cost = np.full((PROBLEMS, 12, 12), bad, dtype)
        assert_permutations(solve_in_graph(tf.constant(cost)).numpy(), cost.shape)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
    def test_entries_that_are_not_finite_are_avoided(self, bad, scale):
        draw = np.random.default_rng(5)
        cost = draw.random((PROBLEMS, 12, 12))
        allowed = np.eye(12, dtype=bool) | (draw.random(cost.shape) < 0.3)
        columns = solve_in_graph(tf.constant(np.where(allowed, cost * scale, bad))).numpy()
        assert_optimal(np.where(allowed, cost, 100.0), columns)

    def test_the_other_problems_of_a_batch_do_not_matter(self):
        draw = np.random.default_rng(6)
        cost = draw.random((PROBLEMS, 12, 12))
        cost[1::3] = np.nan
        cost[2::3] *= 1e300
        columns = solve_in_graph(tf.constant(cost)).numpy()
        assert_permutations(columns, cost.shape)
        assert_optimal(cost[::3], columns[::3])
        for problem in range(0, 12, 3):
            alone = solve_in_graph(tf.constant(cost[problem : problem + 1])).numpy()
            assert (alone == columns[problem : problem + 1]).all()

    def test_the_order_of_rows_and_columns_does_not_matter(self):
        draw = np.random.default_rng(7)
        cost = draw.random((PROBLEMS, 12, 12))
        order = draw.permutation(12)
        columns = solve_in_graph(tf.constant(cost)).numpy()
        assert (solve_in_graph(tf.constant(cost[:, order])).numpy() == columns[:, order]).all()
        assert (order[solve_in_graph(tf.constant(cost[:, :, order])).numpy()] == columns).all()

    def test_a_parent_that_got_nearer_after_its_child_was_reached_is_still_its_parent(self):
        # Rounding can hide from the child that the parent got nearer, so the parent may look the later of the two.
        parents = graph_solver._parents(
            slack=tf.constant([[[9.0, 1.0, 9.0], [9.0, 0.0, 3.0], [1.0, 9.0, 0.0]]], tf.float64),
            column_of=tf.constant([[-1, 1, 2]]),
            distance=tf.constant([[5.0, 1.0, 4.0]], tf.float64),
            arrival=tf.constant([[3, 3, 2]]),
        )
        assert parents.numpy().tolist() == [[2, 0, 1]]

    def test_a_matching_that_was_left_incomplete_is_completed(self):
        rows = tf.constant([[-1, 0, -1, 3], [1, 0, 2, 3], [-1, -1, -1, -1]])
        assert graph_solver._completed(rows).numpy().tolist() == [[1, 0, 2, 3], [1, 0, 2, 3], [0, 1, 2, 3]]


def test_as_plain_ops(plain_functions):
    assert_optimal(COST[:3])
    assert_optimal(COST[:1, :1, :1])
    assert_permutations(solve_in_graph(tf.zeros([2, 0, 0])).numpy(), (2, 0, 0))


class TestWhereItRuns:
    @pytest.mark.parametrize("jit_compile", [False, True])
    @pytest.mark.representatives("jit_compile", [True])
    def test_in_a_function(self, jit_compile):
        solve = tf.function(solve_in_graph, jit_compile=jit_compile)
        assert_optimal(COST, solve(tf.constant(COST)))

    @pytest.mark.parametrize("jit_compile", [False, True])
    @pytest.mark.representatives("jit_compile", [True])
    def test_where_shapes_are_known_when_the_graph_runs(self, jit_compile):
        spec = tf.TensorSpec([None, None, None])
        solve = tf.function(solve_in_graph, input_signature=[spec], jit_compile=jit_compile)
        for shape in ((3, 4, 4), (2, 5, 5)):
            cost = COST[: shape[0], : shape[1], : shape[2]]
            assert_optimal(cost, solve(tf.constant(cost)))

    def test_static_shapes_come_through_a_graph(self):
        graph = tf.function(solve_in_graph).get_concrete_function(tf.TensorSpec([None, 4, 4]))
        assert graph.output_shapes.as_list() == [None, 4]

    @pytest.mark.parametrize("calls", [None, 2])
    @pytest.mark.representatives("calls", [2])
    def test_in_a_dataset(self, calls):
        dataset = tf.data.Dataset.from_tensor_slices(COST).batch(20).map(solve_in_graph, calls)
        columns = np.concatenate([batch.numpy() for batch in dataset])
        assert_optimal(COST, columns)

    def test_in_a_dataset_of_varying_problem_sizes(self):
        sizes = [3, 0, 1, 5]
        dataset = tf.data.Dataset.from_generator(
            lambda: (COST[:2, :size, :size] for size in sizes),
            output_signature=tf.TensorSpec([None, None, None]),
        ).map(solve_in_graph)
        for size, columns in zip(sizes, dataset, strict=True):
            assert_permutations(columns.numpy(), (2, size, size))
            if size:
                assert_optimal(COST[:2, :size, :size], columns)

    @pytest.mark.parametrize("jit_compile", [False, True])
    @pytest.mark.parametrize("shape", [(0, 3, 3), (4, 0, 0), (0, 0, 0), (0, 1, 1)])
    def test_empty_batches_and_empty_matrices_give_empty_results(self, shape, jit_compile):
        solve = tf.function(solve_in_graph, jit_compile=jit_compile)
        assert_permutations(solve(tf.zeros(shape)).numpy(), shape)

    def test_the_host_is_never_called_back(self):
        graph = tf.function(solve_in_graph).get_concrete_function(tf.TensorSpec([None, None, None])).graph
        definition = graph.as_graph_def()
        nodes = itertools.chain(definition.node, *(function.node_def for function in definition.library.function))
        kinds = {node.op for node in nodes}
        assert kinds & {"While", "StatelessWhile"}
        assert not [kind for kind in kinds if "PyFunc" in kind]


class TestInParts:
    @pytest.mark.parametrize("shape", [(1, 5, 5), (3, 5, 5), (9, 12, 12), (3, 46, 46)])
    @pytest.mark.parametrize("levels", [3, 10**6])
    def test_problems_are_matched_in_parts_as_all_at_once(self, shape, levels, plain_functions):
        """Bit for bit, where there are many best matchings, too."""
        cost = tf.constant(np.random.default_rng(shape[1]).integers(0, levels, shape).astype(np.float32))
        np.testing.assert_array_equal(solve_in_graph(cost), graph_solver.solve_at_once(cost))
        np.testing.assert_array_equal(
            in_graph._in_parts(cost, tf.constant(shape[0])), graph_solver.solve_at_once(cost)
        )

    def test_what_lies_beyond_the_count_is_not_looked_at(self, plain_functions):
        columns = in_graph._in_parts(tf.constant(COST[:20]), tf.constant(5))
        assert_optimal(COST[:5], columns[:5])
        assert not columns[8:].numpy().any()

    @pytest.mark.parametrize("count", [0, 1, 8, 9, 32, 33, 3_000_000])
    def test_there_is_room_for_all_of_them_and_not_for_many_more(self, count):
        room = in_graph._room_for(count)
        assert room == int(in_graph._room_for(tf.constant(count)))
        assert count <= room <= max(8, 4 * count)

    def test_batches_of_different_sizes_are_compiled_once(self, monkeypatch):
        monkeypatch.setattr(in_graph, "_compiled", lambda cost, count: tf.fill([100], tf.shape(cost)[0]))
        solve = tf.function(lambda cost: in_graph._compiled_with_room(cost)[0])
        signature = tf.TensorSpec([None, 12, 12])
        known = [int(in_graph._compiled_with_room(tf.constant(COST[:size]))[0]) for size in (3, 8, 9, 50)]
        unknown = solve.get_concrete_function(signature)
        assert known == [int(unknown(tf.constant(COST[:size]))) for size in (3, 8, 9, 50)] == [8, 8, 32, 128]

    def test_accelerators_take_all_at_once(self, monkeypatch):
        monkeypatch.setattr(in_graph, "_has_accelerator", lambda: True)
        solve = tf.function(solve_in_graph, jit_compile=True)
        compiled = solve.get_concrete_function(tf.TensorSpec([16, 4, 4], tf.float32))
        assert [tuple(each.shape) for each in compiled.graph.get_operations()[0].outputs] == [(16, 4, 4)]
        assert "Pad" not in {each.type for each in compiled.graph.get_operations()}
