"""Batches as people have them: several inputs and outputs, masks, identifiers, maps; mixed, or left alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    OptimalTransportPairing,
    OtherClassPairing,
    RandomPairing,
    RepeatedPairing,
    ThresholdWeight,
    mix,
)

# Structures are taken apart outside of what is compiled.
pytestmark = pytest.mark.usefixtures("plain_functions")

RNG = np.random.default_rng(8)
N = 12
IMAGES = RNG.integers(0, 256, (N, 6, 8, 3)).astype(np.uint8)
TABLE = RNG.normal(size=(N, 4)).astype(np.float32)
SPECTROGRAMS = RNG.normal(size=(N, 10, 5)).astype(np.float16)
MASKS = np.arange(7) < RNG.integers(1, 8, (N, 1))
CLASSES = RNG.integers(0, 3, N)
SEGMENTS = RNG.integers(0, 4, (N, 6, 8))
NAMES = np.array([f"sample {row}".encode() for row in range(N)])
IDS = 2**53 + 1 + np.arange(N)  # float64 would round them


def by_plan(layer, match_on, seed, values):
    plan = layer.plan([tf.constant(leaf) for leaf in match_on], seed)
    ratio = plan.ratio.numpy().astype(np.float64).reshape(-1, *[1] * (values.ndim - 1))
    return ratio * values + (1 - ratio) * values[plan.partner.numpy()]


def test_what_rides_along_comes_back_untouched():
    x = {"image": IMAGES, "name": NAMES, "meta": {"id": IDS, "raw": tf.ragged.constant([[1]] * N)}}
    y = {"class": CLASSES, "key": IDS}
    layer = KMixupLayer(4, num_classes={"class": 3, "key": None}, passthrough=["name", "meta", "key"])
    mixed, targets = layer(x, y, seed=1)
    assert (mixed["name"].numpy() == NAMES).all()
    assert (mixed["meta"]["id"].numpy() == IDS).all()
    assert mixed["meta"]["raw"].to_list() == [[1]] * N
    assert (targets["key"].numpy() == IDS).all()
    np.testing.assert_allclose(mixed["image"], by_plan(layer, [IMAGES], 1, IMAGES), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(targets["class"], by_plan(layer, [IMAGES], 1, np.eye(3)[CLASSES]), rtol=1e-5)


def test_what_rides_along_is_not_matched_on_unless_named():
    x = {"image": IMAGES, "id": IDS}
    for match_on, leaf in ((None, IMAGES), ("image", IMAGES), ("id", IDS)):
        layer = KMixupLayer(6, passthrough="id", match_on=match_on)
        mixed, _ = layer(x, TABLE, seed=3)
        np.testing.assert_allclose(mixed["image"], by_plan(layer, [leaf], 3, IMAGES), rtol=1e-5, atol=1e-3)


def test_what_rides_along_is_repeated_with_its_sample():
    x = {"table": TABLE, "name": NAMES, "sparse": tf.sparse.eye(N)}
    mixed, _ = MultiMixLayer(3, passthrough=["name", "sparse"])(x, TABLE, seed=1)
    assert (mixed["name"].numpy() == np.tile(NAMES, 3)).all()
    assert (tf.sparse.to_dense(mixed["sparse"]).numpy() == np.tile(np.eye(N), (3, 1))).all()


def test_what_rides_along_goes_through_pipelines():
    dataset = tf.data.Dataset.from_tensor_slices(({"table": TABLE, "name": NAMES, "id": IDS}, CLASSES)).batch(5)
    mixed = list(dataset.apply(mix(KMixupLayer(2, num_classes=3, passthrough=["name", "id"]), seed=1)))
    assert np.concatenate([x["name"] for x, _ in mixed]).tolist() == NAMES.tolist()
    assert np.concatenate([x["id"] for x, _ in mixed]).tolist() == IDS.tolist()


def test_a_mixture_has_the_elements_of_both_sequences():
    x = {"sequence": RNG.normal(size=(N, 7, 2)).astype(np.float32), "mask": MASKS}
    layer = MixLayer(masks="mask")
    mixed, _ = layer(x, TABLE, seed=2)
    partner = layer.plan([x["sequence"]], 2).partner.numpy()
    assert mixed["mask"].dtype == tf.bool
    assert (mixed["mask"].numpy() == (MASKS | MASKS[partner])).all()
    # Where nothing of the partner comes in, its elements do not either.
    alone, _ = MixLayer(ratio=BetaRatio(0), masks="mask")(x, TABLE, seed=2)
    assert (alone["mask"].numpy() == MASKS).all()


def test_masks_of_several_interpolations_follow_each():
    x = {"sequence": TABLE, "mask": MASKS}
    mixed, _ = MultiMixLayer(2, masks="mask")(x, TABLE, seed=2)
    partner = MultiMixLayer(2).plan([TABLE], 2).partner.numpy()
    assert (mixed["mask"].numpy() == np.tile(MASKS | MASKS[partner], (2, 1))).all()


def test_masks_that_are_not_boolean_are_refused():
    with pytest.raises(
        TypeError, match=r"MixLayer: masks must be boolean.*Received: features\['mask'\] of dtype int32"
    ):
        MixLayer(masks="mask")({"sequence": TABLE, "mask": MASKS.astype(np.int32)}, TABLE)


@pytest.mark.parametrize("argument", ["passthrough", "masks", "match_on"])
def test_names_that_mean_nothing_are_refused(argument):
    layer = MixLayer(**{argument: "identifier"}, features_only=True)
    with pytest.raises(
        ValueError, match=rf"MixLayer: {argument} must name leaves.*'identifier'; there are \['a', 'b/0'\]"
    ):
        layer({"a": TABLE, "b": [TABLE]})


@pytest.mark.parametrize("value", [3.5, {"a": 1}, [True], [None]], ids=str)
@pytest.mark.parametrize("argument", ["passthrough", "masks", "match_on"])
def test_names_that_are_no_names_are_refused(argument, value):
    with pytest.raises(TypeError, match=f"MixLayer: {argument} must be a key.*Received: {argument}="):
        MixLayer(**{argument: value})


def test_distances_are_measured_on_what_is_named(excess):
    x = {"image": IMAGES, "table": TABLE}
    for match_on, leaves in (("table", [TABLE]), (["image", "table"], [IMAGES, TABLE])):
        layer = KMixupLayer(6, match_on=match_on)
        mixed, _ = layer(x, TABLE, seed=4)
        plan = layer.pairing([tf.constant(leaf) for leaf in leaves], tf.constant([0, 0]))
        assert excess(leaves, leaves, plan.partner.numpy(), plan.group.numpy()) < 1e-5
        np.testing.assert_allclose(mixed["image"], by_plan(layer, leaves, 4, IMAGES), rtol=1e-5, atol=1e-3)


def test_distances_are_measured_on_the_embedding():
    model = keras.Sequential([keras.layers.Input((6, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    layer = KMixupLayer(6, embedding=lambda x: tf.cast(x, tf.float32)[:, 0, 0], num_classes=3)
    deep = KMixupLayer(6, embedding=model, num_classes=3)
    for each, embedded in ((layer, IMAGES[:, 0, 0].astype(np.float32)), (deep, model(IMAGES).numpy())):
        mixed, _ = each(IMAGES, CLASSES, seed=1)
        np.testing.assert_allclose(mixed, by_plan(each, [embedded], 1, IMAGES), rtol=1e-5, atol=1e-3)


def test_weights_of_an_embedding_are_saved_with_the_layer(tmp_path):
    embedding = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    inputs = keras.Input((4,))
    layer = KMixupLayer(3, embedding=embedding, features_only=True)
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras").layers[-1]
    for ours, theirs in zip(back.embedding.get_weights(), embedding.get_weights(), strict=True):
        assert (ours == theirs).all()
    assert (back(TABLE, seed=1).numpy() == layer(TABLE, seed=1).numpy()).all()


def test_tables_and_spectrograms_are_mixed_and_matched(excess):
    for x in (TABLE, SPECTROGRAMS):
        layer = KMixupLayer(4, num_classes=3)
        mixed, _ = layer(x, CLASSES, seed=1)
        assert mixed.dtype == x.dtype
        rounding = 5e-3 if x.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(mixed, by_plan(layer, [x], 1, x.astype(np.float64)), rtol=rounding, atol=rounding)


def test_segments_become_soft_maps():
    layer = MixLayer(num_classes={"segments": 4, "class": 3})
    _, y = layer(IMAGES, {"segments": SEGMENTS, "class": CLASSES}, seed=1)
    assert y["segments"].shape == (N, 6, 8, 4)
    np.testing.assert_allclose(y["segments"], by_plan(layer, [IMAGES], 1, np.eye(4)[SEGMENTS]), atol=1e-6)


def test_cut_segments_stay_sharp_and_follow_the_image():
    # Segments that repeat the image: pasted alike, they still do.
    x = IMAGES[..., :1] % 4
    layer = CutMixLayer(num_classes={"segments": 4, "class": 3}, interpolations=2)
    mixed, y = layer(x, {"segments": x[..., 0].astype(np.int32), "class": CLASSES}, seed=1)
    assert set(np.unique(y["segments"])) == {0.0, 1.0}
    assert (np.argmax(y["segments"], axis=-1) == mixed.numpy()[..., 0]).all()
    assert len(np.unique(y["class"])) > 2


def test_several_outputs_train_with_weights_of_their_own():
    inputs = {"image": keras.Input((6, 8, 3), name="image"), "table": keras.Input((4,), name="table")}
    flat = keras.layers.Concatenate()([keras.layers.Flatten()(inputs["image"]), inputs["table"]])
    outputs = {
        "class": keras.layers.Dense(3, name="class")(flat),
        "segments": keras.layers.Conv2D(4, 1, name="segments")(inputs["image"]),
        "number": keras.layers.Dense(1, name="number")(inputs["table"]),
    }
    model = keras.Model(inputs, outputs)
    entropy = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("sgd", {"class": entropy, "segments": entropy, "number": "mse"})
    y = {"class": CLASSES, "segments": SEGMENTS, "number": TABLE[:, 0]}
    classes = {"class": 3, "segments": 4, "number": None}
    data = tf.data.Dataset.from_tensor_slices(({"image": IMAGES, "table": TABLE}, y)).batch(5)
    for layer in (
        LocalMixupLayer(weight=ThresholdWeight("quantile:0.5"), num_classes=classes, match_on="table"),
        MixLayer(OtherClassPairing(target="class"), num_classes=classes),
    ):
        history = model.fit(data.apply(mix(layer, seed=1)), epochs=2, verbose=0)
        assert np.isfinite(history.history["loss"]).all()


def test_weights_of_several_outputs_are_each_multiplied():
    y = {"a": TABLE, "b": TABLE[:, 0]}
    given = {"a": np.ones(N, np.float32), "b": np.full(N, 3, np.float32)}
    layer = LocalMixupLayer(weight=ThresholdWeight("quantile:0.5", far="drop"))
    _, _, alone = layer(TABLE, y, seed=1)
    _, _, both = layer(TABLE, y, given, seed=1)
    assert set(alone) == {"a", "b"}
    assert 0 < np.count_nonzero(alone["a"]) < N
    np.testing.assert_allclose(both["a"], alone["a"], rtol=1e-6)
    np.testing.assert_allclose(both["b"], 3 * alone["b"], rtol=1e-6)


def test_two_loaders_take_all_options_too(same):
    first = {"table": TABLE, "mask": MASKS, "name": NAMES}, {"class": CLASSES}
    second = (
        {"table": TABLE[::-1].copy(), "mask": ~MASKS, "name": NAMES[::-1].copy()},
        {"class": CLASSES[::-1].copy()},
    )
    layer = LocalMixupLayer(
        weight=ThresholdWeight("quantile:0.5", far="drop"),
        interpolations=2,
        num_classes=3,
        masks="mask",
        passthrough="name",
    )
    x, y, weight = layer.between(first, second, seed=1)
    assert x["table"].shape == (2 * N, 4)
    assert y["class"].shape == (2 * N, 3)
    assert x["mask"].numpy().all()
    assert (x["name"].numpy() == np.tile(NAMES, 2)).all()
    assert set(np.round(weight["class"].numpy(), 5)) == {0.0, np.float32(round(1 / np.mean(weight["class"] > 0), 5))}
    back = type(layer).from_config(layer.get_config())
    same(back.between(first, second, seed=1)[1:], (y, weight))


def test_pairing_by_class_between_loaders_is_refused():
    with pytest.raises(ValueError, match="OtherClassPairing: two loaders cannot be paired by class"):
        MixLayer(OtherClassPairing()).between((TABLE, TABLE), (TABLE, TABLE))


def test_strategies_of_ones_own_may_be_functions():
    layer = MixLayer(
        pairing=lambda features, seed: RandomPairing()(features, seed),
        ratio=lambda group, seed: tf.fill([2, tf.size(group)], 0.25),
        blend=lambda first, second, partner, ratio, seed: (
            [tf.tile(leaf, [2, 1]) for leaf in first],
            tf.fill(tf.shape(ratio), 0.5),
        ),
        weight=lambda first, second, partner: tf.cast(partner, tf.float32),
    )
    x, y, weight = layer(TABLE, TABLE, seed=1)
    assert (x.numpy() == np.tile(TABLE, (2, 1))).all()
    assert y.shape == (2 * N, 4)
    assert sorted(weight.numpy()[:N] * np.arange(N).mean()) == pytest.approx(np.arange(N))


def test_weights_of_pixels_are_pasted_with_their_pixels():
    x = np.stack([np.zeros((4, 4, 1)), np.ones((4, 4, 1))] * 4).astype(np.float32)
    mixed, y, weight = CutMixLayer()(x, x[..., 0], x[..., 0], seed=3)
    assert (y.numpy() == mixed.numpy()[..., 0]).all()
    assert (weight.numpy() == mixed.numpy()[..., 0]).all()


def test_groups_of_repeated_pairings_share_their_own_ratios():
    repeated = RepeatedPairing(OptimalTransportPairing(4, solver="graph"), 2)
    for interpolations, ratios in ((1, 6), (2, 6)):
        layer = MixLayer(repeated, BetaRatio(1.0, "group", interpolations))
        seed = 5
        pairing = layer.pairing([tf.constant(TABLE)], tf.constant([0, seed]))
        assert pairing.group.shape == pairing.partner.shape == (2, N)
        plan = layer.plan([TABLE], seed)
        assert len(np.unique(plan.ratio)) == ratios
        mixed, _ = layer(TABLE, TABLE, seed=seed)
        partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[..., np.newaxis]
        np.testing.assert_allclose(
            mixed, (ratio * TABLE + (1 - ratio) * TABLE[partner]).reshape(-1, 4), rtol=1e-4, atol=1e-5
        )


def test_partners_and_ratios_of_different_number_are_refused():
    with pytest.raises(ValueError, match="MixLayer: interpolations must be 1 or 3, as many as the pairing's times"):
        MixLayer(RepeatedPairing(RandomPairing(), 3), BetaRatio(interpolations=2))
    with pytest.raises(TypeError, match="RepeatedPairing: pairing must be a pairing that is not repeated itself"):
        RepeatedPairing(RepeatedPairing(RandomPairing(), 3), 2)
