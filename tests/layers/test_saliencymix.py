"""The layer: labels follow the pixels pasted in any batch, pipeline and process, whoever says what is salient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ExponentialWeight, MixLayer, RepeatedPairing, mix
from kmix_tf._compat import register
from kmix_tf.blend.saliencymix import SaliencyMixBlend
from kmix_tf.layers.saliencymix import SaliencyMixLayer
from kmix_tf.saliency import GradientSaliency, SpectralResidualSaliency

RNG = np.random.default_rng(13)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


@register
def last_channel(features, targets):
    """The first feature says itself how salient it is."""
    return tf.nn.relu(tf.cast(features[0][..., -1], tf.float32))


def numbered(batch, *places):
    """Images `(batch, *places, 2)`: everywhere the sample's number; and zeros, but for a one where it is salient."""
    x = np.zeros((batch, *places, 2), np.float32)
    x[..., 0] = np.arange(batch).reshape(-1, *[1] * len(places))
    peaks = np.stack([RNG.integers(0, size, size=batch) for size in places], axis=1)
    for row, peak in enumerate(peaks):
        x[(row, *peak, 1)] = 1
    return x, peaks


def shares_of(x, batch):
    """The labels that pixel counts call for, and where each mixture is another sample's."""
    first = np.asarray(x, np.float64)[..., 0]
    own = np.arange(len(first)) % batch
    foreign = first != own.reshape(-1, *[1] * (first.ndim - 1))
    places = tuple(range(1, first.ndim))
    labels = np.stack([(first == number).mean(axis=places) for number in range(batch)], axis=1)
    return labels, foreign


@plain
@pytest.mark.parametrize(
    ("places", "interpolations", "k"),
    [((9, 7), 1, 1), ((8, 8), 3, 2), ((33,), 2, 1), ((5, 4, 6), 1, 1)],
    ids=["odd image", "nested", "signal", "volume"],
)
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.representatives("places, batch", [((8, 8), 7), ((33,), 2), ((5, 4, 6), 1)])
def test_labels_are_means_of_masks_in_batches_of_any_size(places, interpolations, k, batch):
    x, peaks = numbered(batch, *places)
    layer = SaliencyMixLayer(
        axes=len(places), interpolations=interpolations, k=k, scope="sample", saliency=last_channel
    )
    mixed, y = layer(x, np.eye(batch, dtype=np.float32), seed=3)
    assert mixed.shape == (interpolations * batch, *places, 2)
    labels, foreign = shares_of(mixed, batch)
    np.testing.assert_allclose(y, labels, atol=1e-6)
    for row, inside in enumerate(foreign):
        if inside.any():
            # The place that is salient in the partner came along.
            partner = int(mixed[row].numpy()[..., 0][inside][0])
            assert inside[tuple(peaks[partner])]
    assert foreign.any() == (batch > 1)


@plain
def test_spectrograms_are_images_or_signals_of_many_channels():
    x, y = RNG.normal(size=(6, 40, 16)).astype(np.float32), np.eye(6, dtype=np.float32)
    for axes in (1, 2):
        mixed, labels = SaliencyMixLayer(axes=axes, scope="sample")(x, y, seed=2)
        own = mixed.numpy() == x
        np.testing.assert_allclose(np.diag(labels), own.mean(axis=(1, 2)), atol=1e-6)
        assert not own.all()
        # Of signals, all frequencies of a time are pasted.
        assert (own.all(axis=2) == own.any(axis=2)).all() == (axes == 1)


@plain
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
@pytest.mark.representatives("dtype", ["uint8", "float16"])
def test_pixels_of_any_dtype_are_pasted_exactly(dtype):
    x = tf.cast(numbered(5, 8, 8)[0], dtype)
    mixed, y = SaliencyMixLayer(scope="sample")(x, np.eye(5, dtype=np.float32), seed=4)
    assert mixed.dtype == (dtype if tf.as_dtype(dtype).is_floating else tf.float32)
    np.testing.assert_allclose(y, shares_of(tf.cast(mixed, tf.float64), 5)[0], atol=1e-6)


