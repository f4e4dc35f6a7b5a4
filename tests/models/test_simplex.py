import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from kmix_tf.models.simplex import project_to_simplex

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
