import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from kmix_tf.analysis.perturbation import modified_data, perturbation_covariance


def theta_expectation(function, alpha):
    """E function(theta), with theta from Beta(alpha, alpha) truncated to [1/2, 1]."""
    return quad(lambda theta: 2 * function(theta) * beta.pdf(theta, alpha, alpha), 0.5, 1, limit=200)[0]


def by_enumeration(x, y, alpha, index):
    """E[(delta, epsilon)(delta, epsilon)^T] of eq. (6) itself: all partners, theta by quadrature."""
    joint = np.concatenate([x, y], axis=1)
    mean, theta_bar = joint.mean(axis=0), theta_expectation(lambda theta: theta, alpha)
    total = np.zeros((joint.shape[1],) * 2)
    for partner in joint:
        # delta = theta a + b, so its outer product is a polynomial of theta with known moments.
        a, b = joint[index] - partner, partner - theta_bar * joint[index] - (1 - theta_bar) * mean
        first, second = (theta_expectation(lambda theta, k=k: theta**k, alpha) for k in (1, 2))
        total += second * np.outer(a, a) + first * (np.outer(a, b) + np.outer(b, a)) + np.outer(b, b)
    return total / len(joint)


@pytest.mark.parametrize("alpha", (0.4, 1.0, 5.0))
def test_covariances_are_those_of_the_perturbations_themselves(alpha):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(7, 3)) + 5, generator.integers(0, 2, 7)
    for index in (0, 6):
        xx, yy, xy = perturbation_covariance(x, y, alpha, index)
        expected = by_enumeration(x, np.eye(2)[y], alpha, index)
        np.testing.assert_allclose(np.block([[xx, xy], [xy.T, yy]]), expected, atol=1e-6)


def test_the_form_printed_on_shrunk_data_is_the_same():
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(9, 2)), generator.normal(size=(9, 1))
    theta = theta_expectation(lambda theta: theta, 1.0)
    variance = theta_expectation(lambda value: (value - theta) ** 2, 1.0)
    shrunk = modified_data(x, y, 1.0)
    centred = shrunk.x - x.mean(axis=0)
    printed = variance * np.outer(centred[4], centred[4])
    printed += (variance + (1 - theta) ** 2) * centred.T @ centred / 9
    np.testing.assert_allclose(perturbation_covariance(x, y, 1.0, 4).xx, printed / theta**2, atol=1e-12)


@pytest.mark.parametrize("alpha", (0.4, 5.0))
def test_without_an_index_all_samples_come_at_once(alpha):
    x, y = np.random.default_rng(2).normal(size=(6, 3)) + 5, np.arange(6) % 2
    xx, yy, xy = perturbation_covariance(x, y, alpha)
    assert (xx.shape, yy.shape, xy.shape) == ((6, 3, 3), (6, 2, 2), (6, 3, 2))
    for index in range(6):
        expected = by_enumeration(x, np.eye(2)[y], alpha, index)
        joint = np.block([[xx[index], xy[index]], [xy[index].T, yy[index]]])
        np.testing.assert_allclose(joint, expected, atol=1e-6)
        for ours, single in zip((xx, yy, xy), perturbation_covariance(x, y, alpha, index), strict=True):
            np.testing.assert_allclose(ours[index], single, rtol=1e-13, atol=1e-15)


def test_more_than_fits_is_refused_before_it_is_made():
    message = (
        "perturbation_covariance: the covariances of all 3000 samples, 1000 x 1000 of features and 1 x 1 of targets "
        "each, would take 22.4 GiB, more than 2 GiB: give an index for one of them"
    )
    with pytest.raises(ValueError, match=message):
        perturbation_covariance(np.zeros((3000, 1000)), np.zeros(3000), 1.0)


@given(st.integers(1, 6), st.floats(0, 1e6), st.integers(0, 2**32 - 1))
def test_the_joint_covariance_is_positive_semidefinite(size, alpha, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(size, 2)), generator.normal(size=size)
    xx, yy, xy = perturbation_covariance(x, y, alpha, size - 1)
    assert np.linalg.eigvalsh(np.block([[xx, xy], [xy.T, yy]])).min() >= -1e-12


def test_images_are_flattened_and_alpha_0_perturbs_nothing():
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 1))
    xx, yy, xy = perturbation_covariance(x, [0, 2, 1, 0, 0], 0, 1)
    assert (xx.shape, yy.shape, xy.shape) == ((6, 6), (3, 3), (6, 3))
    assert not xx.any() and not yy.any() and not xy.any()


def test_data_shrink_towards_their_means_and_keep_their_shape():
    x, y = np.random.default_rng(0).normal(size=(6, 2, 2)), np.array([0.0, 1, 2, 3, 4, 5])
    theta = theta_expectation(lambda theta: theta, 0.7)
    shrunk = modified_data(x, y, 0.7)
    np.testing.assert_allclose(shrunk.x, x.mean(axis=0) + theta * (x - x.mean(axis=0)), atol=1e-8)
    np.testing.assert_allclose(shrunk.y, 2.5 + theta * (y - 2.5), atol=1e-8)
    np.testing.assert_array_equal(modified_data(x, y, 0).x, x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": 3}, r"perturbation_covariance: index must be in \[0, 3\). Received: index=3."),
        ({"index": -1}, "index must be an integer >= 0"),
        ({"alpha": -1}, "perturbation_covariance: alpha must be >= 0"),
        ({"x": np.zeros((2, 1))}, r"x must be \(n, \.\.\.\) and y"),
        ({"x": [[0.0], [np.nan], [1.0]]}, "x must be finite"),
        ({"y": [0.0, np.inf, 1.0]}, "y must be finite"),
        ({"y": [0, -1, 1]}, "integer classes must be >= 0. Received: classes from -1"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        perturbation_covariance(**{"x": np.zeros((3, 1)), "y": [0, 1, 0], "alpha": 1.0, "index": 0, **arguments})
