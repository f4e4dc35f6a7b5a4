import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from kmix_tf.models.rescaled.simplex import project_to_simplex

rows = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=st.floats(-3, 3))


@given(rows)
def test_projections_are_probabilities_that_satisfy_the_optimality_conditions(values):
    projected = project_to_simplex(values).numpy()
    np.testing.assert_allclose(projected.sum(axis=1), 1, atol=1e-9)
    assert projected.min() >= 0
    # Karush-Kuhn-Tucker: the same shift wherever the projection is positive, and no smaller one where it is 0.
    for value, nearest in zip(values, projected, strict=True):
        shift = (value - nearest)[nearest > 1e-12]
        np.testing.assert_allclose(shift, shift[0], atol=1e-9)
        assert (value[nearest <= 1e-12] <= shift[0] + 1e-9).all()


def test_the_projection_is_the_nearest_point_of_the_simplex():
    generator = np.random.default_rng(0)
    for value in generator.normal(size=(5, 4)):
        found = minimize(
            lambda p, value=value: ((p - value) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"ftol": 1e-14},
        )
        np.testing.assert_allclose(project_to_simplex(value).numpy(), found.x, atol=1e-5)


def test_probabilities_stay_what_they_are_in_any_rank():
    probabilities = np.random.default_rng(1).dirichlet(np.ones(5), size=(2, 3))
    np.testing.assert_allclose(project_to_simplex(probabilities).numpy(), probabilities, atol=1e-12)


@pytest.mark.parametrize(("value", "expected"), [(1.3, 1.0), (-0.2, 0.0), (0.4, 0.4)])
def test_one_probability_is_clipped(value, expected):
    assert project_to_simplex([[value]]).numpy().item() == pytest.approx(expected)


def by_bisection(values):
    """The projection by the one equation that it solves: sum(max(v - shift, 0)) = 1."""
    values = np.asarray(values, dtype=np.float64)
    low, high = values.max() - 1, values.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(values - low, 0)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
@pytest.mark.parametrize("classes", (2, 10, 3000))
def test_every_dtype_gets_probabilities_of_its_own_precision(dtype, classes):
    values = tf.cast(np.random.default_rng(0).normal(size=(8, classes)) / np.sqrt(classes), dtype)
    projected = project_to_simplex(values)
    assert projected.dtype == dtype
    projected = tf.cast(projected, tf.float64).numpy()
    expected = np.stack([by_bisection(row) for row in tf.cast(values, tf.float64).numpy()])
    rounding = {"float16": 1e-3, "bfloat16": 8e-3}.get(dtype, 1e-5)
    assert projected.min() >= 0
    np.testing.assert_allclose(projected, expected, rtol=rounding, atol=rounding / 100)
    np.testing.assert_allclose(projected.sum(axis=1), 1, atol=rounding)


@pytest.mark.parametrize("dtype", ("float16", "float32"))
@pytest.mark.parametrize("shift", (-6e4, -1e3, 0, 1e3, 6e4))
def test_large_values_keep_the_sum_at_one(dtype, shift):
    projected = project_to_simplex(tf.constant([[shift, shift, 0.0], [shift] * 3], dtype))
    np.testing.assert_allclose(tf.reduce_sum(tf.cast(projected, tf.float32), axis=1), 1, atol=2e-3)
    assert (projected.numpy() >= 0).all()


def test_extremes_of_float32_are_one_hot():
    projected = project_to_simplex([[3e38, -3e38, 0.0], [-3e38, -1e38, -2e38]])
    np.testing.assert_array_equal(projected, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("bad", (float("nan"), float("inf"), float("-inf")))
def test_what_is_not_finite_does_not_come_out_as_probabilities(bad):
    projected = project_to_simplex([[0.3, bad, 0.2], [0.5, 0.5, 0.5]]).numpy()
    assert np.isnan(projected[0]).all()
    np.testing.assert_allclose(projected[1], 1 / 3, atol=1e-6)


@given(hnp.arrays(np.float64, 5, elements=st.floats(-1, 1)), st.integers(0, 4))
def test_the_gradient_is_that_of_finite_differences(values, entry):
    projected = by_bisection(values)
    at_rest = (projected == 0) | (projected > 1e-3)
    away = np.abs(values - (values.max() - 1)).min() > 0 and at_rest.all()
    slack = (values - projected)[projected > 0][0] - values[projected == 0]
    assume(away and not (len(slack) and slack.min() < 1e-3))  # at a kink there is no derivative
    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = project_to_simplex(values)[entry]
    step = 1e-5 * np.eye(5)
    differences = [(by_bisection(values + row)[entry] - by_bisection(values - row)[entry]) / 2e-5 for row in step]
    np.testing.assert_allclose(tape.gradient(result, values), differences, atol=1e-6)


def test_rounding_over_many_classes_does_not_add_up():
    # Without care, the sum over 20,000 classes misses 1 by 1.5e-5 in float32.
    values = np.random.default_rng(0).normal(size=(20, 20_000)).astype("f4") / 20_000
    np.testing.assert_allclose(project_to_simplex(values).numpy().sum(axis=1, dtype="f8"), 1, atol=1e-6)


def test_it_compiles_and_takes_empty_batches():
    compiled = tf.function(project_to_simplex, input_signature=[tf.TensorSpec([None, 3])])
    assert compiled(tf.zeros([0, 3])).shape == (0, 3)
    np.testing.assert_allclose(compiled(tf.constant([[2.0, 0.0, 0.0]])), [[1, 0, 0]])


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"project_to_simplex: values must be float. Received: values of dtype int32"):
        project_to_simplex([1, 0])
