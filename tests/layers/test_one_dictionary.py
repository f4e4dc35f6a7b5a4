"""Images and targets in one dictionary, as Keras' layers have it; and ours against Keras' where Keras is right."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    Blended,
    BlendStrategy,
    CutMixLayer,
    ExponentialWeight,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MixModel,
    Pairing,
    PairingStrategy,
    RatioStrategy,
    ResizeMixLayer,
    mix,
)

BATCH = 6
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (BATCH, 8, 10, 3)).astype(np.uint8)
LABELS = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, BATCH)]
MASKS = RNG.integers(0, 2, (BATCH, 8, 10, 1)).astype(np.float32)
BOXES = np.sort(RNG.random((BATCH, 2, 2, 2)), axis=2).reshape(BATCH, 2, 4).astype(np.float32) * 8
CLASSES = RNG.integers(0, 5, (BATCH, 2))
DATA = {"images": IMAGES, "labels": LABELS, "segmentation_masks": MASKS}
WITH_BOXES = {**DATA, "bounding_boxes": {"boxes": BOXES, "labels": CLASSES}}


def apart(data):
    return {"images": data["images"]}, {key: value for key, value in data.items() if key != "images"}


LAYERS = {
    "k-mixup": lambda **more: KMixupLayer(2, scope="sample", **more),
    "cutmix": lambda **more: CutMixLayer(bounding_box_format="xyxy", scope="sample", **more),
    "fmix": lambda **more: FMixLayer(bounding_box_format="xyxy", interpolations=2, **more),
    "resizemix": lambda **more: ResizeMixLayer(bounding_box_format="xyxy", interpolations=2, **more),
}


@pytest.mark.parametrize("keys", ["labels", "segmentation_masks", "bounding_boxes", "all"])
@pytest.mark.parametrize("name", LAYERS)
def test_one_dictionary_is_images_and_targets_in_every_way_to_call_a_layer(name, keys, same):
    data = WITH_BOXES if keys == "all" else {key: WITH_BOXES[key] for key in (keys, "images")}
    layer = LAYERS[name]()
    x, y = layer(*apart(data), seed=3)
    mixed = layer(data, seed=3)
    assert list(mixed) == list(data), "keys in their order"
    same(mixed, {**x, **y})
    dataset = tf.data.Dataset.from_tensors(data)
    same(next(iter(dataset.map(lambda element: layer(element, seed=3)))), mixed)
    pairs = dataset.map(
        lambda element: ({"images": element["images"]}, {k: element[k] for k in data if k != "images"})
    )
    x, y = next(iter(pairs.apply(mix(layer, seed=1))))
    same(next(iter(dataset.apply(mix(layer, seed=1)))), {**x, **y})
    shapes = tf.nest.map_structure(lambda leaf: leaf.shape, next(iter(dataset.map(layer))))
    assert tf.nest.flatten(shapes) == [leaf.shape for leaf in tf.nest.flatten(mixed)]
    x, y = layer.between(apart(data), apart(data), seed=2)
    same(layer.between(data, data, seed=2), {**x, **y})
    x, y = layer(*apart(data), training=False)
    for got in (
        layer(data, training=False),
        layer.for_evaluation()(data),
        next(iter(dataset.map(layer.for_evaluation()))),
    ):
        same(got, {**x, **y})


def test_integer_labels_become_soft_ones_and_others_ride_along():
    data = {"id": np.array(list("abcdef")), "images": IMAGES, "labels": np.arange(BATCH) % 3}
    layer = KMixupLayer(1, num_classes=3, passthrough="id")
    mixed = layer(data)
    assert mixed["labels"].shape == (BATCH, 3) and list(mixed) == ["id", "images", "labels"]
    assert mixed["id"].numpy().astype(str).tolist() == list("abcdef")
    layer = CutMixLayer(num_classes={"labels": 3, "segmentation_masks": 2})
    del data["id"]
    mixed = layer({**data, "segmentation_masks": MASKS.astype(np.uint8)}, seed=1)
    assert mixed["segmentation_masks"].shape == (BATCH, 8, 10, 2)
    assert set(np.unique(mixed["segmentation_masks"])) == {0, 1}, "pasted, not averaged"


def test_other_dictionaries_are_features_as_ever():
    for other in ({"images": IMAGES}, {"image": IMAGES, "labels": LABELS}, {**DATA, "id": np.arange(BATCH)}):
        with pytest.raises(ValueError, match=r"targets must come with the features.*'images' with 'labels'"):
            KMixupLayer(1)(other)
    # With targets besides, or where there are none, all of it is features.
    x, y = KMixupLayer(1)(DATA, LABELS, seed=1)
    assert sorted(x) == sorted(DATA) and y.shape == LABELS.shape
    alone = KMixupLayer(1, features_only=True)({"images": IMAGES, "labels": np.arange(BATCH)}, seed=1)
    assert alone["labels"].dtype == "float32" and alone["labels"].shape == (BATCH,)


def test_weights_have_no_place_in_one_dictionary():
    weighed = {
        "pairs": LocalMixupLayer(weight=ExponentialWeight(0.1)),
        "classes": KMixupLayer(1, class_weight={"labels": {0: 2.0}}, num_classes=None),
    }
    for layer in weighed.values():
        with pytest.raises(
            ValueError, match=r"LocalMixupLayer|KMixupLayer: weights of samples need a place.*\(x, y\)"
        ):
            layer({"images": IMAGES, "labels": LABELS})
    packed = LocalMixupLayer(weight=ExponentialWeight(0.1), targets="packed")({"images": IMAGES, "labels": LABELS})
    assert packed["labels"].shape == (BATCH, 10)


def test_key_points_by_the_name_of_kerascv_are_refused_as_such():
    points = {"images": IMAGES, "keypoints": BOXES}
    with pytest.raises(ValueError, match=r"KMixupLayer: key points cannot be mixed.*'keypoints'.*passthrough="):
        KMixupLayer(1)(points)
    rides = KMixupLayer(1, passthrough="keypoints")({**points, "labels": LABELS})
    np.testing.assert_array_equal(rides["keypoints"], BOXES)


def test_mix_model_says_how_to_take_it_apart():
    inputs = keras.Input((8, 10, 3), name="images")
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    data = tf.data.Dataset.from_tensors({"images": IMAGES.astype(np.float32), "labels": LABELS})
    for name in ("fit", "evaluate"):
        mixing = MixModel(model, KMixupLayer(1))
        mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        with pytest.raises(ValueError, match=r"MixModel: fit takes features and targets apart.*data\['images'\]"):
            getattr(mixing, name)(data, verbose=0)
    mixing = MixModel(model, KMixupLayer(1))
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    mixing.fit(data.map(lambda element: (element["images"], element["labels"])), verbose=0)


def test_a_layer_learns_its_alpha_from_such_data():
    data = tf.data.Dataset.from_tensors({"images": IMAGES.astype(np.float32), "labels": LABELS}).repeat(3)
    layer = KMixupLayer(2)
    layer.adapt(data)
    assert layer.adapted is not None and next(iter(data.map(layer)))["labels"].shape == LABELS.shape


# Keras 2 has no such layer.
MixUp, CutMix = (getattr(keras.layers, name, None) for name in ("MixUp", "CutMix"))
with_keras_layers = pytest.mark.skipif(MixUp is None, reason="this Keras has no MixUp")


class Given(PairingStrategy):
    def __init__(self, partner):
        self.partner = partner

    def __call__(self, features, seed, targets=None):
        return Pairing(tf.constant(self.partner), tf.zeros([BATCH], tf.int32))


class GivenRatio(RatioStrategy):
    def __init__(self, ratio):
        self.ratio = ratio

    def __call__(self, group, seed, distances=None):
        return tf.constant(self.ratio)


def keras_draw(layer):
    """Keras' own permutation without fixed points and ratios, and a layer that has them."""
    for seed in range(100):
        drawn = layer.get_random_transformation({"images": IMAGES}, seed=seed)
        partner = np.asarray(drawn["permutation_order"]).astype(np.int32)
        if (partner != np.arange(BATCH)).all():
            break
    else:
        raise AssertionError("every permutation had a fixed point")
    layer.get_random_transformation = lambda data, training=True, seed=None: drawn
    return drawn, partner


