"""FMix as a layer: labels count the pixels that show, whatever the features are and wherever it runs."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import DistributionRatio, MixLayer, MixModel, mix, unpack_targets
from kmix_tf.blend.fmix import FMixBlend
from kmix_tf.layers.fmix import FMixLayer

RNG = np.random.default_rng(3)
EYE = np.eye(6, dtype=np.float32)


def constants(*shape):
    """Sample i is i everywhere, so that each place shows whose it is."""
    return np.broadcast_to(np.arange(shape[0], dtype=np.float32).reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


def readout(x, size, axes=2):
    """Of mixed `constants`, the rows `(mixtures,)`, where they are kept, and the partners."""
    x = np.asarray(x, np.float64)
    x = x.reshape(*x.shape[: 1 + axes], -1)[..., 0]
    own = np.arange(len(x)) % size
    kept = x == own.reshape(-1, *[1] * axes)
    partner = [next(iter(set(image.ravel()) - {row}), row) for image, row in zip(x, own, strict=True)]
    return own, kept, np.array(partner, int)


def shares_of(own, kept, partner, classes):
    """The labels that pixel counts call for: one-hot rows weighted by the share of the pixels."""
    share = kept.reshape(len(kept), -1).mean(axis=1)[:, np.newaxis]
    return share * np.eye(classes)[own] + (1 - share) * np.eye(classes)[partner]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((6, 9, 7, 3), 2), ((6, 5, 8), 2), ((6, 33), 1), ((6, 33, 2), 1), ((6, 4, 5, 3), 3), ((6, 4, 5, 3, 2), 3)],
    ids=["odd image", "grayscale or spectrogram", "signal", "signal of channels", "volume", "video"],
)
@pytest.mark.representatives("axes", [2, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_labels_follow_the_pixels_of_anything_with_places(shape, axes):
    x, y = FMixLayer(axes=axes, scope="sample")(constants(*shape), EYE, seed=2)
    assert x.shape == shape
    own, kept, partner = readout(x, 6, axes)
    assert (~kept).any(axis=tuple(range(1, kept.ndim))).sum() >= 3
    np.testing.assert_allclose(y, shares_of(own, kept, partner, 6), atol=1e-6)


def halves(shape, seed):
    return tf.fill(shape, 0.5)


def test_labels_follow_whole_places_and_not_the_ratio_drawn():
    # Of 9 places, half is 4.5: rounded to 4.
    layer = MixLayer(ratio=DistributionRatio(halves, "sample"), blend=FMixBlend())
    x, y = layer(constants(6, 3, 3, 1), EYE, seed=1)
    own, kept, partner = readout(x, 6)
    assert (kept.sum(axis=(1, 2))[partner != own] == 4).all()
    np.testing.assert_allclose(np.diag(y)[partner != own], 4 / 9, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64, "bfloat16"])
@pytest.mark.representatives("dtype", [np.uint8, np.float16])
@pytest.mark.usefixtures("plain_and_compiled")
def test_pixels_of_any_dtype_are_shown_exactly(dtype):
    values = np.array([3, 250, 0, 77] if dtype == np.uint8 else [0.1, 2047, -3e4, 1e-7])
    images = tf.cast(np.broadcast_to(values.reshape(4, 1, 1, 1), (4, 6, 6, 2)), dtype)
    x, y = FMixLayer(scope="sample")(images, np.eye(4, dtype=np.float32), seed=4)
    assert x.dtype == (tf.float32 if dtype == np.uint8 else dtype)
    images, x = tf.cast(images, tf.float64).numpy(), tf.cast(x, tf.float64).numpy()
    assert set(np.unique(x)) <= set(images.ravel())
    own = (x == images)[..., 0].mean(axis=(1, 2))
    np.testing.assert_allclose(np.diag(y), own, atol=1e-6)
    assert (own < 1).any()


def test_other_features_are_masked_alike_or_mixed_by_the_mean():
    # Keys come sorted: "image" is the first leaf with two axes, and the labels count its pixels.
    x = {
        "image": constants(6, 8, 8, 1),
        "small": constants(6, 4, 4),
        "table": RNG.normal(size=(6, 3)).astype(np.float32),
    }
    mixed, y, weight = FMixLayer(scope="sample")(x, EYE, np.arange(6, dtype=np.float32), seed=3)
    own, kept, partner = readout(mixed["image"], 6)
    counts = shares_of(own, kept, partner, 6) * np.arange(6)
    np.testing.assert_allclose(y, counts / counts.sum(axis=1, keepdims=True), atol=1e-6)
    # Each place of the small image lies on 2 x 2 of the large; its middle is the corner of the last of them.
    small = np.where(kept[:, 1::2, 1::2], own[:, np.newaxis, np.newaxis], partner[:, np.newaxis, np.newaxis])
    assert (mixed["small"].numpy() == small).all()
    share = kept.mean(axis=(1, 2))[:, np.newaxis]
    np.testing.assert_allclose(mixed["table"], share * x["table"] + (1 - share) * x["table"][partner], atol=1e-5)
    np.testing.assert_allclose(weight, share[:, 0] * np.arange(6) + (1 - share[:, 0]) * partner, atol=1e-5)


@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_maps_are_shown_place_by_place_and_labels_by_the_mean(interpolations):
    maps, labels = RNG.integers(0, 4, size=(6, 9, 7)), np.array([0, 1, 2, 0, 1, 2])
    layer = FMixLayer(interpolations=interpolations, num_classes={"label": 3, "map": 4}, scope="sample")
    x, y = layer(constants(6, 9, 7, 3), {"label": labels, "map": maps}, seed=1)
    own, kept, partner = readout(x, 6)
    assert len(own) == 6 * interpolations
    assert (kept.reshape(interpolations, 6, -1)[1:] <= kept.reshape(interpolations, 6, -1)[:-1]).all()
    assert (y["map"].numpy().argmax(axis=-1) == np.where(kept, maps[own], maps[partner])).all()
    assert set(np.unique(y["map"])) == {0, 1}
    np.testing.assert_allclose(y["label"], shares_of(labels[own], kept, labels[partner], 3), atol=1e-6)


def test_packed_targets_carry_the_mean():
    x, y = FMixLayer(scope="sample", targets="packed")(constants(6, 8, 8, 1), np.arange(6), seed=3)
    _, kept, _ = readout(x, 6)
    np.testing.assert_allclose(unpack_targets(y).ratio.numpy().ravel(), kept.mean(axis=(1, 2)), atol=1e-6)


def test_partners_come_from_the_other_loader():
    first, second = constants(6, 8, 8, 1), constants(6, 8, 8, 1) + 100
    x, y = FMixLayer(scope="sample").between(
        (first, np.zeros(6, np.float32)), (second, np.ones(6, np.float32)), seed=2
    )
    shown = x.numpy()[..., 0] >= 100
    rows = np.arange(6).reshape(6, 1, 1)
    assert (x.numpy()[..., 0] == np.where(shown, rows + 100, rows)).all()
    np.testing.assert_allclose(y, shown.mean(axis=(1, 2)), atol=1e-6)


def test_images_of_open_size_are_mixed_as_those_of_known_size(same):
    layer = FMixLayer(scope="sample", num_classes={"label": 3, "map": 4})
    labels = np.array([0, 1, 2, 0], np.int32)
    open_map = tf.TensorSpec([None, None, None], tf.int32)
    signature = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None], tf.int32), open_map]
    graph = tf.function(
        lambda x, label, map: layer(x, {"label": label, "map": map}, seed=3), input_signature=signature
    )
    for size in ((5, 8), (6, 3)):
        maps = RNG.integers(0, 4, size=(4, *size)).astype(np.int32)
        mixed = graph(constants(4, *size, 3), labels, maps)
        same(mixed, layer(constants(4, *size, 3), {"label": labels, "map": maps}, seed=3))
        own, kept, partner = readout(mixed[0], 4)
        np.testing.assert_allclose(mixed[1]["label"], shares_of(labels, kept, labels[partner], 3), atol=1e-6)
        assert (mixed[1]["map"].numpy().argmax(axis=-1) == np.where(kept, maps[own], maps[partner])).all()


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.representatives("axes", [2])
def test_it_compiles_with_the_function_that_calls_it(axes, same):
    layer, x = FMixLayer(interpolations=2, scope="sample", axes=axes), constants(4, 7, 5, 6, 1)
    y = np.eye(4, dtype=np.float32)
    compiled = tf.function(lambda x, y: layer(x, y, seed=4), jit_compile=True)
    mixed, plain = compiled(x, y), layer(x, y, seed=4)
    assert (mixed[0].numpy() == plain[0].numpy()).all()
    same(mixed, plain)
    np.testing.assert_allclose(mixed[1], shares_of(*readout(mixed[0], 4, axes), 4), atol=1e-6)


def test_batches_of_a_seeded_pipeline_repeat_and_their_labels_count_their_pixels():
    dataset = tf.data.Dataset.from_tensor_slices((constants(22, 8, 8, 1), np.arange(22))).batch(6)
    layer = FMixLayer(k=2, num_classes=22, scope="sample")
    batches, again = (list(dataset.apply(mix(layer, seed=0))) for _ in range(2))
    assert [len(x) for x, _ in batches] == [6, 6, 6, 4]
    for number, (x, y) in enumerate(batches):
        own, kept, partner = readout(x.numpy() - 6 * number, len(x))
        np.testing.assert_allclose(y, shares_of(own + 6 * number, kept, partner + 6 * number, 22), atol=1e-6)
    for ours, theirs in zip(batches, again, strict=True):
        assert (ours[0].numpy() == theirs[0].numpy()).all()


def test_a_model_trains_with_it_in_the_compiled_step():
    inner = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(6)])
    model = MixModel(inner, FMixLayer(solver="graph", num_classes=6), seed=0)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=True)
    history = model.fit(constants(12, 8, 8, 1) / 12, np.arange(12) % 6, batch_size=6, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_the_configuration_makes_an_equal_layer(same):
    layer = FMixLayer(0.4, k=2, interpolations=2, decay=2.0, axes=1, scope="sample", num_classes=6)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert (back.decay, back.axes) == (2.0, 1)
    assert back.get_config() == layer.get_config()
    x, y = constants(6, 9, 2), np.arange(6)
    same(back(x, y, seed=1), layer(x, y, seed=1), rtol=0, atol=0)


@pytest.mark.matrix  # test_every_layer asks it of this layer, too
def test_the_mixture_in_another_process_is_the_same(tmp_path, elsewhere):
    layer = FMixLayer(interpolations=2, scope="sample", num_classes=6)
    (tmp_path / "layer.json").write_text(json.dumps(keras.saving.serialize_keras_object(layer)))
    program = """
