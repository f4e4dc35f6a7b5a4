"""Self pairs: with them, partners are uniform over the whole batch."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    DistributionRatio,
    MixLayer,
    MixModel,
    RandomPairing,
    RepeatedPairing,
    ThresholdWeight,
    mix,
)

# The chance that one statistical assertion fails for a right pairing, were its seeds chosen anew.
FALSE_ALARM = 1e-5


def drawn(pairing, size, times):
    """Partners of so many draws, `(times, size)` or `(times, mixtures, size)`."""
    draw = tf.function(lambda seed: pairing([tf.zeros([size, 1])], seed).partner)
    return tf.map_fn(draw, tf.range(times)).numpy()


def test_all_orders_of_the_batch_are_equally_likely():
    orders = list(itertools.permutations(range(4)))
    partners = drawn(RandomPairing(with_itself=True), 4, 2400)
    counts = [int((partners == order).all(axis=1).sum()) for order in orders]
    assert sum(counts) == 2400
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_a_sample_meets_each_of_the_batch_and_itself_equally_often(size):
    partners = drawn(RandomPairing(with_itself=True), size, 1600)
    # One row of each batch: those of different rows depend on one another.
    for row in {0, size - 1}:
        counts = np.bincount(partners[:, row], minlength=size)
        assert len(counts) == size
        if size > 1:
            assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_without_being_told_no_sample_meets_itself():
    assert not (drawn(RandomPairing(), 5, 300) == np.arange(5)).any()
    assert not RandomPairing().with_itself


def test_repeated_each_mixture_draws_on_its_own():
    partners = drawn(RepeatedPairing(RandomPairing(with_itself=True), 2), 3, 900)
    first, second = partners[:, 0, 0], partners[:, 1, 0]
    counts = np.bincount(3 * first + second, minlength=9)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


HALF = DistributionRatio(lambda shape, seed: tf.fill(shape, 0.5))


@pytest.mark.parametrize("in_map", [False, True])
def test_a_sample_that_meets_itself_comes_back_exactly_and_others_are_mixed(in_map):
    layer = MixLayer(RandomPairing(with_itself=True), HALF)
    x, y = np.float32([[0.1], [10.7], [100.3]]), np.eye(3, dtype=np.float32)
    data = tf.data.Dataset.from_tensors((x, y)).repeat(60)
    batches = data.apply(mix(layer, seed=1)) if in_map else [layer(x, y, seed=seed) for seed in range(60)]
    alone = 0
    for mixed, labels in batches:
        shares = labels.numpy()
        own = shares[np.arange(3), np.arange(3)] == 1
        np.testing.assert_allclose(mixed, shares @ x, rtol=1e-6)
        assert (mixed.numpy()[own] == x[own]).all()
        assert (np.sort(shares[~own], axis=1) == [0, 0.5, 0.5]).all()
        alone += own.sum()
    # 60 orders of three have 60 fixed points on average, with variance 60: six standard deviations.
    assert abs(alone - 60) < 47


def test_of_two_loaders_rows_are_paired_as_they_come():
    x = [tf.zeros([5, 2])]
    assert RandomPairing(with_itself=True).between(x, x).partner.numpy().tolist() == list(range(5))
    layer = MixLayer(RandomPairing(with_itself=True), HALF)
    mixed, _ = layer.between((tf.zeros([3, 1]), tf.zeros([3])), (tf.ones([3, 1]), tf.ones([3])))
    assert mixed.numpy().ravel().tolist() == [0.5] * 3


def test_it_goes_with_other_decisions_on_a_device_and_in_half_precision():
    layer = MixLayer(
        RandomPairing(with_itself=True), BetaRatio(1.0, "sample", 2), CutMixBlend(), ThresholdWeight("quantile:0.5")
    )
    images = tf.cast(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), tf.float16)
    run = tf.function(lambda seed: layer(images, tf.eye(5), seed=seed), jit_compile=True)
    for seed in range(3):
        for ours, theirs in zip(run(tf.constant([0, seed])), layer(images, tf.eye(5), seed=[0, seed]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    mixing = MixModel(model, MixLayer(RandomPairing(with_itself=True), num_classes=3), seed=0)
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=True)
    assert np.isfinite(mixing.fit(np.ones([7, 2]), np.arange(7) % 3, batch_size=4, verbose=0).history["loss"]).all()


def test_it_is_an_option_that_is_read_and_saved():
    pairing = RandomPairing(with_itself=True)
    assert pairing.with_itself
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(MixLayer(pairing)))
    assert back.pairing.with_itself
    for other in (drawn(back.pairing, 4, 5), drawn(pairing, 4, 5)):
        assert (other == drawn(RandomPairing(True), 4, 5)).all()


@pytest.mark.parametrize("bad", [None, 1, "yes"], ids=repr)
def test_anything_but_true_or_false_is_refused(bad):
    with pytest.raises(ValueError, match=r"RandomPairing: with_itself must be True or False. Received: with_itself="):
        RandomPairing(with_itself=bad)


@pytest.mark.parametrize(("with_itself", "expected"), [(True, 0.1375), (False, 11 / 30)])
def test_near_the_middle_of_three_points_labels_are_those_of_the_theory(with_itself, expected):
    # Of uniform ratios, mixtures of 0 and 2 within r of 1 have mass r, those of 1 with either r and share r / 2.
    # With self pairs, those of 0 and 2 are 2/9, those with 1 4/9, and 1 alone 1/9; else 1/3 and 2/3.
    r = 0.1
    ends, one, alone = (2 / 9, 4 / 9, 1 / 9) if with_itself else (1 / 3, 2 / 3, 0)
    assert (ends * r + one * r * r / 2) / (ends * r + one * r + alone) == pytest.approx(expected)
    layer = MixLayer(RandomPairing(with_itself), BetaRatio(1.0, "sample"))
    x, y = tf.constant([[0.0], [1.0], [2.0]]), tf.constant([1.0, 0.0, 1.0])

    @tf.function
    def run(seeds):
        def one_batch(seed):
            features, labels = layer(x, y, seed=seed)
            return tf.stack([features[:, 0], labels])

        return tf.map_fn(one_batch, seeds, fn_output_signature=tf.float32)

    mixed = run(tf.range(6000)).numpy()
    near = np.abs(mixed[:, 0] - 1) < r
    # Batches are independent, rows of one are not: the mean over batches, by its standard error.
    excess = (near * (mixed[:, 1] - expected)).sum(axis=1)
    score = excess.mean() / (excess.std(ddof=1) / np.sqrt(len(excess)))
    assert 2 * stats.norm.sf(abs(score)) > FALSE_ALARM
    assert near.sum() > 1000