@plain
def test_segmentation_maps_are_pasted_place_by_place():
    x, maps = numbered(6, 8, 8)[0], RNG.integers(0, 3, size=(6, 8, 8))
    layer = SaliencyMixLayer(scope="sample", num_classes={"map": 3, "label": 6}, saliency=last_channel)
    mixed, y = layer(x, {"map": maps, "label": np.arange(6)}, seed=1)
    whose = mixed.numpy()[..., 0].astype(int)
    expected = np.take_along_axis(maps, whose, axis=0)
    assert (y["map"].numpy().argmax(axis=-1) == expected).all()
    np.testing.assert_allclose(y["label"], shares_of(mixed, 6)[0], atol=1e-6)


@plain
def test_each_of_several_partners_has_its_own_centre():
    x, peaks = numbered(7, 10, 10)
    layer = MixLayer(RepeatedPairing(MixLayer().pairing, 3), blend=SaliencyMixBlend(saliency=last_channel))
    mixed, y = layer(x, np.eye(7, dtype=np.float32), seed=1)
    labels, foreign = shares_of(mixed, 7)
    np.testing.assert_allclose(y, labels, atol=1e-6)
    partners = []
    for row, inside in enumerate(foreign):
        if inside.any():
            partners.append(int(mixed[row].numpy()[..., 0][inside][0]))
            assert inside[tuple(peaks[partners[-1]])]
    assert len(partners) > 14


@plain
def test_it_combines_with_the_other_decisions():
    layer = SaliencyMixLayer(interpolations=2, k=2, weight=ExponentialWeight(0.1), num_classes=3)
    x, y, weight = layer(RNG.normal(size=(6, 8, 8, 3)).astype(np.float32), np.arange(6) % 3, seed=1)
    assert x.shape == (12, 8, 8, 3)
    assert y.shape == (12, 3)
    assert float(tf.reduce_mean(weight)) == pytest.approx(1, abs=1e-5)


@plain
def test_the_other_loader_is_asked_what_is_salient_in_it():
    (first, _), (second, peaks) = numbered(5, 9, 9), numbered(5, 9, 9)
    second[..., 0] += 100
    layer = SaliencyMixLayer(scope="sample", saliency=last_channel)
    mixed, y = layer.between((first, np.zeros(5, np.float32)), (second, np.ones(5, np.float32)), seed=2)
    foreign = mixed.numpy()[..., 0] >= 100
    np.testing.assert_allclose(y, foreign.mean(axis=(1, 2)), atol=1e-6)
    for image, inside in zip(mixed.numpy()[..., 0], foreign, strict=True):
        if inside.any():
            assert inside[tuple(peaks[int(image[inside][0]) - 100])]


def test_pipelines_give_the_same_under_any_parallelism_with_a_partial_last_batch():
    x = RNG.normal(size=(7, 8, 8, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(7) % 3)).batch(4)
    layer = SaliencyMixLayer(num_classes=3)
    runs = [list(dataset.apply(mix(layer, seed=5, num_parallel_calls=calls))) for calls in (1, 4)]
    assert [len(batch) for batch, _ in runs[0]] == [4, 3]
    for ours, theirs in zip(*runs, strict=True):
        for first, second in zip(ours, theirs, strict=True):
            assert (first.numpy() == second.numpy()).all()
    assert [tuple(part.shape) for part in next(iter(dataset.map(layer)))] == [(4, 8, 8, 3), (4, 3)]


def test_images_of_open_size_and_compiled_steps_are_mixed_the_same(same):
    layer, y = SaliencyMixLayer(scope="sample", solver="graph"), np.eye(5, dtype=np.float32)
    signature = [tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, 5])]
    open_function = tf.function(lambda x, y: layer(x, y, seed=3), input_signature=signature)
    compiled = tf.function(lambda x, y: layer(x, y, seed=3), jit_compile=True)
    x = numbered(5, 11, 8)[0] + RNG.normal(size=(5, 11, 8, 1)).astype(np.float32) * [0, 1]
    x = x.astype(np.float32)
    expected = layer(x, y, seed=3)
    same(open_function(x, y), expected)
    same(compiled(x, y), expected)
    np.testing.assert_allclose(expected[1], shares_of(expected[0], 5)[0], atol=1e-6)


