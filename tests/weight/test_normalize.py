"""Normalised weights, and what they make of the stock loss: the sum of weighted losses over the sum of weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import ExponentialWeight, LocalMixupLayer, MultiMixLayer, NearestNeighborWeight, ThresholdWeight
from kmix_tf.weight import mean_one

RNG = np.random.default_rng(3)
X = RNG.normal(size=(8, 3)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, 8)]
LOGITS = RNG.normal(size=(8, 4)).astype(np.float32)
WEIGHTS = [ExponentialWeight(0.7), ThresholdWeight("quantile:0.5", "drop"), NearestNeighborWeight(1, "drop")]
each_weight = pytest.mark.parametrize("weight", WEIGHTS, ids=lambda weight: type(weight).__name__)


@given(st.lists(st.floats(0, 1e30, allow_subnormal=False), min_size=1, max_size=20))
def test_weights_are_divided_by_their_mean(weights):
    ours = mean_one(tf.constant(weights, tf.float64))
    assert ours.dtype == tf.float32
    expected = np.asarray(weights) / np.mean(weights) if any(weights) else np.zeros(len(weights))
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1, 1e300])
def test_no_magnitude_is_too_small_or_too_large(scale):
    ours = mean_one(tf.constant([1, 0, 2, 5], tf.float64) * scale)
    np.testing.assert_allclose(ours, [0.5, 0, 1, 2.5], rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.int32])
def test_weights_of_any_dtype_are_taken(dtype):
    assert mean_one(tf.constant([1, 3], dtype)).numpy().tolist() == [0.5, 1.5]


def test_weights_that_are_all_zero_stay_zero_and_none_stay_none():
    assert mean_one(tf.zeros([3])).numpy().tolist() == [0, 0, 0]
    assert mean_one(tf.zeros([0])).shape == [0]


def raw_weights(weight, partner):
    """What the weights' definitions make of X, before they are normalised."""
    table = np.sqrt(np.square(X[:, np.newaxis].astype(np.float64) - X[np.newaxis]).sum(axis=2))
    apart = table[np.arange(8), partner]
    if isinstance(weight, ExponentialWeight):
        return np.exp(-0.7 * apart)
    if isinstance(weight, ThresholdWeight):
        return (apart <= np.median(apart)).astype(float)
    nearest = np.argmin(table + np.where(np.eye(8), np.inf, 0), axis=1)
    return ((nearest == partner) | (nearest[partner] == np.arange(8)) | (partner == np.arange(8))).astype(float)


def cross_entropies(y, logits):
    logits = logits.astype(np.float64)
    return np.log(np.exp(logits).sum(axis=-1)) - (y * logits).sum(axis=-1)


@each_weight
def test_the_stock_loss_is_the_sum_of_weighted_losses_over_the_sum_of_weights(weight):
    layer = LocalMixupLayer(0.8, weight, scope="sample")
    for seed in range(3):
        _, y, sample_weight = layer(X, Y, seed=seed)
        plan = layer.plan([X], seed)
        partner, ratio = plan.partner.numpy(), plan.ratio.numpy().astype(np.float64)[:, np.newaxis]
        raw = raw_weights(weight, partner)
        assert 0 < raw.sum() < 8
        losses = cross_entropies(ratio * Y + (1 - ratio) * Y[partner], LOGITS)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(y, LOGITS, sample_weight)
        np.testing.assert_allclose(loss, (raw * losses).sum() / raw.sum(), rtol=1e-5)


def test_with_several_interpolations_all_mixtures_share_one_sum():
    layer = MultiMixLayer(3, weight=ExponentialWeight(0.7))
    _, y, sample_weight = layer(X, Y, seed=1)
    plan = layer.plan([X], 1)
    raw = np.tile(raw_weights(WEIGHTS[0], plan.partner.numpy()), 3)
    np.testing.assert_allclose(sample_weight, raw / raw.mean(), rtol=1e-5)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(y, np.tile(LOGITS, (3, 1)), sample_weight)
    np.testing.assert_allclose(
        loss, (raw * cross_entropies(y.numpy(), np.tile(LOGITS, (3, 1)))).sum() / raw.sum(), rtol=1e-5
    )


