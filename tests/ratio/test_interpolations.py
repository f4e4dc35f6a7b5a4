"""Several ratios of each sample: descending, and in any order what they are drawn from."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import BetaRatio

# The chance that one statistical assertion fails for a right strategy, were its seeds chosen anew.
FALSE_ALARM = 1e-5
COUNT = 2000


def draw(alpha, interpolations, scope="sample", group=None, seed=(0, 1)):
    group = tf.range(COUNT) if group is None else group
    return BetaRatio(alpha, scope, interpolations)(group, seed)


@pytest.fixture(scope="module", params=["alone", pytest.param("in a compiled function", marks=pytest.mark.matrix)])
def drawn(request):
    """Three ratios of each of many samples, for several alphas."""
    compiled = request.param != "alone"

    def ratios(alpha):
        function = tf.function(lambda seed: draw(alpha, 3, seed=seed), jit_compile=True) if compiled else None
        return (function(tf.constant([0, 1])) if compiled else draw(alpha, 3)).numpy()

    return {alpha: ratios(alpha) for alpha in (0.2, 1.0, 5.0)}


def test_ratios_descend(drawn):
    for ratios in drawn.values():
        assert ratios.shape == (3, COUNT)
        assert ratios.dtype == np.float32
        assert (np.diff(ratios, axis=0) <= 0).all()
        assert (np.diff(ratios, axis=0) < 0).any()


def test_in_any_order_they_are_beta_distributed(drawn):
    # Sorting moves ratios within a sample: all of them together are as they were drawn.
    for alpha, ratios in drawn.items():
        # Where alpha is small, ratios within float32's last digit of 1 become 1; KS is asked below that.
        assert stats.kstest(np.minimum(ratios, 1 - ratios).ravel(), folded(alpha)).pvalue > FALSE_ALARM
        assert stats.binomtest(int((ratios > 0.5).sum()), ratios.size).pvalue > FALSE_ALARM


def folded(alpha):
    """The distribution function of min(l, 1 - l)."""
    return lambda x: np.minimum(2 * stats.beta.cdf(x, alpha, alpha), 1)


def test_each_place_in_the_order_has_its_order_statistic(drawn):
    # The k-th smallest of K uniforms is Beta(k, K - k + 1); ratios descend.
    for place, ratios in enumerate(drawn[1.0]):
        smaller = 3 - place
        assert stats.kstest(ratios, stats.beta(smaller, 3 - smaller + 1).cdf).pvalue > FALSE_ALARM


def test_ratios_of_one_sample_are_independent_of_one_another():
    # Of two independent uniforms, the smaller over the larger is uniform too, and independent of the larger.
    larger, smaller = draw(1.0, 2).numpy().astype(np.float64)
    assert stats.kstest(larger, stats.beta(2, 1).cdf).pvalue > FALSE_ALARM
    assert stats.kstest(smaller / larger, "uniform").pvalue > FALSE_ALARM
    assert stats.spearmanr(smaller / larger, larger).pvalue > FALSE_ALARM


def test_ratios_of_different_samples_are_independent():
    ratios = draw(1.0, 3).numpy()
    for place in ratios:
        assert stats.pearsonr(place[1:], place[:-1]).pvalue > FALSE_ALARM


def test_a_batchs_ratios_follow_the_distribution_from_seed_to_seed():
    group = tf.constant([0, 0, 1])
    one = tf.function(lambda seed: draw(0.5, 2, "batch", group, tf.stack([0, seed]))[:, 0])
    ratios = tf.map_fn(one, tf.range(400), fn_output_signature=tf.float32).numpy()
    assert stats.kstest(np.minimum(ratios, 1 - ratios).ravel(), folded(0.5)).pvalue > FALSE_ALARM


@pytest.mark.usefixtures("plain_functions")
class TestAnyNumber:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.lists(st.integers(0, 4), min_size=1, max_size=12),
        st.integers(1, 6),
        st.sampled_from(["batch", "group", "sample"]),
        st.integers(0, 2**31 - 1),
    )
    def test_scopes_say_who_shares_its_ratios(self, group, interpolations, scope, seed):
        # Groups are numbered from 0 without gaps, as pairings number them.
        group = np.unique(np.array(group, np.int32), return_inverse=True)[1].astype(np.int32)
        ratios = draw(1.0, interpolations, scope, tf.constant(group), (1, seed)).numpy()
        assert ratios.shape == ((len(group),) if interpolations == 1 else (interpolations, len(group)))
        columns = np.atleast_2d(ratios).T
        assert (np.diff(columns, axis=1) <= 0).all()
        shared = {
            "batch": np.ones((len(group), len(group)), bool),
            "group": group[:, np.newaxis] == group,
            "sample": np.eye(len(group), dtype=bool),
        }[scope]
        # Two of a few uniforms of 23 bits are equal in fewer than one example in 100,000.
        assert ((columns[:, np.newaxis] == columns).all(axis=2) == shared).all()

    @pytest.mark.parametrize("scope", ["batch", "group", "sample"])
    def test_an_empty_batch_has_no_ratios(self, scope):
        assert draw(1.0, 3, scope, tf.zeros([0], tf.int32)).shape == (3, 0)

    @pytest.mark.parametrize("scope", ["batch", "group", "sample"])
    def test_alpha_zero_leaves_everything_to_the_sample_itself(self, scope):
        assert (draw(0, 3, scope, tf.constant([0, 0, 1])).numpy() == 1).all()


def test_the_seed_decides():
    first, again, other = (draw(1.0, 3, "batch", tf.range(4), (0, seed)).numpy() for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).all()


def test_the_configuration_makes_an_equal_strategy():
    ratio = BetaRatio(0.3, "group", np.int64(4))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(ratio))))
    assert type(back) is BetaRatio
    assert back.get_config() == {"alpha": 0.3, "scope": "group", "interpolations": 4}


@pytest.mark.parametrize("interpolations", [0, -2, 2.0, True, "3", None])
def test_other_numbers_are_refused(interpolations):
    message = r"BetaRatio: interpolations must be an integer >= 1. Received: interpolations="
    with pytest.raises(ValueError, match=message):
        BetaRatio(1.0, interpolations=interpolations)