def corner_model():
    """Its loss depends on the lower left corner alone."""
    mask = np.zeros((8, 8, 1), np.float32)
    mask[6:, :2] = 1
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.set_weights([mask.reshape(64, 1) * RNG.normal(size=(1, 3)), np.zeros(3)])
    return model


def pasted_places(layer, x, y, **options):
    """How often each place was pasted from another sample."""
    mixed = layer(x, y, **options)[0]
    return (mixed.numpy() != x).any(axis=-1).mean(axis=0)


@plain
def test_what_a_model_looks_at_is_pasted():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    layer = SaliencyMixLayer(scope="sample", saliency=GradientSaliency(corner_model(), loss), num_classes=3)
    x, y = RNG.normal(size=(32, 8, 8, 1)).astype(np.float32), np.arange(32) % 3
    often = pasted_places(layer, x, y, seed=1)
    assert often[7, 0] > 0.5
    assert often[0, 7] < 0.2
    with pytest.raises(ValueError, match="GradientSaliency: gradients need targets"):
        MixLayer(blend=layer.blend, features_only=True)(x)


@plain
def test_saliency_of_the_callers_own_is_taken():
    x, y = RNG.normal(size=(32, 8, 8, 1)).astype(np.float32), np.arange(32) % 3
    saliency = np.zeros((32, 8, 8), np.float32)
    saliency[:, 0, 7] = 1
    often = pasted_places(SaliencyMixLayer(scope="sample", num_classes=3), x, y, seed=1, saliency=saliency)
    assert often[0, 7] > 0.9


