"""Ratios warped by the distance of pairs: Similarity Kernel Mixup."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    DistanceWarpedRatio,
    KMixupLayer,
    LinearBlend,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    OptimalTransportPairing,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
    ThresholdWeight,
    mix,
)

# The chance that one statistical assertion fails for a right strategy, were its seeds chosen anew.
FALSE_ALARM = 1e-5
GROUP = tf.constant([0, 0, 1, 1, 2, 2])
DISTANCES = np.array([0.1, 0.7, 1.0, 1.3, 2.5, 0.0])
RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]


def taus(distances, tau_max=1.0, tau_std=0.5):
    """By the paper's formula."""
    squares = np.square(np.asarray(distances, np.float64))
    usual = squares / squares.mean(axis=-1, keepdims=True)
    return tau_max * np.exp(-(usual - 1) / (2 * tau_std**2))


def warped(ratios, tau):
    """By SciPy, from the nearer end, where it is exact."""
    ratios = np.asarray(ratios, np.float64)
    smaller = special.betaincinv(tau, tau, np.minimum(ratios, 1 - ratios))
    return np.where(ratios > 0.5, 1 - smaller, smaller)


def drawn(ratio, seed=1, distances=DISTANCES, group=GROUP):
    return ratio(group, seed, tf.constant(distances, tf.float64)).numpy()


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize(("tau_max", "tau_std"), [(1.0, 0.5), (0.4, 1.0)])
@pytest.mark.representatives("compiled, tau_max", [(True, 1.0)])
def test_ratios_of_pairs_follow_the_beta_distribution_of_their_distance(tau_max, tau_std, compiled):
    kinds = np.array([0.2, 1.0, 1.4])
    ratio = DistanceWarpedRatio(1.0, tau_max, tau_std, scope="sample")
    distances = tf.constant(np.tile(kinds, 1500))
    draw = tf.function(lambda seed: ratio(tf.range(4500), seed, distances), jit_compile=compiled)
    ratios = draw(tf.constant([0, 7])).numpy().reshape(1500, 3)
    for column, tau in zip(ratios.T, taus(kinds, tau_max, tau_std), strict=True):
        assert stats.kstest(column, stats.beta(tau, tau).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("scope", ["batch", "group", "sample"])
@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.representatives(
    "alpha, scope, interpolations", [(0.2, "sample", 1), (1.0, "batch", 3), (4.0, "group", 1)]
)
def test_the_draw_of_a_beta_ratio_is_warped_by_the_inverse_distribution(alpha, scope, interpolations):
    plain = BetaRatio(alpha, scope, interpolations)(GROUP, 5).numpy()
    found = drawn(DistanceWarpedRatio(alpha, 0.8, 0.6, scope, interpolations), seed=5)
    assert found.dtype == np.float32
    assert found.shape == plain.shape
    np.testing.assert_allclose(found, warped(plain, taus(DISTANCES, 0.8, 0.6)), atol=2e-5)
    if interpolations > 1:
        assert (np.diff(found, axis=0) <= 0).all()


def test_far_pairs_are_mixed_less():
    distances = np.linspace(0, 2, 2000)
    ratios = drawn(DistanceWarpedRatio(scope="sample"), distances=distances, group=tf.range(2000))
    mixed = np.minimum(ratios, 1 - ratios).reshape(10, 200).mean(axis=1)
    assert mixed[0] > 0.35
    assert mixed[-1] < 0.05
    assert mixed[:3].min() > mixed[4:6].max() > mixed[4:6].min() > mixed[7:].max()


def test_a_draw_that_float32_rounds_to_one_is_told_from_it():
    # At alpha 0.01, most draws are 0 or 1 in float32; near pairs with tau 300 are mixed nevertheless.
    distances = np.zeros(400)
    distances[0] = 1.0
    ratio = DistanceWarpedRatio(0.01, 40.0, 0.5, "sample")
    ratios = drawn(ratio, distances=distances, group=tf.range(400))[1:]
    plain = BetaRatio(0.01, "sample")(tf.range(400), 1).numpy()[1:]
    assert (plain == 1).mean() > 0.1
    assert (ratios < 1).all()
    assert len(np.unique(ratios[plain == 1])) > 30


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e-3, 1e160, 1e300])
def test_units_of_distances_do_not_matter(unit):
    ratio = DistanceWarpedRatio(scope="sample")
    np.testing.assert_allclose(drawn(ratio, distances=DISTANCES * unit), drawn(ratio), atol=1e-5)


