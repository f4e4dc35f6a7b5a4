"""Where `match_at` has a say: over partners always, over ratios and weights where the user names a reduction."""

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
from kmix_tf.reduction.auto import AutoPooled, auto_windows

RNG = np.random.default_rng(3)
# Smooth images, which bear pooling, and white noise, which does not.
SMOOTH = np.kron(RNG.random((64, 8, 8, 1)), np.ones((1, 16, 16, 1))).astype(np.float32)
SMOOTH += RNG.normal(size=SMOOTH.shape).astype(np.float32) * 1e-3
NOISE = RNG.random((64, 128, 128, 1)).astype(np.float32)
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


def test_auto_pools_a_large_image_that_bears_it():
    assert seen_by(KMixupLayer(8), SMOOTH) == [[(64, 64, 64, 1)]]
    assert seen_by(KMixupLayer(8), SMOOTH[..., 0]) == [[(64, 64, 64)]]
    assert seen_by(KMixupLayer(8), (SMOOTH * 255).astype(np.uint8)) == [[(64, 64, 64, 1)]]
    assert seen_by(KMixupLayer(8), SMOOTH.astype(np.float16)) == [[(64, 64, 64, 1)]]


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: KMixupLayer(8), NOISE),
        (lambda: KMixupLayer(8), SMOOTH[:63]),
        (lambda: KMixupLayer(8), SMOOTH[:, :111]),
        (lambda: KMixupLayer(8, match_at="full"), SMOOTH),
        (lambda: KMixupLayer(8, embedding=lambda x: x), SMOOTH),
        (lambda: KMixupLayer(8, adapted={"scales": [[1.0]]}), SMOOTH),
        (lambda: KMixupLayer(8), {"image": SMOOTH, "table": Y}),
    ],
    ids=["noise", "few", "small", "full", "embedded", "scaled", "two leaves"],
)
def test_auto_leaves_what_it_is_not_sure_of(layer, x):
    made = [tuple(leaf.shape) for leaf in tf.nest.flatten(x)]
    assert seen_by(layer(), x) == [made]


def test_auto_is_full_bit_for_bit_where_it_pools_nothing():
    for x in (NOISE, SMOOTH[:, :111]):
        ours, theirs = (KMixupLayer(8, match_at=at)(x, Y, seed=4) for at in ("auto", "full"))
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


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
    monkeypatch.setattr(AutoPooled, "reduced", lambda *_: pytest.fail("pooled for nothing"))
    monkeypatch.setattr(AutoPooled, "suffices", lambda *_: pytest.fail("asked for nothing"))
    for match_at in ("auto", Pooled(8)):
        MixLayer(pairing, match_at=match_at)(SMOOTH, Y, seed=1)


def test_a_pairing_of_ones_own_sees_all_under_auto_and_less_where_that_is_named():
    shapes = []

    def own(features, seed):
        shapes.append(tuple(features[0].shape))
        rows = tf.range(tf.shape(features[0])[0])
        return Pairing(rows[::-1], rows)

    MixLayer(own)(SMOOTH, Y, seed=1)
    MixLayer(own, match_at=Pooled(8))(SMOOTH, Y, seed=1)
    own.by_distance = True
    MixLayer(own)(SMOOTH, Y, seed=1)
    assert shapes == [(64, 128, 128, 1), (64, 16, 16, 1), (64, 64, 64, 1)]


def test_weights_are_exact_under_auto_and_of_pooled_images_where_that_is_named():
    seen = []

    def weight(first, second, partner):
        seen.append(pair_distances(first, second, partner).numpy())
        return tf.ones_like(partner, tf.float32)

    options = {"pairing": OptimalTransportPairing(8), "ratio": BetaRatio(1.0), "weight": weight}
    for match_at in ("auto", Pooled(8)):
        layer = MixLayer(**options, match_at=match_at)
        partner = layer.plan([SMOOTH], 7).partner.numpy()
        seen.clear()
        layer(SMOOTH, Y, seed=7)
        x = SMOOTH if match_at == "auto" else Pooled(8)([SMOOTH])[0].numpy()
        exact = np.sqrt(np.square(x.astype(np.float64) - x[partner]).reshape(64, -1).sum(axis=1))
        np.testing.assert_allclose(seen[0], exact, rtol=1e-6)


def test_local_weights_are_those_of_full_matching_under_auto():
    ours, theirs = (
        LocalMixupLayer(weight=ExponentialWeight(0.1), match_at=at)(SMOOTH, Y, seed=3) for at in ("auto", "full")
    )
    np.testing.assert_array_equal(ours[2], theirs[2])