import json, sys, keras, numpy as np
import kmix_tf, kmix_tf.layers.fmix
layer = keras.saving.deserialize_keras_object(json.load(open(sys.argv[1] + "/layer.json")))
x = np.arange(6, dtype=np.float32).reshape(6, 1, 1) + np.zeros((6, 9, 8), np.float32)
x, y = layer(x, np.arange(6), seed=9)
np.savez(sys.argv[1] + "/mixed.npz", x=x, y=y)
"""
    elsewhere(program, tmp_path)
    x, y = layer(constants(6, 9, 8), np.arange(6), seed=9)
    with np.load(tmp_path / "mixed.npz") as there:
        assert (there["x"] == x.numpy()).all() and (there["y"] == y.numpy()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": 4}, "FMixLayer: axes must be 1, 2 or 3. Received: axes=4"),
        ({"axes": 0}, "FMixLayer: axes must be an integer >= 1. Received: axes=0"),
        ({"decay": -1.0}, "FMixLayer: decay must be >= 0 and finite. Received: decay=-1.0"),
        ({"decay": float("nan")}, "FMixLayer: decay must be >= 0 and finite. Received: decay=nan"),
        ({"alpha": -1}, "FMixLayer: alpha must be >= 0 and finite. Received: alpha=-1"),
        ({"interpolations": 0}, "FMixLayer: interpolations must be an integer >= 1"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused_in_the_layers_name(arguments, message):
    with pytest.raises(ValueError) as problem:
        FMixLayer(**arguments)
    assert message in str(problem.value)


def test_features_without_places_are_refused():
    message = r"FMixLayer: features must have 2 axes after the batch's.*axes=1 is for signals.*\(4, 3\)"
    with pytest.raises(ValueError, match=message):
        FMixLayer()(np.zeros((4, 3), np.float32), np.zeros(4, np.float32), seed=1)
