"""Paired differences against SciPy, and how often verdicts are wrong where nothing is to be found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf.paired import AtLeast, AtMost, Claim, Runs, paired_difference, verdict
from kmix_tf.paired.differences import FAILS, HOLDS, UNDECIDED, UNTESTED

NUMBERS = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=2, max_size=12)


@given(first=NUMBERS, shift=st.floats(-5, 5), seed=st.integers(0, 100))
def test_means_intervals_and_p_are_those_of_a_paired_t_test(first, shift, seed):
    first = np.array(first)
    second = first + shift + np.random.default_rng(seed).normal(size=len(first))
    found = paired_difference(first, second)
    expected = stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    values = [(first - second).mean(), low, high, expected.pvalue]
    np.testing.assert_allclose(found[:4], values, rtol=1e-8, atol=1e-12)
    assert found.seeds == len(first)


def test_of_claims_with_nothing_in_them_one_in_forty_holds():
    """2,000 comparisons of 8 seeds; more than 80 of them hold with a chance below 1e-4 if the rate is 2.5 %."""
    values = np.random.default_rng(0).normal(size=(2000, 8))
    found = [verdict(paired_difference(row)) for row in values]
    for word in (HOLDS, FAILS):
        assert stats.binom.ppf(5e-5, 2000, 0.025) <= found.count(word) <= stats.binom.ppf(1 - 5e-5, 2000, 0.025)


def test_one_seed_gives_no_verdict():
    found = paired_difference([3.0])
    assert found.mean == 3.0 and np.isnan(found[1:4]).all()
    assert verdict(found) == UNTESTED


def test_equal_differences_need_no_interval():
    assert verdict(paired_difference([2.0] * 5)) == HOLDS
    assert verdict(paired_difference([2.0] * 5), above=3.0) == FAILS
    assert verdict(paired_difference([0.0] * 5)) == FAILS
    assert verdict(paired_difference([2.0] * 4)) == UNDECIDED, "four that are alike are no surprise of coarse numbers"
    assert paired_difference([0.0, 0.0]).p == 1.0


def test_a_margin_is_what_the_interval_must_exceed():
    found = paired_difference([1.0, 1.2, 0.8, 1.1])
    assert verdict(found, above=0.5) == HOLDS
    assert verdict(found, above=1.0) == UNDECIDED
    assert verdict(found, above=2.0) == FAILS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, np.nan],), "finite"),
        (([],), "at least one seed"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "equally long"),
        (([[1.0]],), "equally long"),
        (([1.0], 0.0, 1.0), "confidence must be between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, message):
    with pytest.raises(ValueError, match=f"paired_difference: .*{message}"):
        paired_difference(*arguments)


def test_the_p_value_of_a_claim_is_of_its_margin():
    cells = {seed: {"a": {"error": value}} for seed, value in enumerate([1.0, 1.2, 0.8, 1.1, 0.9])}
    found = Claim("at most 1.5", AtMost("error", "a", 1.5), above=0.3).judge(Runs({}, cells))
    effects = 1.5 - np.array([1.0, 1.2, 0.8, 1.1, 0.9])
    assert found.found.p == pytest.approx(stats.ttest_1samp(effects, 0.3).pvalue)
    assert found.found.mean == pytest.approx(effects.mean()) and found.verdict == HOLDS and found.found.p < 0.05


def test_an_exact_claim_must_hold_with_every_seed():
    cells = {0: {"a": {"error": 1.0}}, 1: {"a": {"error": 0.0}}}
    claim = Claim("above nothing", AtLeast("error", "a", 0.0), is_exact=True)
    assert claim.judge(Runs({}, {0: cells[0]})).verdict == HOLDS
    assert claim.judge(Runs({}, cells)).verdict == FAILS
