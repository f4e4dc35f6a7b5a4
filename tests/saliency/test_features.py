"""Feature maps as saliency: against maps that NumPy computes, of models of every kind, for every blend that asks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixLayer,
    CoMixupLayer,
    FeatureSaliency,
    MixModel,
    PuzzleMixLayer,
    SaliencyMixLayer,
    UniformRatio,
)
from kmix_tf.blend import AttentiveMixBlend
from kmix_tf.layers import MixLayer
from kmix_tf.saliency import NamedFeatures, ask

RNG = np.random.default_rng(31)
X = RNG.normal(size=(3, 8, 6, 2)).astype(np.float32)
layers = keras.layers


def convolution(axes=2, **options):
    """Of kernels as long as their strides, so that what they compute is a product of patches and weights."""
    return {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[axes](5, 2, 2, **options)


def network(shape=(8, 6, 2), axes=2, **options):
    keras.utils.set_random_seed(3)
    inputs = keras.Input(shape, name="image")
    hidden = convolution(axes, name="maps", **options)(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))


def patches(x, axes):
    """`(batch, *cells, 2^axes channels)`, cells of two places a side."""
    shape = [len(x)]
    for size in x.shape[1 : 1 + axes]:
        shape += [size // 2, 2]
    x = x.reshape(*shape, x.shape[-1])
    return np.moveaxis(x, range(2, 1 + 2 * axes, 2), range(1 + axes, 1 + 2 * axes)).reshape(len(x), *shape[1::2], -1)


def expected_of(model, x, axes=2):
    kernel, bias = (np.asarray(weight, np.float64) for weight in model.get_layer("maps").get_weights())
    maps = patches(x.astype(np.float64), axes) @ kernel.reshape(-1, kernel.shape[-1]) + bias
    saliency = np.abs(maps).mean(axis=-1)
    for axis in range(1, 1 + axes):
        saliency = saliency.repeat(2, axis=axis)
    return saliency


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_saliency_is_the_mean_size_of_the_map_at_each_place_of_its_cells(axes):
    shape = [(6, 2), (8, 6, 2), (4, 6, 2, 1)][axes - 1]
    model, x = network(shape, axes), RNG.normal(size=(3, *shape)).astype(np.float32)
    model.get_layer("maps").set_weights([RNG.normal(size=w.shape) for w in model.get_layer("maps").get_weights()])
    source = FeatureSaliency(model, axes=axes)
    saliency = source([tf.constant(x)], None)
    assert saliency.dtype == tf.float32
    np.testing.assert_allclose(saliency, expected_of(model, x, axes), rtol=1e-4, atol=1e-5)
    same = FeatureSaliency(model, "maps", axes=axes)([tf.constant(x)], [tf.eye(3)])
    assert (same.numpy() == saliency.numpy()).all(), "targets do not count"


def test_sizes_that_the_map_does_not_divide_have_the_cell_that_they_lie_in():
    model = keras.Sequential([keras.Input((7, 5, 1)), layers.Conv2D(4, 3, 2, "same", activation="relu")])
    x = RNG.normal(size=(2, 7, 5, 1)).astype(np.float32)
    maps = np.asarray(model(x)).mean(axis=-1)
    assert maps.shape == (2, 4, 3)
    saliency = FeatureSaliency(model)([tf.constant(x)])
    for p in range(7):
        for q in range(5):
            np.testing.assert_allclose(saliency[:, p, q], maps[:, p * 4 // 7, q * 3 // 5], rtol=1e-6)


def backbone():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 6, 2))
    hidden = layers.ReLU(name="last")(convolution(name="maps")(inputs))
    return keras.Model(inputs, hidden, name="backbone")


def pooled(inner):
    inputs = keras.Input((8, 6, 2))
    hidden = layers.GlobalAveragePooling2D(keepdims=True)(inner(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))


KINDS = {
    "functional": pooled,
    "sequential": lambda inner: keras.Sequential(
        [keras.Input((8, 6, 2)), inner, layers.GlobalAveragePooling2D(), layers.Dense(3)]
    ),
    "of maps": lambda inner: inner,
    "sequential of layers": lambda inner: keras.Sequential([keras.Input((8, 6, 2)), *inner.layers[1:]]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_of_more_than_one_place_is_found_in_models_of_every_kind(kind):
    inner = backbone()
    model = KINDS[kind](inner)
    np.testing.assert_allclose(
        FeatureSaliency(model)([tf.constant(X)])[:, ::2, ::2], np.asarray(inner(X)).mean(axis=-1), rtol=1e-5
    )


def test_a_subclassed_model_gives_its_own_output():
    class Maps(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = convolution()

        def call(self, x):
            return self.inner(x)

    model = Maps()
    maps = np.abs(np.asarray(model(X))).mean(axis=-1)
    np.testing.assert_allclose(FeatureSaliency(model)([tf.constant(X)])[:, ::2, ::2], maps, rtol=1e-5)
    with pytest.raises(ValueError, match=r"FeatureSaliency: layer must be None for a subclassed model.*'inner'"):
        FeatureSaliency(model, "inner")

    class Scores(Maps):
        def call(self, x):
            return tf.reduce_mean(self.inner(x), axis=[1, 2])

    scores = Scores()
    scores(X)
    with pytest.raises(ValueError, match=r"FeatureSaliency: model must have an output \(batch, places, places, ch"):
        FeatureSaliency(scores)([tf.constant(X)])


def test_a_map_of_a_model_of_several_inputs_is_found_by_name():
    image, table = keras.Input((8, 6, 2), name="image"), keras.Input((3,), name="table")
    maps = convolution(name="maps")(image)
    model = keras.Model(
        {"table": table, "image": image}, layers.Dense(3)(layers.Concatenate()([layers.Flatten()(maps), table]))
    )
    features = NamedFeatures([tf.constant(X), tf.zeros([3, 3])], [("image",), ("table",)])
    np.testing.assert_allclose(FeatureSaliency(model)(features, None), expected_of(model, X), rtol=1e-4, atol=1e-5)
    layer = SaliencyMixLayer(saliency=FeatureSaliency(model), scope="sample")
    x, _ = layer({"table": np.zeros((3, 3), np.float32), "image": X}, np.eye(3, dtype=np.float32), seed=2)
    told = layer.blend.saliency_of(features)
    other, _ = SaliencyMixLayer(scope="sample")(
        {"table": np.zeros((3, 3), np.float32), "image": X}, np.eye(3, dtype=np.float32), seed=2, saliency=told
    )
    assert (x["image"].numpy() == other["image"].numpy()).all()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float64"])
def test_images_of_other_dtypes_and_models_of_half_precision_give_float32(dtype):
    x = tf.cast(RNG.integers(0, 9, size=(3, 8, 6, 2)), dtype)
    model = network()
    saliency = FeatureSaliency(model)([x])
    assert saliency.dtype == tf.float32
    np.testing.assert_allclose(saliency, expected_of(model, x.numpy()), rtol=1e-4, atol=1e-4)
    half = network(dtype="mixed_float16")
    half.set_weights(model.get_weights())
    coarse = FeatureSaliency(half)([x])
    assert coarse.dtype == tf.float32
    np.testing.assert_allclose(coarse, saliency, rtol=0.01, atol=0.02)


def test_the_model_is_asked_as_in_inference_and_stays_as_it_is():
    inputs = keras.Input((8, 6, 2))
    hidden = layers.Dropout(0.9)(layers.BatchNormalization()(convolution()(inputs)))
    model = keras.Model(inputs, hidden)
    before = [weight.copy() for weight in model.get_weights()]
    first, second = (FeatureSaliency(model)([tf.constant(X)]) for _ in range(2))
    assert (first.numpy() == second.numpy()).all() and (first.numpy() > 0).all()
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        assert (ours == theirs).all()
    # Trained on, it says something else.
    model.set_weights([2 * weight for weight in before])
    assert (FeatureSaliency(model)([tf.constant(X)]).numpy() != first.numpy()).all()


def ambiguous():
    inputs = keras.Input((8, 6, 2))
    shared = layers.Conv2D(2, 1, name="shared")
    return keras.Model(inputs, shared(shared(inputs)))


@pytest.mark.parametrize(
    ("make", "layer", "message"),
    [
        (lambda: network(), "dense", "layer must be the name of a layer, of 'maps', "),
        (lambda: network(), 3, "layer must be the name of a layer, of 'maps', "),
        (lambda: network(), "image", "layer must be the name of a layer, of 'maps', "),
        (ambiguous, "shared", "layer must have one output. Received: layer='shared', with 2 "),
        (ambiguous, None, "model must have a layer whose output is "),
        (
            lambda: keras.Sequential([keras.Input((8, 6, 2)), layers.Flatten(name="flat"), layers.Dense(3)]),
            "flat",
            r"layer must have an output \(batch, places, places, channels\), with axes=2. Received: layer='flat'",
        ),
        (
            lambda: keras.Sequential([keras.Input((8, 6, 2)), layers.Flatten(name="flat"), layers.Dense(3)]),
            None,
            r"model must have a layer whose output is \(batch, places, places, channels\).*'flat' \(None, 96\)",
        ),
        (
            lambda: keras.Sequential([keras.Input((8, 2)), layers.Conv1D(3, 2, name="maps")]),
            "maps",
            r"layer must have an output .*with axes=2. Received: layer='maps', whose output is \(None, 7, 3\)",
        ),
        (lambda: lambda x: x, None, "model must be a Keras model"),
    ],
    ids=["unknown", "number", "input", "used twice", "only twice", "flat", "no maps", "signal", "no model"],
)
def test_layers_without_places_and_models_without_such_layers_are_refused(make, layer, message):
    with pytest.raises((TypeError, ValueError), match=f"FeatureSaliency: {message}"):
        FeatureSaliency(make(), layer)
    with pytest.raises(ValueError, match="FeatureSaliency: axes must be"):
        FeatureSaliency(network(), axes=4)


def test_features_that_do_not_fit_the_model_are_refused_in_its_name():
    with pytest.raises(ValueError, match="FeatureSaliency: features must be as many as the model's inputs"):
        FeatureSaliency(network())([tf.constant(X), tf.zeros([3, 2])])
    layer = AttentiveMixLayer(grid=2, saliency=FeatureSaliency(network()))
    with pytest.raises(ValueError, match="FeatureSaliency: features must have the sizes that the model takes"):
        layer(np.zeros((3, 9, 9, 2), np.float32), np.eye(3, dtype=np.float32))
    with pytest.raises(TypeError, match=r"of a model, GradientSaliency\(model, loss\) or FeatureSaliency\(model\)"):
        AttentiveMixLayer(saliency=network())


SQUARES = RNG.normal(size=(8, 8, 8, 2)).astype(np.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda **told: AttentiveMixLayer(grid=4, scope="sample", **told),
        lambda **told: SaliencyMixLayer(scope="sample", **told),
        lambda **told: PuzzleMixLayer(blocks=4, solver="graph", **told),
        lambda **told: CoMixupLayer(part=4, **told),
    ],
    ids=["attentivemix", "saliencymix", "puzzle mix", "co-mixup"],
)
def test_it_serves_every_blend_that_asks(make, same):
    source, y = FeatureSaliency(network((8, 8, 2))), np.eye(8, dtype=np.float32)
    told = ask(source, [tf.constant(SQUARES)], None, 2)
    mixed = make(saliency=source)(SQUARES, y, seed=3)
    same(mixed, make()(SQUARES, y, seed=3, saliency=told))
    assert (mixed[0].numpy() != SQUARES).any()


def test_what_a_model_answers_most_to_is_pasted_in_a_map_and_in_training():
    # Its map is the brightness of each of 4 x 4 cells.
    model = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(1, 2, 2, use_bias=False)])
    model.set_weights([np.ones((2, 2, 2, 1))])
    x = np.ones((6, 8, 8, 2), np.float32)
    x[:, 2:4, 4:6] = x[:, 6:8, :2] = np.arange(2, 8).reshape(-1, 1, 1, 1)
    layer = MixLayer(
        ratio=UniformRatio(14 / 16, 14 / 16), blend=AttentiveMixBlend(4, saliency=FeatureSaliency(model))
    )
    dataset = tf.data.Dataset.from_tensors((x, np.eye(6, dtype=np.float32)))
    shown, y = next(iter(dataset.map(layer)))
    other = np.asarray(y).argsort(axis=1)[:, -2]
    other = np.where(np.diag(y) == 1, np.arange(6), other)
    expected = x.copy()
    expected[:, 2:4, 4:6], expected[:, 6:8, :2] = x[other, 2:4, 4:6], x[other, 6:8, :2]
    assert (shown.numpy() == expected).all() and (other != np.arange(6)).any()
    training = keras.Sequential([keras.Input((8, 8, 2)), layers.Flatten(), layers.Dense(6)])
    mixing = MixModel(training, layer, seed=0)
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    mixing.fit(x, np.eye(6, dtype=np.float32), batch_size=6, verbose=0)
    assert (np.asarray(model.get_weights()[0]) == 1).all(), "an attention model is not trained"


def test_its_configuration_makes_an_equal_one():
    source = FeatureSaliency(network(), "maps")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(source))
    assert (back.layer, back.axes) == ("maps", 2)
    back.model.set_weights(source.model.get_weights())
    np.testing.assert_allclose(back([tf.constant(X)]), source([tf.constant(X)]), rtol=1e-6)


ELSEWHERE = """
import sys
import keras, numpy as np
import kmix_tf

layer = keras.models.load_model(sys.argv[1] + "/model.keras").get_layer("mix")
assert isinstance(layer.saliency, kmix_tf.FeatureSaliency)
x, y = np.load(sys.argv[1] + "/x.npy"), np.eye(3, dtype=np.float32)
np.save(sys.argv[1] + "/mixed.npy", layer(x, y, seed=7)[0])
"""


def test_another_process_loads_a_layer_with_the_weights_of_the_attention_model(tmp_path, elsewhere):
    np.save(tmp_path / "x.npy", X)
    layer = AttentiveMixLayer(
        grid=3, scope="sample", saliency=FeatureSaliency(network()), name="mix", features_only=True
    )
    inputs, labels = keras.Input((8, 6, 2)), keras.Input((3,))
    keras.Model([inputs, labels], layer(inputs, y=labels)).save(tmp_path / "model.keras")
    expected = layer(X, np.eye(3, dtype=np.float32), seed=7)[0].numpy()
    elsewhere(ELSEWHERE, tmp_path)
    assert (np.load(tmp_path / "mixed.npy") == expected).all()
    assert (expected != X).any()
