"""Labels 0/1 of one unit are named where integers are refused, and missing labels are not averaged."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, MixModel

RNG = np.random.default_rng(4)
X = RNG.normal(size=(16, 4)).astype(np.float32)
ONE_UNIT = "0/1 labels of one unit"


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(16,), (16, 1)])
def test_integers_without_classes_may_be_labels_of_one_unit(dtype, shape):
    y = (X[:, 0] > 0).astype(dtype).reshape(shape)
    message = (
        f"KMixupLayer: integer labels need num_classes.*Received: targets of dtype .*{ONE_UNIT}: cast to float32"
    )
    with pytest.raises(ValueError, match=message):
        KMixupLayer(1)(X, y)
    KMixupLayer(1)(X, y.astype(np.float32))


@pytest.mark.parametrize("shape", [(16,), (16, 1)])
def test_floats_with_classes_may_be_labels_of_one_unit(shape):
    y = (X[:, 0] > 0).astype(np.float32).reshape(shape)
    with pytest.raises(ValueError, match=f"KMixupLayer: .*leave.*{ONE_UNIT}|KMixupLayer: .*{ONE_UNIT}.*leave it out"):
        KMixupLayer(1, num_classes=2)(X, y)


def test_integers_of_several_labels_are_told_of_missing_ones():
    message = r"integer labels need num_classes.*missing.*targets\[..., tf.newaxis\].*sample_weight \(batch, labels\)"
    with pytest.raises(ValueError, match=message):
        KMixupLayer(1)(X, RNG.integers(-1, 2, (16, 5)))


def missing(columns=5):
    y = RNG.integers(-1, 2, (16, columns)).astype(np.float32)
    y[:3, 0] = -1, 0, 1
    return y


MISSING = r"targets must be known labels. Received: -1 beside 0 and 1.*sample_weight \(batch, labels\)"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_minus_1_beside_0_and_1_in_several_columns_is_a_missing_label(dtype, targets):
    layer = KMixupLayer(1, targets=targets)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"KMixupLayer: {MISSING}"):
        layer(X, missing().astype(dtype))
    data = tf.data.Dataset.from_tensor_slices((X, missing().astype(dtype))).batch(16).map(layer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"KMixupLayer: {MISSING}"):
        list(data)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"KMixupLayer: targets\['tags'\] must be known"):
        layer(X, {"tags": missing(), "size": X})
    with pytest.raises(tf.errors.InvalidArgumentError, match=MISSING):
        layer(X, missing(), training=False)


NUMBERS = {
    "one column": missing(1),
    "flat": missing(1)[:, 0],
    "with an axis": missing()[..., None],
    "signs": np.sign(X),
    "others besides": np.where(np.arange(80).reshape(16, 5) == 7, 0.5, missing()).astype(np.float32),
    "farther": np.where(np.arange(80).reshape(16, 5) == 7, -2, missing()).astype(np.float32),
    "multi-hot": np.abs(missing()),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_may_be_what_they_are_are_mixed(name):
    _, y = KMixupLayer(1)(X, NUMBERS[name], seed=0)
    assert np.isfinite(y).all()


def test_nan_is_refused_with_what_to_do_about_missing_labels():
    y = np.where(missing() < 0, np.nan, missing()).astype(np.float32)
    message = r"KMixupLayer: targets must be finite.*Where labels are missing, give each label a place of its own"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        KMixupLayer(1)(X, y)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"features must be finite(?!.*labels are)"):
        KMixupLayer(1)(X * np.nan, X)


def test_under_xla_missing_labels_make_the_loss_nan():
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="sigmoid")])
    mixing = MixModel(network, KMixupLayer(1, solver="graph"), seed=0)
    mixing.compile("sgd", "binary_crossentropy", jit_compile=True)
    assert np.isnan(mixing.fit(X, missing(), verbose=0).history["loss"]).all()


def test_places_with_weights_train_on_what_is_known():
    layers = [keras.Input((4,)), keras.layers.Dense(5, activation="sigmoid"), keras.layers.Reshape((5, 1))]
    y = missing()
    known = (y >= 0).astype(np.float32)
    known[:, 2] = 0
    mixing = MixModel(keras.Sequential(layers), KMixupLayer(1), seed=0)
    mixing.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    before = mixing.model.get_weights()[-1]
    mixing.fit(X, np.maximum(y, 0)[..., None], sample_weight=known, epochs=2, verbose=0)
    moved = mixing.model.get_weights()[-1] != before
    assert moved[[0, 1, 3, 4]].all()
    assert not moved[2]


def test_a_layer_of_images_says_so_as_well():
    images = RNG.random((16, 4, 4, 1)).astype(np.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"CutMixLayer: {MISSING}"):
        CutMixLayer()(images, missing())