@pytest.mark.parametrize("distance", [0.0, 1e-300, 1.0, 1e300])
@pytest.mark.parametrize("size", [1, 6])
def test_pairs_equally_far_apart_have_plain_ratios(distance, size):
    found = drawn(DistanceWarpedRatio(0.5, scope="sample"), 2, np.full(size, distance), GROUP[:size])
    np.testing.assert_allclose(found, BetaRatio(0.5, "sample")(GROUP[:size], 2), atol=1e-6)


@pytest.mark.parametrize("tau_std", [1e-200, 1e-3, 1e3, 1e200])
@pytest.mark.parametrize("tau_max", [1e-300, 1e-3, 1e3, 1e300])
@pytest.mark.representatives("tau_std, tau_max", [(1e-3, 1e-3), (1e-200, 1e300)])
def test_extreme_arguments_give_ratios(tau_std, tau_max):
    for distances in (DISTANCES, np.array([1e200, 1, 1, 1, 1, 1]), np.array([1e-320, 0, 0, 0, 0, 0])):
        found = drawn(DistanceWarpedRatio(0.3, tau_max, tau_std, "sample"), distances=distances)
        assert ((found >= 0) & (found <= 1)).all()


def test_an_empty_batch_and_no_mixing():
    assert drawn(DistanceWarpedRatio(), distances=[], group=tf.zeros([0], tf.int32)).shape == (0,)
    assert (drawn(DistanceWarpedRatio(alpha=0)) == 1).all()
    assert (drawn(DistanceWarpedRatio(alpha=0, interpolations=2)) == np.ones((2, 6))).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("in_map", [False, True])
@pytest.mark.representatives("dtype, in_map", [(np.float16, True), (np.float32, False)])
def test_a_layer_mixes_by_the_distances_of_its_pairs(dtype, in_map):
    layer = MixLayer(ratio=DistanceWarpedRatio(0.7, scope="sample", interpolations=2))
    x = X.astype(dtype)
    data = tf.data.Dataset.from_tensors((x, Y)).map(lambda x, y: layer(x, y, seed=4))
    mixed, y = next(iter(data)) if in_map else layer(x, Y, seed=4)
    plain = MixLayer(ratio=BetaRatio(0.7, "sample", 2)).plan([x], 4)
    partner = plain.partner.numpy()
    wide = x.astype(np.float64)
    ratio = warped(plain.ratio, taus(np.linalg.norm(wide - wide[partner], axis=1)))[..., np.newaxis]
    rounding = 2e-3 if dtype == np.float16 else 3e-5
    np.testing.assert_allclose(mixed, (ratio * wide + (1 - ratio) * wide[partner]).reshape(12, 4), atol=rounding)
    np.testing.assert_allclose(y, (ratio * Y + (1 - ratio) * Y[partner]).reshape(12, 3), atol=3e-5)
    assert mixed.dtype == dtype


def test_distances_are_those_of_what_is_matched_on():
    x = {"seen": X, "measured": np.arange(6, dtype=np.float32)[:, np.newaxis] ** 2}
    layer = MixLayer(ratio=DistanceWarpedRatio(scope="sample"), match_on="measured")
    _, y = layer(x, np.eye(6, dtype=np.float32), seed=6)
    plan = MixLayer(ratio=BetaRatio(1.0, "sample")).plan([X], 6)
    measured, partner = x["measured"].astype(np.float64), plan.partner.numpy()
    expected = warped(plan.ratio, taus(np.abs(measured - measured[partner])[:, 0]))
    np.testing.assert_allclose(np.diag(y), expected, atol=3e-5)


def test_each_of_several_pairings_has_a_mean_distance_of_its_own():
    layer = MixLayer(RepeatedPairing(RandomPairing(), 3), DistanceWarpedRatio(scope="sample"))
    plan = layer.plan([X], 8)
    wide, partner = X.astype(np.float64), plan.partner.numpy()
    plain = MixLayer(RepeatedPairing(RandomPairing(), 3), BetaRatio(1.0, "sample")).plan([X], 8)
    apart = np.linalg.norm(wide - wide[partner], axis=2)
    np.testing.assert_allclose(plan.ratio, warped(np.broadcast_to(plain.ratio, (3, 6)), taus(apart)), atol=3e-5)


OTHERS = {
    "k-mixup": {"pairing": OptimalTransportPairing(2, solver="graph")},
    "same class": {"pairing": SameClassPairing()},
    "cutmix": {"blend": CutMixBlend(1)},
    "linear": {"blend": LinearBlend()},
    "threshold": {"weight": ThresholdWeight("quantile:0.5")},
    "packed": {"targets": "packed"},
    "seldom": {"probability": 0.5},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.representatives("other", ["same class"])
def test_it_goes_with_every_other_decision(other, same):
    layer = MixLayer(ratio=DistanceWarpedRatio(0.5, interpolations=2), **OTHERS[other])
    eager = layer(X, Y, seed=3)
    assert all(np.isfinite(part).all() for part in eager)
    assert len(eager[0]) == 12
    graph = tf.function(
        lambda x, y: layer(x, y, seed=3),
        input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None, 3])],
        jit_compile=True,
    )
    same(graph(X, Y), eager, rtol=1e-5, atol=1e-5)