@with_keras_layers
@pytest.mark.parametrize("way", ["by hand", "map"])
def test_at_the_same_permutation_and_ratio_it_is_what_keras_mixup_gives(way):
    keras_layer = MixUp(alpha=0.4, seed=1)
    drawn, partner = keras_draw(keras_layer)
    ratio = np.asarray(drawn["mix_weight"], np.float32)
    ours = MixLayer(Given(partner), GivenRatio(ratio))
    data = {"images": IMAGES, "labels": LABELS}
    if way == "by hand":
        want, got = keras_layer(dict(data)), ours(data)
    else:
        dataset = tf.data.Dataset.from_tensors(data)
        want, got = (next(iter(dataset.map(layer))) for layer in (keras_layer, ours))
    assert list(got) == list(want)
    for key in data:
        assert got[key].dtype == want[key].dtype
        np.testing.assert_allclose(got[key], np.asarray(want[key]), rtol=1e-5, atol=1e-4)
    # In inference both leave what they convert.
    want, got = keras_layer(dict(data), training=False), ours(data, training=False)
    for key in data:
        np.testing.assert_array_equal(got[key], np.asarray(want[key]))


@with_keras_layers
def test_masks_are_mixed_as_keras_would_if_it_took_them_along_the_batch():
    # Keras takes partners' masks out of all numbers in a row, not along the batch: no oracle, but its formula is.
    keras_layer = MixUp(alpha=0.4, seed=1)
    drawn, partner = keras_draw(keras_layer)
    ratio = np.asarray(drawn["mix_weight"], np.float32)
    got = MixLayer(Given(partner), GivenRatio(ratio))(DATA)
    share = ratio[:, np.newaxis, np.newaxis, np.newaxis]
    np.testing.assert_allclose(got["segmentation_masks"], share * MASKS + (1 - share) * MASKS[partner], atol=1e-6)


@with_keras_layers
def test_pasted_alike_images_labels_and_masks_are_what_keras_cutmix_gives():
    keras_layer = CutMix(1.0, seed=2)
    drawn, partner = keras_draw(keras_layer)
    mask = 1 - np.asarray(drawn["batch_masks"])[..., 0].astype(np.float32)
    realised = np.reshape(np.asarray(drawn["mix_weight"], np.float32), BATCH)

    class Pasted(BlendStrategy):
        """Keras' own boxes."""

        axes, pastes = 2, True

        def __call__(self, first, second, partner, ratio, seed):
            share = tf.constant(mask)[..., tf.newaxis]
            x = [
                share * tf.cast(a, tf.float32) + (1 - share) * tf.cast(tf.gather(b, partner), tf.float32)
                for a, b in zip(first, second, strict=True)
            ]
            return Blended(x, tf.constant(realised), tf.constant(mask))

    layer = MixLayer(Given(partner), BetaRatio(1.0), Pasted())
    # Keras' masks have as many channels as its images; of one, they are broadcast.
    data = {"images": IMAGES, "labels": LABELS, "segmentation_masks": np.repeat(MASKS, 3, axis=-1)}
    want, got = keras_layer(dict(data)), layer(data)
    for key in data:
        np.testing.assert_allclose(got[key], np.asarray(want[key]), rtol=1e-5, atol=1e-4)
