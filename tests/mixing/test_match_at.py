"""Where `match_at` has a say: over all that is measured, and over nothing else."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    ExponentialWeight,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    OptimalTransportPairing,
    Pairing,
    Pooled,
    Projected,
    RandomPairing,
    RepeatedPairing,
)
from kmix_tf.maths.distance import pair_distances

RNG = np.random.default_rng(3)
# Nearly constant in windows of 16.
SMOOTH = np.kron(RNG.random((64, 8, 8, 1)), np.ones((1, 16, 16, 1))).astype(np.float32)
SMOOTH += RNG.normal(size=SMOOTH.shape).astype(np.float32) * 1e-3
Y = np.eye(64, dtype=np.float32)


def seen_by(layer, x):
    """The shapes of what the layer's pairing is given."""
    shapes = []

    class Watching(OptimalTransportPairing):
        def __call__(self, features, seed, targets=None):
            shapes.append([tuple(leaf.shape) for leaf in features])
            return super().__call__(features, seed, targets)

    layer.pairing = Watching(layer.pairing.k)
    layer(x, Y[: len(tf.nest.flatten(x)[0])], seed=1)
    return shapes


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_images_and_spectrograms_are_pooled_where_that_is_asked(dtype):
    x = (SMOOTH * 255).astype(dtype)
    assert seen_by(KMixupLayer(8), x) == [[(64, 128, 128, 1)]]
    assert seen_by(KMixupLayer(8, match_at="full"), x) == [[(64, 128, 128, 1)]]
    assert seen_by(KMixupLayer(8, match_at=Pooled(8)), x) == [[(64, 16, 16, 1)]]
    assert seen_by(KMixupLayer(8, match_at=Pooled(8)), x[..., 0]) == [[(64, 16, 16)]]


def test_pooled_pairs_are_the_assignment_of_least_pooled_cost(excess):
    by_numpy = SMOOTH.reshape(64, 16, 8, 16, 8).mean(axis=(2, 4)) * 8
    pairing, seed = OptimalTransportPairing(16), 2
    found = pairing([tf.constant(by_numpy)], seed)
    assert excess(by_numpy, by_numpy, found.partner.numpy(), found.group.numpy()) < 1e-6
    np.testing.assert_array_equal(pairing(Pooled(8)([SMOOTH]), seed).partner, found.partner)
    plans = KMixupLayer(16, match_at=Pooled(8)).plan([SMOOTH], seed), KMixupLayer(16).plan([by_numpy], seed)
    np.testing.assert_array_equal(plans[0].partner, plans[1].partner)


@pytest.mark.parametrize(
    "pairing", [RandomPairing(), RepeatedPairing(RandomPairing(), 2), OptimalTransportPairing(1)]
)
def test_nothing_is_computed_for_pairings_that_measure_nothing(pairing, monkeypatch):
    monkeypatch.setattr(Pooled, "reduced", lambda *_: pytest.fail("pooled for nothing"))
    MixLayer(pairing, match_at=Pooled(8))(SMOOTH, Y, seed=1)


def test_a_pairing_of_ones_own_sees_less_unless_it_says_that_it_does_not_look():
    shapes = []

    def own(features, seed):
        shapes.append(tuple(features[0].shape))
        rows = tf.range(tf.shape(features[0])[0])
        return Pairing(rows[::-1], rows)

    MixLayer(own)(SMOOTH, Y, seed=1)
    MixLayer(own, match_at=Pooled(8))(SMOOTH, Y, seed=1)
    own.by_distance = False
    MixLayer(own, match_at=Pooled(8))(SMOOTH, Y, seed=1)
    assert shapes == [(64, 128, 128, 1), (64, 16, 16, 1), (64, 128, 128, 1)]