@pytest.mark.parametrize("match_at", [Pooled(8), "auto"])
def test_maps_and_partial_batches_agree_with_calls(match_at):
    layer = KMixupLayer(8, match_at=match_at)
    x, y = np.tile(SMOOTH, (2, 1, 1, 1)), np.tile(Y, (2, 1))
    mixed = list(tf.data.Dataset.from_tensor_slices((x, y)).batch(96).map(lambda x, y: layer(x, y, seed=5)))
    for part, rows in zip(mixed, (slice(96), slice(96, None)), strict=True):
        np.testing.assert_allclose(part[0], layer(x[rows], y[rows], seed=5)[0], atol=1e-6)


@pytest.mark.matrix  # test_every_layer compiles a small one
@pytest.mark.parametrize("match_at", [Pooled(8), "auto"])
def test_compiled_steps_agree_with_calls(match_at):
    layer = KMixupLayer(8, solver="graph", match_at=match_at)
    run = tf.function(lambda x, y: layer(x, y, seed=5), jit_compile=True, autograph=False)
    np.testing.assert_allclose(run(SMOOTH, Y)[0], layer(SMOOTH, Y, seed=5)[0], atol=1e-5)


def test_two_loaders_are_matched_on_pooled_images():
    other = SMOOTH[::-1].copy()
    layer = KMixupLayer(8)
    x, _ = layer.between((SMOOTH, Y), (other, Y), seed=2)
    full = KMixupLayer(8, match_at="full").between((SMOOTH, Y), (other, Y), seed=2)[0]
    # Nearly constant in windows of two: the pairs are the same.
    np.testing.assert_allclose(x, full, atol=1e-6)


def test_a_table_may_be_projected():
    table = RNG.normal(size=(64, 500)).astype(np.float32)
    assert seen_by(KMixupLayer(8, match_at=Projected(32)), table) == [[(64, 32)]]
    assert seen_by(KMixupLayer(8), table) == [[(64, 500)]]


def test_adapt_matches_as_training_and_reports_exact_costs():
    found = {}
    for match_at in ("auto", "full", Pooled(64)):
        layer = KMixupLayer(8, 0.5, match_at=match_at)
        layer.adapt(SMOOTH, batch_size=64, scale=False, match_alpha=True, precision=0.2)
        found[str(match_at)[:5]] = layer.matched_alpha, layer.plain_perturbation
    (auto, plain), (full, _), (rough, same) = found.values()
    assert auto == full
    # Costs of both are exact, so plain mixup's is one number; pairs by two means a side are worse.
    assert same == pytest.approx(plain, rel=0.05)
    assert rough < full


def test_layers_of_before_load_and_others_keep_it():
    config = KMixupLayer(4).get_config()
    assert config.pop("match_at") == "auto"
    assert KMixupLayer.from_config(config).match_at == "auto"
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(KMixupLayer(4, match_at=Pooled(4)))))
    assert keras.saving.deserialize_keras_object(saved).match_at.window == 4


def test_windows_of_auto_follow_the_sides():
    windows = {side: auto_windows(tf.TensorShape([None, side, side, 3])) for side in (111, 112, 128, 224, 256, 512)}
    assert windows == {111: None, 112: (2, 2), 128: (2, 2), 224: (4, 4), 256: (4, 4), 512: (8, 8)}
    assert auto_windows(tf.TensorShape([None, None, 128])) is None
    assert auto_windows(tf.TensorShape([None, 3, 224, 224])) is None
    assert auto_windows(tf.TensorShape([None, 4096])) is None


def test_auto_sees_what_pooling_loses_of_lines():
    lines = np.ones((64, 128, 128), np.float32)
    for row, image in enumerate(lines):
        image[RNG.integers(128, size=4)] = 0
        image[:, RNG.integers(128, size=4)] = 0
        assert row < 64
    assert not AutoPooled().suffices([tf.constant(lines)], [tf.constant(lines)])
    assert AutoPooled().suffices([tf.constant(SMOOTH)], [tf.constant(SMOOTH)])
    assert AutoPooled().suffices([tf.zeros([64, 128, 128])], [tf.zeros([64, 128, 128])])
    assert not AutoPooled().suffices([tf.zeros([0, 128, 128])], [tf.zeros([0, 128, 128])])


def test_blends_that_gather_have_no_partners_to_match():
    from kmix_tf import CoMixupBlend

    with pytest.raises(ValueError, match=r"no distances of pairs are measured.*match_at="):
        MixLayer(blend=CoMixupBlend(), match_at="full")
