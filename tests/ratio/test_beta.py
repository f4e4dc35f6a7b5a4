"""The Beta sampler against SciPy's Beta distribution.

Draws are float32: below 2^-126 ratios become 0, and near 1 they are multiples of 2^-24. So where alpha is small, the
halves are compared where float32 resolves them, given that a draw falls there, and the rest by its mass.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from kmix_tf import sample_beta

ALPHAS = [1e-3, 1e-2, 0.1, 0.5, 1.0, 10.0, 1e3, 1e6]
COUNT = 40_000
# The chance that one assertion fails for a right sampler, were the seed drawn anew. There are about 300 of them.
FALSE_ALARM = 1e-5
Z = stats.norm.isf(FALSE_ALARM / 2)


@pytest.fixture(scope="module", params=["plain", "xla"])
def sampler(request):
    # XLA makes other uniforms of the same random bits, and rounds otherwise; layers draw through it.
    return sample_beta if request.param == "plain" else tf.function(sample_beta, jit_compile=True, autograph=False)


@pytest.fixture(scope="module", params=ALPHAS, ids=lambda alpha: f"alpha={alpha:g}")
def drawn(request, sampler):
    return request.param, sampler([COUNT], request.param, seed=20).numpy().astype(np.float64)


def assert_follows(values, alpha, low, high):
    """KS test of the draws within (low, high) against Beta(alpha, alpha) there, and binomial test of their number."""
    mass_low, mass_high = special.betainc(alpha, alpha, [low, high])
    inside = values[(values > low) & (values < high)]
    assert stats.binomtest(len(inside), len(values), mass_high - mass_low).pvalue > FALSE_ALARM

    def cdf(x):
        return (special.betainc(alpha, alpha, x) - mass_low) / (mass_high - mass_low)

    if len(inside) > 100:
        assert stats.kstest(inside, cdf).pvalue > FALSE_ALARM


def test_lower_halves_follow_the_distribution(drawn):
    alpha, ratios = drawn
    assert_follows(ratios, alpha, 1e-37, 0.5)


def test_upper_halves_follow_the_distribution(drawn):
    alpha, ratios = drawn
    # From 1e-4 up, 1 - ratio is right to a thousandth, which KS cannot see with this many draws.
    assert_follows(1 - ratios, alpha, 1e-4, 0.5)


@pytest.mark.parametrize("bound", [1e-37, 1e-20, 1e-10, 1e-3, 0.25, 0.499])
def test_lower_tails_have_their_mass(drawn, bound):
    alpha, ratios = drawn
    expected = special.betainc(alpha, alpha, bound)
    assert stats.binomtest(int((ratios <= bound).sum()), COUNT, expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("bound", [1e-5, 1e-3, 0.25, 0.499])
def test_upper_tails_have_their_mass(drawn, bound):
    alpha, ratios = drawn
    expected = special.betainc(alpha, alpha, bound)
    assert stats.binomtest(int((ratios >= 1 - bound).sum()), COUNT, expected).pvalue > FALSE_ALARM


def test_nothing_piles_up_at_one_half(drawn):
    alpha, ratios = drawn
    # float32 has steps of 2^-25 below a half and 2^-24 above: this is the mass that rounds to it, and a few draws.
    rounded = 2.0**-24 * stats.beta.pdf(0.5, alpha, alpha)
    assert (ratios == 0.5).sum() <= COUNT * rounded + Z * np.sqrt(COUNT * rounded) + 1


def test_ratios_are_finite_and_within_bounds(drawn):
    _, ratios = drawn
    assert ((ratios >= 0) & (ratios <= 1)).all()


def test_moments_have_their_closed_forms(drawn):
    alpha, ratios = drawn
    smaller_squared = (alpha + 1) / (2 * alpha + 1) * special.betainc(alpha + 2, alpha, 0.5)
    expectations = [
        (ratios, 0.5),
        (np.square(ratios - 0.5), 1 / (8 * alpha + 4)),
        # E[min(l, 1-l)^2] is what k-mixup's Algorithm 1 needs; the last factor is I_1/2(alpha + 2, alpha).
        (np.square(np.minimum(ratios, 1 - ratios)), smaller_squared),
    ]
    for values, expected in expectations:
        error = values.std() / np.sqrt(COUNT)
        assert abs(values.mean() - expected) < Z * error


def test_alpha_zero_gives_ones():
    assert sample_beta([2, 3], 0, seed=1).numpy().tolist() == [[1.0] * 3] * 2


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    first = sample_beta([8], 0.3, seed=(1, 2)).numpy()
    assert (first == sample_beta([8], 0.3, seed=(1, 2)).numpy()).all()
    assert (first != sample_beta([8], 0.3, seed=(1, 3)).numpy()).all()


def test_draws_at_neighbouring_seeds_are_independent():
    # One scalar a batch, as the layer draws them.
    draw = tf.function(lambda seed: sample_beta([], 1.0, seed))
    ratios = tf.map_fn(draw, tf.range(1000), fn_output_signature=tf.float32).numpy()
    assert stats.kstest(ratios, "uniform").pvalue > FALSE_ALARM
    assert stats.pearsonr(ratios[1:], ratios[:-1]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("shape", [[], [0], [5], [2, 3], tf.constant([2, 2])], ids=str)
def test_any_shape_is_given(shape):
    ratios = sample_beta(shape, 0.7, seed=0)
    assert ratios.dtype == tf.float32
    assert ratios.shape.as_list() == list(np.asarray(shape, int))


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e6])
def test_the_same_seed_gives_the_same_draws_under_xla(alpha):
    compiled = tf.function(sample_beta, jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled([50], alpha, 4), sample_beta([50], alpha, 4), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("alpha", [-1e-9, -1, float("nan"), float("inf"), "1", None, True])
def test_other_alphas_are_refused(alpha):
    with pytest.raises(ValueError, match=r"sample_beta: alpha must be >= 0 and finite\. Received: alpha="):
        sample_beta([3], alpha, seed=0)
