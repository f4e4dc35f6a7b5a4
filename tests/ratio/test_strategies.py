"""Who shares a ratio."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import BetaRatio

GROUP = tf.constant([0, 0, 1, 2, 2, 2, 1, 0])


def ratios(scope, seed=1, group=GROUP, alpha=1.0):
    return BetaRatio(alpha, scope)(group, seed).numpy()


def test_scope_batch_draws_one_ratio():
    drawn = ratios("batch")
    assert drawn.shape == (8,)
    assert len(set(drawn)) == 1


def test_scope_group_draws_one_ratio_for_each_group():
    drawn = ratios("group")
    for first, second in np.ndindex(8, 8):
        assert (drawn[first] == drawn[second]) == (GROUP[first] == GROUP[second]).numpy()


def test_scope_sample_draws_one_ratio_for_each_sample():
    assert len(set(ratios("sample"))) == 8


@pytest.mark.parametrize("scope", ["batch", "group", "sample"])
def test_seeds_decide(scope):
    assert (ratios(scope) == ratios(scope)).all()
    assert (ratios(scope) != ratios(scope, seed=2)).all()


@pytest.mark.parametrize("scope", ["batch", "group", "sample"])
def test_every_sample_has_a_ratio_of_the_same_distribution(scope):
    draw = tf.function(lambda seed: BetaRatio(0.5, scope)(tf.constant([0, 0, 1]), seed))
    drawn = tf.map_fn(draw, tf.range(300), fn_output_signature=tf.float32).numpy()
    for column in drawn.T:
        # Fails once in 100,000 choices of seeds for a right strategy.
        assert stats.kstest(column, stats.beta(0.5, 0.5).cdf).pvalue > 1e-5


@pytest.mark.parametrize("scope", ["batch", "group", "sample"])
@pytest.mark.parametrize("alpha", [0, 0.0])
def test_alpha_zero_leaves_everything_to_the_sample_itself(scope, alpha):
    assert (ratios(scope, alpha=alpha) == 1).all()


@pytest.mark.usefixtures("plain_functions")
@given(st.lists(st.integers(0, 5), max_size=12), st.sampled_from(["batch", "group", "sample"]))
def test_there_is_a_ratio_for_each_sample(group, scope):
    # Groups are numbered from 0 without gaps, as pairings number them.
    group = np.unique(np.array(group, np.int32), return_inverse=True)[1].astype(np.int32)
    drawn = ratios(scope, group=tf.constant(group))
    assert drawn.dtype == np.float32
    assert drawn.shape == (len(group),)


def test_the_configuration_makes_an_equal_strategy():
    config = BetaRatio(0.25, "group").get_config()
    assert (
        BetaRatio.from_config(config).get_config() == config == {"alpha": 0.25, "scope": "group", "interpolations": 1}
    )


@pytest.mark.parametrize("scope", ["Batch", "", None, 1, "pairs"])
def test_other_scopes_are_refused(scope):
    with pytest.raises(
        ValueError, match=r"BetaRatio: scope must be one of 'batch', 'group', 'sample', 'pair'. Received: scope="
    ):
        BetaRatio(1.0, scope)


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf"), "1", True])
def test_other_alphas_are_refused(alpha):
    with pytest.raises(ValueError, match=r"BetaRatio: alpha must be >= 0 and finite. Received: alpha="):
        BetaRatio(alpha)