def test_the_last_batch_may_be_of_one_sample():
    data = tf.data.Dataset.from_tensor_slices((np.concatenate([X, X[:1] + 1]), np.concatenate([Y, Y[:1]]))).batch(3)
    *_, (x, y) = data.apply(mix(MixLayer(ratio=DistanceWarpedRatio()), seed=2))
    np.testing.assert_array_equal(x, X[:1] + 1)
    np.testing.assert_array_equal(y, Y[:1])


def dead_units():
    """A model whose hidden layer makes the same of all samples: their distances are 0."""
    inputs = keras.Input((4,))
    dead = keras.layers.Dense(3, activation="relu", bias_initializer=keras.initializers.Constant(-100.0), name="dead")
    return keras.Model(inputs, keras.layers.Dense(3)(dead(inputs)))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("own", [False, True], ids=["warped", "a ratio of one's own"])
@pytest.mark.representatives("jit_compile, own", [(True, False), (False, True)])
def test_hidden_features_at_distance_0_have_gradients(jit_compile, own):
    def nearer(group, seed, distances):
        return tf.cast(1 - 0.5 * tf.exp(-distances), tf.float32)

    nearer.needs_distances = True
    layer = MixLayer(ratio=nearer if own else DistanceWarpedRatio())
    model = dead_units()
    mixing = ManifoldMixModel(model, ["dead"], layer, seed=1)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    mixing.compile("sgd", loss, jit_compile=jit_compile)
    assert np.isfinite(mixing.fit(X, Y, epochs=2, verbose=0).history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_several_places_of_a_model_are_mixed_with_it():
    # Each is a branch, in which a ratio whose gradient is taken needs more than XLA's kernels hand out.
    mixing = ManifoldMixModel(dead_units(), ["input", "dead"], MixLayer(ratio=DistanceWarpedRatio()), seed=1)
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert np.isfinite(mixing.fit(X, Y, epochs=2, verbose=0).history["loss"]).all()


def test_a_model_is_trained_with_it_at_half_precision():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_float16")(inputs))
    mixing = MixModel(model, MixLayer(ratio=DistanceWarpedRatio(), dtype="mixed_float16"), seed=1)
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert np.isfinite(mixing.fit(X, Y, epochs=2, verbose=0).history["loss"]).all()


def test_it_is_saved_with_the_layer(same):
    layer = MixLayer(ratio=DistanceWarpedRatio(0.3, 2.0, 0.7, "group", 2))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert back.ratio.get_config() == {
        "alpha": 0.3,
        "tau_max": 2.0,
        "tau_std": 0.7,
        "scope": "group",
        "interpolations": 2,
    }
    same(back(X, Y, seed=3), layer(X, Y, seed=3), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("alpha", -1.0),
        ("tau_max", 0),
        ("tau_max", float("inf")),
        ("tau_std", 0.0),
        ("tau_std", "wide"),
        ("scope", "pairs"),
        ("interpolations", 0),
    ],
)
def test_other_arguments_are_refused(argument, value):
    with pytest.raises(ValueError, match=rf"DistanceWarpedRatio: {argument} must be .*Received: {argument}="):
        DistanceWarpedRatio(**{argument: value})


def test_it_needs_distances_and_adapts_no_alpha():
    with pytest.raises(ValueError, match="DistanceWarpedRatio: distances of the pairs must be given"):
        DistanceWarpedRatio()(GROUP, 1)
    with pytest.raises(ValueError, match="MixLayer: ratio must be a BetaRatio where match_alpha=True"):
        MixLayer(OptimalTransportPairing(2), DistanceWarpedRatio()).adapt(X, match_alpha=True)
    with pytest.raises(TypeError, match="KMixupLayer: ratio is made of alpha, scope"):
        KMixupLayer(2, ratio=DistanceWarpedRatio())


def test_both_samples_of_a_pair_have_one_ratio():
    layer = MixLayer(RandomPairing(mutual=True), DistanceWarpedRatio(scope="pair"))
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    plan = layer.plan([x], seed=1)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()
    np.testing.assert_array_equal(ratio[partner], ratio)
    assert len(np.unique(ratio)) == 32
    with pytest.raises(ValueError, match="mutual"):
        MixLayer(RandomPairing(), DistanceWarpedRatio(scope="pair"))
