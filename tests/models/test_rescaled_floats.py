"""Integer inputs are asked in floats where the layers can be, and shrunk without being cut off to integers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import ApproximateMixupModel, KMixupLayer, RescaledModel
from kmix_tf.analysis import theta_moments

RNG = np.random.default_rng(8)
SIZE = 40
IMAGES = RNG.integers(0, 256, (SIZE, 4, 4, 1)).astype("u1")
LABELS = np.arange(SIZE) % 2
THETA = theta_moments(1.0).mean


def scaled(dtype, name="image"):
    image = keras.Input((4, 4, 1), dtype=dtype, name=name)
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 8)(image))
    return keras.Model(image, keras.layers.Dense(2, name="last")(flat))


def in_sequence(dtype):
    layers = [keras.layers.Rescaling(1 / 8), keras.layers.Flatten(), keras.layers.Dense(2, name="last")]
    return keras.Sequential([keras.Input((4, 4, 1), dtype=dtype), *layers])


def within(outer, inner):
    image = keras.Input((4, 4, 1), dtype=outer)
    return keras.Model(image, scaled(inner)(image))


def within_twice():
    image = keras.Input((4, 4, 1), dtype="uint8")
    return keras.Model(image, within("uint8", "uint8")(image))


def by_operations():
    image = keras.Input((4, 4, 1), dtype="uint8")
    cast = keras.ops.cast(image, "float32") if hasattr(keras, "ops") else tf.cast(image, tf.float32)
    return keras.Model(image, keras.layers.Dense(2, name="last")(keras.layers.Flatten()(cast / 8)))


MODELS = {
    "functional": lambda: scaled("uint8"),
    "sequential": lambda: in_sequence("uint8"),
    "integers within": lambda: within("float32", "uint8"),
    "integers outside": lambda: within("uint8", "float32"),
    "integers both": lambda: within("uint8", "uint8"),
    "in three": within_twice,
    "operations": by_operations,
}


def by_equation(model, x):
    kernel, bias = model.get_weights()
    shrunk = THETA * x.reshape(len(x), -1) + (1 - THETA) * IMAGES.reshape(SIZE, -1).mean(axis=0)
    return 0.5 * (1 - 1 / THETA) + (shrunk / 8 @ kernel + bias) / THETA


@pytest.mark.parametrize("name", MODELS)
def test_images_of_bytes_are_shrunk_in_floats(name, tmp_path):
    model = MODELS[name]()
    before = model(IMAGES).numpy()
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(IMAGES, LABELS)
    expected = by_equation(model, IMAGES)
    np.testing.assert_allclose(rescaled(IMAGES), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(rescaled.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-4)
    # Cut off to integers, answers are off by much more than that.
    assert np.abs(by_equation(model, IMAGES + 0.5) - expected).max() > 1e-2
    rescaled.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_allclose(loaded(IMAGES), expected, rtol=1e-4, atol=1e-4)
    rescaled.export(str(tmp_path / "served"))
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert len(rescaled.weights) == len(model.weights) + 2  # and the two means
    np.testing.assert_array_equal(model(IMAGES), before)


@pytest.mark.parametrize("name", MODELS)
def test_layers_do_not_know_that_they_were_asked_elsewhere(name):
    model = MODELS[name]()
    layers = list(model._flatten_layers())
    before = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers]
    RescaledModel(model, 1.0).adapt(IMAGES, LABELS)
    assert [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers] == before
    assert keras.Model(model.inputs, model.outputs)(IMAGES).shape == (SIZE, 2)


def test_what_is_learnt_later_is_asked():
    model = scaled("uint8")
    rescaled = RescaledModel(model, 1.0)
    rescaled.adapt(IMAGES, LABELS)
    model.set_weights([2 * weight + 1 for weight in model.get_weights()])
    np.testing.assert_allclose(rescaled(IMAGES), by_equation(model, IMAGES), rtol=1e-4, atol=1e-3)


def test_of_several_inputs_those_that_were_mixed_are_floats():
    image = keras.Input((4, 4, 1), dtype="uint8", name="image")
    kept = keras.Input((1,), dtype="int32", name="kept")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 8)(image))
    looked_up = keras.layers.Flatten()(keras.layers.Embedding(50, 2, name="table")(kept))
    both = keras.layers.Concatenate()([flat, looked_up])
    model = keras.Model({"image": image, "kept": kept}, keras.layers.Dense(2)(both))
    rescaled = RescaledModel(model, 1.0, passthrough="kept")
    x = {"image": IMAGES, "kept": np.arange(SIZE)[:, None]}
    rescaled.adapt(x, LABELS)
    table, kernel, bias = model.get_weights()
    shrunk = THETA * IMAGES.reshape(SIZE, -1) + (1 - THETA) * IMAGES.reshape(SIZE, -1).mean(axis=0)
    joined = np.concatenate([shrunk / 8, table[:SIZE]], axis=1)
    expected = 0.5 * (1 - 1 / THETA) + (joined @ kernel + bias) / THETA
    np.testing.assert_allclose(rescaled(x), expected, rtol=1e-4, atol=1e-4)


@keras.saving.register_keras_serializable("test_rescaled_floats")
class OnlyIntegers(keras.layers.Layer):
    """A layer that takes no floats."""

    def call(self, x):
        return tf.cast(tf.bitwise.right_shift(tf.cast(x, x.dtype), tf.ones([], x.dtype)), tf.float32)


def test_layers_that_take_integers_alone_are_refused():
    image = keras.Input((4, 4, 1), dtype="uint8")
    halved = OnlyIntegers(autocast=False)(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(halved)))
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    with pytest.raises(ValueError, match=r"RescaledModel: the model's inputs are of dtypes \['uint8'\] and cannot"):
        RescaledModel(model, 1.0)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    RescaledModel(model, 0.0)  # Nothing is shrunk.


@pytest.mark.parametrize("dtype", ("int32", "float32"))
def test_what_an_embedding_looks_up_is_refused_whatever_its_dtype(dtype):
    ids = keras.Input((5,), dtype=dtype)
    flat = keras.layers.Flatten()(keras.layers.Embedding(20, 3, name="table")(ids))
    with pytest.raises(ValueError, match=r"looked up by number.*cannot be shrunk .*'table'"):
        RescaledModel(keras.Model(ids, keras.layers.Dense(2)(flat)), 1.0)


def test_an_alpha_other_than_that_of_the_approximated_mixup_is_warned_of():
    model = ApproximateMixupModel(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), 2.0)
    for alpha in (0.2, KMixupLayer(1, alpha=0.2)):
        with pytest.warns(UserWarning, match=r"Received: alpha=0.2 .*the model's ApproximateMixupModel has alpha=2 "):
            assert RescaledModel(model, alpha=alpha).alpha == 0.2
