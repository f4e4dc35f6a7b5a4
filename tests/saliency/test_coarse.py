"""Saliency asked of smaller images: the same as of images that NumPy made smaller, interpolated by NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.saliency import GradientSaliency, smooth

RNG = np.random.default_rng(12)
CROSSENTROPY = keras.losses.CategoricalCrossentropy(from_logits=True)
Y = np.eye(3, dtype=np.float32)[[2, 0, 1]]
CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
MEANS = {
    1: keras.layers.GlobalAveragePooling1D,
    2: keras.layers.GlobalAveragePooling2D,
    3: keras.layers.GlobalAveragePooling3D,
}


def network(axes=2, channels=2, dtype=None, sizes=None):
    """Of images of any size, in which neighbours matter to each other."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((*(sizes or [None] * axes), channels), dtype=None if dtype == "mixed_float16" else dtype),
            CONVOLUTIONS[axes](4, 3, padding="same", activation="tanh", dtype=dtype),
            CONVOLUTIONS[axes](5, 3, padding="same", activation="tanh", dtype=dtype),
            MEANS[axes](dtype=dtype),
            keras.layers.Dense(3, dtype=dtype),
        ]
    )


def images(*shape):
    return RNG.normal(size=(3, *shape)).astype(np.float32)


def block_means(x, axes, factor):
    """Block by block, those at the edge filled up with its mirror image."""
    for axis in range(1, 1 + axes):
        pad = [(0, -x.shape[axis] % factor if other == axis else 0) for other in range(x.ndim)]
        x = np.pad(x, pad, "symmetric")
        parts = np.split(x, x.shape[axis] // factor, axis=axis)
        x = np.concatenate([part.mean(axis=axis, keepdims=True) for part in parts], axis=axis)
    return x


def interpolated(values, sizes, factor):
    for axis, size in enumerate(sizes, start=1):
        middles = np.arange(values.shape[axis]) * factor + (factor - 1) / 2
        along = lambda row, middles=middles, size=size: np.interp(np.arange(size), middles, row)  # noqa: E731
        values = np.apply_along_axis(along, axis, values)
    return values


def oracle(model, x, axes, factor, **options):
    small = block_means(x.astype(np.float64), axes, factor).astype(np.float32)
    found = GradientSaliency(model, CROSSENTROPY, axes=axes, **options)([tf.constant(small)], [tf.constant(Y)])
    return interpolated(np.float64(found), x.shape[1 : 1 + axes], factor)


@pytest.mark.parametrize(
    ("sizes", "factor"), [((6, 8), 2), ((5, 7), 2), ((7, 4), 3), ((2, 3), 4), ((9,), 2), ((4, 3, 2), 2)], ids=str
)
def test_it_is_that_of_smaller_images_interpolated(sizes, factor):
    axes, x = len(sizes), images(*sizes, 2)
    model = network(axes)
    ours = GradientSaliency(model, CROSSENTROPY, axes=axes, shrink=factor)([tf.constant(x)], [tf.constant(Y)])
    assert ours.shape == x.shape[: 1 + axes]
    wanted = oracle(model, x, axes, factor)
    np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-4 * wanted.max())


def test_by_1_nothing_changes():
    model, x = network(), tf.constant(images(5, 4, 2))
    plain, ours = (GradientSaliency(model, CROSSENTROPY, **each)([x], [Y]) for each in ({}, {"shrink": 1}))
    assert (plain.numpy() == ours.numpy()).all()


def test_smoothing_is_in_places_of_the_whole_image():
    model, x = network(), images(6, 8, 2)
    rough, ours = (
        GradientSaliency(model, CROSSENTROPY, shrink=2, smoothing=size)([tf.constant(x)], [tf.constant(Y)])
        for size in (None, 1.5)
    )
    np.testing.assert_allclose(ours, smooth(rough, 1.5), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float64"])
def test_features_of_any_dtype_are_taken(dtype):
    model, x = network(), np.clip(np.round(images(6, 5, 2) + 1), 0, 3)
    ours = GradientSaliency(model, CROSSENTROPY, shrink=2)([tf.cast(x, dtype)], [tf.constant(Y)])
    assert ours.dtype == (tf.float64 if dtype == "float64" else tf.float32)
    np.testing.assert_allclose(ours, oracle(model, x, 2, 2), rtol=0.02)


def test_in_a_pipeline_of_open_sizes_and_compiled_it_is_the_same():
    model, x = network(), images(5, 7, 2)
    source = GradientSaliency(model, CROSSENTROPY, shrink=2)
    eager = source([tf.constant(x)], [tf.constant(Y)])
    compiled = tf.function(lambda x, y: source([x], [y]), jit_compile=True)(x, Y)
    np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-7)
    specs = tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([None, 3])
    dataset = tf.data.Dataset.from_generator(lambda: iter([(x, Y)]), output_signature=specs)
    (found,) = dataset.map(lambda x, y: source([x], [y]))
    np.testing.assert_allclose(found, eager, rtol=1e-5, atol=1e-7)


def test_what_has_the_images_places_is_made_smaller_with_it_and_tables_are_not():
    image, depth, table = keras.Input((None, None, 2)), keras.Input((None, None, 1)), keras.Input((2,))
    joined = keras.layers.Concatenate()([image, depth])
    seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(joined))
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()([seen, table]))
    model = keras.Model([image, depth, table], outputs)
    features = [images(6, 4, 2), images(6, 4, 1), images(2)]
    small = [block_means(features[0], 2, 2), block_means(features[1], 2, 2), features[2]]
    ours = GradientSaliency(model, CROSSENTROPY, shrink=2)([*map(tf.constant, features)], [tf.constant(Y)])
    found = GradientSaliency(model, CROSSENTROPY)([*map(tf.constant, small)], [tf.constant(Y)])
    np.testing.assert_allclose(ours, interpolated(np.float64(found), (6, 4), 2), rtol=1e-4, atol=1e-7)


def test_a_model_of_one_size_is_refused_at_the_door():
    message = (
        r"GradientSaliency: shrink must be 1 for a model that takes images of one size, here \(None, 6, 4, 2\)\. "
        r"Begin it with keras\.Input\(\(None, None, channels\)\).*Received: shrink=2"
    )
    with pytest.raises(ValueError, match=message):
        GradientSaliency(network(sizes=(6, 4)), CROSSENTROPY, shrink=2)
    GradientSaliency(network(sizes=(6, 4)), CROSSENTROPY, shrink=1)


class Flattening(keras.Model):
    """No list of inputs says what it takes."""

    def __init__(self):
        super().__init__()
        self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, x):
        return self.dense(self.flat(x))


def test_a_model_that_shows_what_it_takes_only_when_asked_is_refused_then():
    model, x = Flattening(), tf.constant(images(6, 4, 2))
    model(x)
    with pytest.raises(ValueError, match=r"GradientSaliency: shrink must be 1 for a model.*Received: shrink=2, and"):
        GradientSaliency(model, CROSSENTROPY, shrink=2)([x], [tf.constant(Y)])


@pytest.mark.parametrize("shrink", [0, 1.5, True, None], ids=str)
def test_other_numbers_are_refused(shrink):
    message = r"GradientSaliency: shrink must be an integer >= 1\. Received: shrink="
    with pytest.raises(ValueError, match=message):
        GradientSaliency(network(), CROSSENTROPY, shrink=shrink)


def test_its_configuration_has_it():
    source = GradientSaliency(network(), CROSSENTROPY, shrink=3)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(source))
    assert back.shrink == 3
