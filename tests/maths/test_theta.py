import mpmath
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import arcsine, beta, norm, triang, uniform

from kmix_tf.analysis import theta_moments
from kmix_tf.maths.theta import theta_moments_of, theta_moments_sampled

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


def log_density(alpha):
    """SciPy's own density of Beta(alpha, alpha) overflows from alpha = 1e4."""
    return lambda u: np.exp((alpha - 1) * (np.log(u) + np.log1p(-u)) - betaln(alpha, alpha))


class Atoms:
    """Point masses, symmetric, also at 0 and 1: a batch that is mixed three times in four."""

    places, masses = np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([0.125, 0.2, 0.35, 0.2, 0.125])

    def cdf(self, u):
        return self.masses[self.places <= u].sum()


class TestAnyDistribution:
    @pytest.mark.parametrize("alpha", ALPHAS)
    @pytest.mark.parametrize("known_by", ("cdf", "density"))
    def test_quadrature_equals_the_closed_form_of_beta(self, alpha, known_by):
        moments = theta_moments_of(beta(alpha, alpha) if known_by == "cdf" else log_density(alpha))
        for value, truth in zip(moments, theta_moments(alpha), strict=True):
            assert value == pytest.approx(truth, rel=1e-8)

    @pytest.mark.parametrize(
        "frozen", (uniform(), arcsine(), triang(0.5), uniform(0.2, 0.6)), ids=lambda frozen: frozen.dist.name
    )
    def test_cdf_and_density_agree_with_draws(self, frozen):
        draws = frozen.rvs(200_000, random_state=0)
        theta = np.maximum(draws, 1 - draws)
        by_cdf = theta_moments_of(frozen)
        for value, truth in zip(by_cdf, (theta.mean(), theta.var(), np.square(1 - theta).mean()), strict=True):
            # A false alarm is beyond five standard errors: one in 10^6.
            assert value == pytest.approx(truth, abs=5 * 0.25 / np.sqrt(len(draws)))
        for ours, other in zip(by_cdf, theta_moments_of(frozen.pdf), strict=True):
            assert ours == pytest.approx(other, rel=1e-7)

    def test_point_masses_have_their_exact_moments(self):
        theta = np.maximum(Atoms.places, 1 - Atoms.places)
        mean = theta @ Atoms.masses
        expected = (mean, (theta - mean) ** 2 @ Atoms.masses, (1 - theta) ** 2 @ Atoms.masses)
        np.testing.assert_allclose(theta_moments_of(Atoms()), expected, rtol=1e-9)

    @settings(max_examples=10)
    @given(st.floats(0.02, 0.48), st.floats(0.002, 0.1))
    def test_the_variance_of_two_peaks_is_that_of_a_folded_normal(self, centre, width):
        # Truncated to [0, 1/2], so that folding is exact.
        total = norm.cdf(0.5, centre, width) - norm.cdf(0, centre, width)

        def density(u):
            return norm.pdf(min(u, 1 - u), centre, width) / total / 2

        moments = theta_moments_of(density)
        points = np.linspace(0, 0.5, 200_001)
        mass = np.diff(norm.cdf(points, centre, width)) / total
        middles = (points[1:] + points[:-1]) / 2
        mean = middles @ mass
        assert moments.mean == pytest.approx(1 - mean, abs=1e-8)
        assert moments.variance == pytest.approx((middles - mean) ** 2 @ mass, rel=1e-4)

    @pytest.mark.parametrize(
        ("distribution", "error", "message"),
        [
            (beta(1, 2), ValueError, "must be symmetric"),
            (lambda u: 2 * u, ValueError, "must be symmetric"),
            (uniform(-1, 3), ValueError, r"must be one on \[0, 1\]. Received: a probability of 0.333333 below 0"),
            (lambda _: 2.0, ValueError, r"integrates to 1 over \[0, 1\]. Received: one that integrates to 2"),
            (lambda _: 0.9, ValueError, "one that integrates to 0.9"),
            (lambda u: norm.pdf(u, 0.3, 1e-5) / 2 + norm.pdf(u, 0.7, 1e-5) / 2, ValueError, "give its cdf"),
            (lambda _: float("nan"), ValueError, r"density must be finite and >= 0"),
            (lambda _: -1.0, ValueError, r"density must be finite and >= 0"),
            (
                0.5,
                TypeError,
                r"theta_moments_of: distribution must be a frozen SciPy distribution .* Received: distr",
            ),
        ],
    )
    def test_what_is_none_is_refused(self, distribution, error, message):
        with pytest.raises(error, match=message):
            theta_moments_of(distribution)


class TestSampler:
    def test_means_over_draws_are_within_the_error_that_is_said(self):
        def draw(shape, seed):
            return tf.sin(tf.random.stateless_uniform(shape, seed) * np.pi / 2) ** 2

        moments, exact = theta_moments_sampled(draw), theta_moments_of(arcsine())
        # Five standard errors: one false alarm in 10^6.
        assert moments.mean == pytest.approx(exact.mean, abs=5 * 0.00025)
        assert moments.variance == pytest.approx(exact.variance, abs=5 * 0.00025)
        assert moments.gamma_squared == pytest.approx(moments.variance + (1 - moments.mean) ** 2, rel=1e-9)

    def test_the_seed_decides(self):
        first, again, other = (theta_moments_sampled(tf.random.stateless_uniform, 1000, seed) for seed in (0, 0, 1))
        assert first == again != other

    @pytest.mark.parametrize(
        "sample",
        (lambda shape, _: 2 * tf.ones(shape), lambda shape, _: tf.ones(shape) * np.nan, lambda *_: tf.ones([3])),
    )
    def test_other_ratios_are_refused(self, sample):
        with pytest.raises(ValueError, match=r"sample must give 100 ratios in \[0, 1\]"):
            theta_moments_sampled(sample, 100)

    def test_another_number_of_draws_is_refused(self):
        with pytest.raises(ValueError, match=r"draws must be an integer >= 1. Received: draws=0"):
            theta_moments_sampled(tf.random.stateless_uniform, 0)
