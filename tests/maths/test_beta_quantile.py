"""Quantiles of the symmetric Beta distribution against SciPy's."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from kmix_tf.maths.beta_quantile import beta_quantile

TAU = np.logspace(-3, 3, 37)
CHANCE = np.concatenate([np.logspace(-30, -1, 30), np.linspace(0.12, 0.499, 30)])


def quantiles(log_chance, log_tau):
    return beta_quantile(tf.constant(log_chance, tf.float64), tf.constant(log_tau, tf.float64)).numpy()


def test_quantiles_are_those_of_scipy():
    tau, chance = (each.ravel() for each in np.meshgrid(TAU, CHANCE))
    found = quantiles(np.log(chance), np.log(tau))
    np.testing.assert_allclose(found, special.betaincinv(tau, tau, chance), atol=1e-6)


def test_the_chance_below_a_quantile_is_the_one_asked_for():
    # Far out in the tail, where absolute errors say nothing, and for tau beyond the range that others look at.
    tau = np.array([0.5, 1.0, 30.0, 1e4, 1e6])
    for log_chance in (-100.0, -20.0, -0.7):
        found = quantiles(np.full(5, log_chance), np.log(tau))
        np.testing.assert_allclose(np.log(special.betainc(tau, tau, found)), log_chance, rtol=1e-5, atol=1e-6)


def test_half_of_the_chance_is_below_one_half():
    np.testing.assert_allclose(quantiles(np.full(37, np.log(0.5)), np.log(TAU)), 0.5, atol=1e-9)


@pytest.mark.parametrize(
    ("log_tau", "expected"), [(-np.inf, 0.0), (-1e300, 0.0), (-50.0, 0.0), (50.0, 0.5), (1e300, 0.5), (np.inf, 0.5)]
)
def test_extreme_tau_is_no_mixing_or_half(log_tau, expected):
    np.testing.assert_allclose(quantiles([np.log(0.3)], [log_tau]), expected, atol=1e-6)


def test_chances_too_small_for_a_number_are_quantiles_nevertheless():
    # exp(-1e4) is no float64: the oracle is the leading term, x^tau / (tau B(tau, tau)).
    tau = np.array([50.0, 1e3])
    expected = np.exp((-1e4 + np.log(tau) + special.betaln(tau, tau)) / tau)
    np.testing.assert_allclose(quantiles([-1e4, -1e4], np.log(tau))[0], expected[0], rtol=1e-4)
    assert 0 < quantiles([-1e4, -1e4], np.log(tau))[1] < special.betaincinv(1e3, 1e3, 1e-300)


def test_more_chance_is_never_a_smaller_quantile():
    log_chance = np.linspace(-50, np.log(0.5), 400)
    for tau in (1e-3, 0.5, 40.0):
        assert (np.diff(quantiles(log_chance, np.full(400, np.log(tau)))) >= 0).all()


@pytest.mark.parametrize("size", [None, 4])
def test_graphs_and_xla_agree_with_eager_calls(size):
    log_chance, log_tau = np.array([-3.0, -0.8, -30.0, -2.0]), np.array([-1.0, 3.0, 0.5, -6.0])
    spec = tf.TensorSpec([size], tf.float64)
    for jit_compile in (False, True):
        graph = tf.function(beta_quantile, input_signature=[spec, spec], jit_compile=jit_compile)
        np.testing.assert_allclose(graph(log_chance, log_tau), quantiles(log_chance, log_tau), rtol=1e-9)


def test_uniform_chances_become_draws_of_the_distribution():
    chance = (np.arange(2000) + 0.5) / 4000
    for tau in (0.2, 7.0):
        found = quantiles(np.log(chance), np.full(2000, np.log(tau)))
        both = np.concatenate([found, 1 - found])
        # These are no random draws but quantiles: no farther from the distribution than their spacing.
        assert stats.kstest(both, stats.beta(tau, tau).cdf).statistic < 1 / 2000