def test_weights_are_of_pooled_images_where_partners_are():
    seen = []

    def weight(first, second, partner):
        seen.append(pair_distances(first, second, partner).numpy())
        return tf.ones_like(partner, tf.float32)

    options = {"pairing": OptimalTransportPairing(8), "ratio": BetaRatio(1.0), "weight": weight}
    for match_at in ("full", Pooled(8)):
        layer = MixLayer(**options, match_at=match_at)
        partner = layer.plan([SMOOTH], 7).partner.numpy()
        seen.clear()
        layer(SMOOTH, Y, seed=7)
        x = SMOOTH if match_at == "full" else Pooled(8)([SMOOTH])[0].numpy()
        exact = np.sqrt(np.square(x.astype(np.float64) - x[partner]).reshape(64, -1).sum(axis=1))
        np.testing.assert_allclose(seen[0], exact, rtol=1e-6)


def test_local_weights_of_pooled_images_are_nearly_those_of_images_that_are_smooth():
    pooled, exact = (
        LocalMixupLayer(weight=ExponentialWeight(0.1), match_at=at)(SMOOTH, Y, seed=3) for at in (Pooled(8), "full")
    )
    np.testing.assert_allclose(pooled[2], exact[2], rtol=1e-3)


def test_maps_and_partial_batches_agree_with_calls():
    layer = KMixupLayer(8, match_at=Pooled(8))
    x, y = np.tile(SMOOTH, (2, 1, 1, 1)), np.tile(Y, (2, 1))
    mixed = list(tf.data.Dataset.from_tensor_slices((x, y)).batch(96).map(lambda x, y: layer(x, y, seed=5)))
    for part, rows in zip(mixed, (slice(96), slice(96, None)), strict=True):
        np.testing.assert_allclose(part[0], layer(x[rows], y[rows], seed=5)[0], atol=1e-6)


@pytest.mark.matrix  # test_every_layer compiles a small one
def test_compiled_steps_agree_with_calls():
    layer = KMixupLayer(8, solver="graph", match_at=Pooled(8))
    run = tf.function(lambda x, y: layer(x, y, seed=5), jit_compile=True, autograph=False)
    np.testing.assert_allclose(run(SMOOTH, Y)[0], layer(SMOOTH, Y, seed=5)[0], atol=1e-5)


def test_two_loaders_are_matched_on_pooled_images():
    other = SMOOTH[::-1].copy()
    layer = KMixupLayer(8, match_at=Pooled(8))
    x, _ = layer.between((SMOOTH, Y), (other, Y), seed=2)
    full = KMixupLayer(8).between((SMOOTH, Y), (other, Y), seed=2)[0]
    # Nearly constant in windows: the pairs are the same.
    np.testing.assert_allclose(x, full, atol=1e-6)


def test_a_table_may_be_projected():
    table = RNG.normal(size=(64, 500)).astype(np.float32)
    assert seen_by(KMixupLayer(8, match_at=Projected(32)), table) == [[(64, 32)]]
    assert seen_by(KMixupLayer(8), table) == [[(64, 500)]]


def test_adapt_matches_as_training_and_reports_exact_costs():
    found = {}
    for match_at in ("full", Pooled(64)):
        layer = KMixupLayer(8, 0.5, match_at=match_at)
        layer.adapt(SMOOTH, batch_size=64, scale=False, match_alpha=True, precision=0.2)
        found[str(match_at)[:5]] = layer.matched_alpha, layer.plain_perturbation
    (full, plain), (rough, same) = found.values()
    # Costs of both are exact, so plain mixup's is one number; pairs by two means a side are worse.
    assert same == pytest.approx(plain, rel=0.05)
    assert rough < full


def test_layers_of_before_load_and_others_keep_it():
    config = KMixupLayer(4).get_config()
    assert config.pop("match_at") == "full"
    assert KMixupLayer.from_config(config).match_at == "full"
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(KMixupLayer(4, match_at=Pooled(4)))))
    assert keras.saving.deserialize_keras_object(saved).match_at.window == 4


def test_blends_that_gather_have_no_partners_to_match():
    from kmix_tf import CoMixupBlend

    with pytest.raises(ValueError, match=r"no distances of pairs are measured.*match_at="):
        MixLayer(blend=CoMixupBlend(), match_at=Pooled(8))