@plain
def test_one_sample_of_infinite_gradients_stops_nothing():
    def overflowing(features, targets):
        values = features[0][..., 0]
        return tf.where(tf.range(6)[:, tf.newaxis, tf.newaxis] == 2, tf.constant(np.inf), tf.abs(values))

    x, y = RNG.normal(size=(6, 8, 8, 1)).astype(np.float32), np.eye(6, dtype=np.float32)
    mixed, labels = SaliencyMixLayer(scope="sample", saliency=overflowing)(x, y, seed=1)
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(np.sum(labels, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.diag(labels), (mixed.numpy() == x).mean(axis=(1, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("axes", [0, 4, 2.0, True, "2", None])
def test_other_numbers_of_axes_are_refused_in_the_layers_name(axes):
    with pytest.raises(ValueError, match=r"SaliencyMixLayer: axes must be .* Received: axes="):
        SaliencyMixLayer(axes=axes)
    with pytest.raises(TypeError, match=r"SaliencyMixLayer: saliency must be callable\. Received: saliency='bird'"):
        SaliencyMixLayer(saliency="bird")


@plain
@pytest.mark.parametrize("source", [None, last_channel, SpectralResidualSaliency(size=8)], ids=["no", "own", "ours"])
def test_its_configuration_makes_an_equal_layer(source, same):
    layer = SaliencyMixLayer(0.5, k=2, interpolations=2, saliency=source, seed=1, num_classes=3)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert back.get_config() == layer.get_config()
    x, y = RNG.normal(size=(6, 8, 8, 2)).astype(np.float32), np.arange(6) % 3
    same(back(x, y, seed=3), layer(x, y, seed=3))


ELSEWHERE = """
import sys
import keras, numpy as np, tensorflow as tf
from kmix_tf.layers.saliencymix import SaliencyMixLayer
from kmix_tf._compat import register

@register
def last_channel(features, targets):
    return tf.nn.relu(tf.cast(features[0][..., -1], tf.float32))

for name in ("gradient", "own"):
    layer = keras.models.load_model(f"{sys.argv[1]}/{name}.keras").get_layer("mix")
    x, y = np.load(f"{sys.argv[1]}/x.npy"), np.load(f"{sys.argv[1]}/y.npy")
    np.save(f"{sys.argv[1]}/{name}.npy", layer(x, y, seed=7)[0])
"""


def test_another_process_loads_the_layer_with_its_source_and_the_weights_of_its_model(tmp_path, elsewhere):
    x, y = RNG.normal(size=(8, 8, 8, 1)).astype(np.float32), np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    expected = {}
    for name, source in (("gradient", GradientSaliency(corner_model(), "mse")), ("own", last_channel)):
        layer = SaliencyMixLayer(scope="sample", saliency=source, name="mix", features_only=True)
        inputs = keras.Input((8, 8, 1))
        labels = keras.Input((3,))
        keras.Model([inputs, labels], layer(inputs, y=labels)).save(tmp_path / f"{name}.keras")
        expected[name] = layer(x, y, seed=7)[0].numpy()
        assert (expected[name] != x).any()
    elsewhere(ELSEWHERE, tmp_path)
    for name, mixed in expected.items():
        assert (np.load(tmp_path / f"{name}.npy") == mixed).all()


def test_a_model_gets_features_by_name_whatever_the_order_of_its_inputs():
    left, right = (keras.Input((6, 6, 1), name=name) for name in ("left", "right"))
    weights = np.random.default_rng(0).normal(size=(36, 3)).astype(np.float32)
    scores = keras.layers.Dense(3, use_bias=False)
    model = keras.Model([right, left], scores(keras.layers.Flatten()(left)))
    scores.set_weights([weights])
    x = {name: np.random.default_rng(i).normal(size=(5, 6, 6, 1)).astype("f4") for i, name in enumerate("lr")}
    x = {"right": x["r"], "left": x["l"]}
    # The scores' sum moves with each place by the sum of its weights.
    layer = SaliencyMixLayer(saliency=GradientSaliency(model, lambda y, scores: tf.reduce_sum(scores)))
    told = np.tile(np.abs(weights.sum(axis=1)).reshape(1, 6, 6), (5, 1, 1))
    y = np.eye(5, dtype=np.float32)
    for ours, expected in zip(
        tf.nest.flatten(layer(x, y, seed=2)),
        tf.nest.flatten(SaliencyMixLayer(saliency=lambda features, targets: tf.constant(told))(x, y, seed=2)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, expected)


IMAGE = np.random.default_rng(3).normal(size=(4, 6, 6, 1)).astype("f4")


def two_inputs():
    """A model that says how bright each place of an image is, whatever the table."""
    image, table = keras.Input((6, 6, 1)), keras.Input((2,))
    brightness = keras.layers.Reshape((6, 6))(keras.layers.ReLU()(image))
    return keras.Model([image, table], brightness + 0 * keras.layers.Dense(1)(table)[:, tf.newaxis])


@pytest.mark.parametrize(
    ("source", "other"),
    [
        (lambda xs, ys: tf.reduce_mean(tf.nest.map_structure(tf.abs, xs)[0], -1), IMAGE),
        (lambda xs, ys: tf.reduce_mean(tf.abs(keras.layers.Add()(xs)), -1), IMAGE),
        (lambda xs, ys: two_inputs()(xs), np.ones([4, 2], np.float32)),
    ],
    ids=["taken apart", "added", "given to a model"],
)
def test_sources_of_ones_own_get_lists_that_tensorflow_and_keras_take_apart(source, other):
    layer = SaliencyMixLayer(saliency=source)
    x, y = layer((IMAGE, other), np.eye(4, dtype="f4"), seed=1)
    assert x[0].shape == IMAGE.shape and y.shape == (4, 4)


def test_a_subclassed_model_gets_a_list_of_one_as_a_tensor():
    class Scores(keras.Model):
        def __init__(self):
            super().__init__()
            self.scores = keras.layers.Dense(4)

        def call(self, x):
            return self.scores(tf.reshape(x, [-1, 36]))

    model = Scores()
    model(IMAGE)
    layer = SaliencyMixLayer(saliency=GradientSaliency(model, "mse"))
    np.testing.assert_array_equal(
        layer((IMAGE,), np.eye(4, dtype="f4"), seed=1)[0][0], layer(IMAGE, np.eye(4, dtype="f4"), seed=1)[0]
    )


def test_a_source_speaks_in_its_own_name():
    inputs = keras.Input((6, 6))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs)))
    layer = SaliencyMixLayer(saliency=GradientSaliency(model, "mse", axes=3))
    with pytest.raises(ValueError, match=r"GradientSaliency: features must have 3 axes"):
        layer(IMAGE[..., 0], np.eye(4, dtype="f4"), seed=1)
