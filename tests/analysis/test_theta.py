import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from kmix_tf.analysis import theta_moments

ALPHAS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0, 10.0, 100.0, 1e4, 1e6)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_moments_equal_the_closed_form_at_high_precision(alpha):
    with mpmath.workdps(60):
        a = mpmath.mpf(alpha)
        m = 2 ** (-2 * a) / (a * mpmath.beta(a, a))
        variance = 1 / (4 * (2 * a + 1)) - m**2
        expected = (mpmath.mpf(1) / 2 + m, variance, variance + (mpmath.mpf(1) / 2 - m) ** 2)
    for value, truth in zip(theta_moments(alpha), expected, strict=True):
        assert value == pytest.approx(float(truth), rel=1e-8)


@pytest.mark.parametrize("alpha", (0.3, 1.0, 2.5, 40.0))
def test_moments_equal_quadrature_of_the_truncated_beta(alpha):
    def expectation(function):
        return quad(lambda ratio: 2 * function(ratio) * beta.pdf(ratio, alpha, alpha), 0.5, 1, limit=200)[0]

    mean = expectation(lambda ratio: ratio)
    moments = theta_moments(alpha)
    assert moments.mean == pytest.approx(mean, rel=1e-6)
    assert moments.variance == pytest.approx(expectation(lambda ratio: (ratio - mean) ** 2), rel=1e-5)
    assert moments.gamma_squared == pytest.approx(expectation(lambda ratio: (1 - ratio) ** 2), rel=1e-5)


@given(st.floats(1e-3, 1e6), st.floats(1.01, 10))
def test_more_mixing_moves_the_mean_towards_one_half(alpha, factor):
    nearer, further = theta_moments(alpha * factor).mean, theta_moments(alpha).mean
    assert 0.5 <= nearer < further <= 1


def test_no_mixing_leaves_theta_at_one():
    assert theta_moments(0) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("alpha", (-1, float("nan"), float("inf"), "1", None))
def test_another_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match=r"theta_moments: alpha must be >= 0 and finite. Received: alpha="):
        theta_moments(alpha)