def test_where_no_pair_counts_loss_and_gradients_are_exactly_zero():
    # No sample is its own partner in pairs matched by transport between groups.
    layer = LocalMixupLayer(weight=ThresholdWeight(0.0, far="drop"), k=4)
    _, y, sample_weight = layer(X, Y, seed=0)
    assert sample_weight.numpy().tolist() == [0] * 8
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(y, logits, sample_weight)
    assert loss.numpy() == 0
    np.testing.assert_array_equal(tape.gradient(loss, logits), np.zeros((8, 4)))


def test_the_users_weights_are_mixed_and_multiplied():
    own = RNG.uniform(0.5, 2, 8).astype(np.float32)
    layer = LocalMixupLayer(0.8, ExponentialWeight(0.7), scope="sample")
    *_, ours = layer(X, Y, own, seed=2)
    plan = layer.plan([X], 2)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()
    raw = raw_weights(WEIGHTS[0], partner)
    np.testing.assert_allclose(ours, raw / raw.mean() * (ratio * own + (1 - ratio) * own[partner]), rtol=1e-5)


def test_float64_weights_of_the_user_stay_float64():
    *_, ours = LocalMixupLayer()(X, Y, np.ones(8), seed=2)
    assert ours.dtype == tf.float64


def test_a_batch_that_is_not_mixed_counts_in_full():
    def uneven(first, second, partner):
        return tf.range(8.0)

    for probability, expected in ((0.0, np.ones(8)), (1.0, np.arange(8) / 3.5)):
        *_, ours = LocalMixupLayer(weight=uneven, probability=probability)(X, Y, seed=2)
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_nested_targets_get_weights_of_their_structure():
    y = {"class": Y, "more": (X[:, 0], RNG.normal(size=(8, 4, 5, 2)).astype(np.float32))}
    *_, weights = LocalMixupLayer(weight=ExponentialWeight(1.0))(X, y, seed=3)
    tf.nest.assert_same_structure(weights, y)
    assert weights["class"].shape == [8]
    assert weights["more"][0].shape == [8]
    assert weights["more"][1].shape == [8, 1, 1]
    np.testing.assert_array_equal(weights["more"][1][:, 0, 0], weights["class"])


def test_a_model_with_several_targets_trains_with_weights_of_their_structure():
    inputs = keras.Input([3])
    outputs = {
        "class": keras.layers.Dense(4, name="class")(inputs),
        "value": keras.layers.Dense(1, name="value")(inputs),
    }
    model = keras.Model(inputs, outputs)
    losses = {"class": keras.losses.CategoricalCrossentropy(from_logits=True), "value": "mse"}
    model.compile("sgd", losses, run_eagerly=True)
    data = tf.data.Dataset.from_tensor_slices((X, {"class": Y, "value": X[:, :1]})).batch(8)
    layer = LocalMixupLayer(weight=ThresholdWeight(0.0, far="drop"), k=4)
    before = [value.copy() for value in model.get_weights()]
    # Where no pair counts, no target may move the model.
    assert model.fit(data.map(layer), verbose=0).history["loss"] == [0]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.fit(data.map(LocalMixupLayer()), verbose=0).history["loss"][0] > 0


def test_weights_of_a_map_suit_keras_loss():
    y = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (8, 5, 6))]
    logits = RNG.normal(size=(8, 5, 6, 4)).astype(np.float32)
    layer = LocalMixupLayer(0.8, ExponentialWeight(0.7), scope="sample")
    _, mixed, sample_weight = layer(X, y, seed=4)
    assert sample_weight.shape == [8, 1, 1]
    plan = layer.plan([X], 4)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[:, np.newaxis, np.newaxis, np.newaxis]
    raw = raw_weights(WEIGHTS[0], partner)
    losses = cross_entropies(ratio * y + (1 - ratio) * y[partner], logits).mean(axis=(1, 2))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)(mixed, logits, sample_weight)
    np.testing.assert_allclose(loss, (raw * losses).sum() / raw.sum(), rtol=1e-5)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_none_stop_the_batch_with_the_weights_name(bad):
    def my_weight(first, second, partner):
        return tf.constant([bad] + [1.0] * 7)

    with pytest.raises(tf.errors.InvalidArgumentError, match="weights must be >= 0 and finite"):
        LocalMixupLayer(weight=my_weight)(X, Y, seed=0)


def test_features_alone_have_no_loss_to_weigh():
    with pytest.raises(ValueError, match=r"LocalMixupLayer: weights go with targets"):
        LocalMixupLayer(features_only=True)(X)
