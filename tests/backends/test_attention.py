"""An attention model as saliency, asked from within TensorFlow whatever back end it has."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import AttentiveMixLayer, FeatureSaliency

X = np.random.default_rng(5).uniform(size=(6, 8, 8, 1)).astype(np.float32)
Y = np.eye(6, dtype=np.float32)


def attention():
    """Its map is the brightness of each of 4 x 4 cells."""
    layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 2, 2, use_bias=False), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3)])
    model.layers[0].set_weights([np.ones((2, 2, 1, 1))])
    return model


def test_the_brightest_cells_are_pasted_by_hand_and_in_a_map():
    layer = AttentiveMixLayer(grid=4, scope="sample", saliency=FeatureSaliency(attention()))
    brightness = X.reshape(6, 4, 2, 4, 2).sum(axis=(2, 4)).repeat(2, axis=1).repeat(2, axis=2)
    told = AttentiveMixLayer(grid=4, scope="sample")(X, Y, seed=3, saliency=brightness)
    expected = [keras.ops.convert_to_numpy(part) for part in told]
    (mapped,) = tf.data.Dataset.from_tensors((X, Y)).map(lambda x, y: layer(x, y, seed=3))
    for mixed in (layer(X, Y, seed=3), mapped):
        for ours, theirs in zip(mixed, expected, strict=True):
            np.testing.assert_allclose(np.asarray(keras.ops.convert_to_numpy(ours)), theirs, rtol=1e-6)
    assert (expected[0] != X).any()


def test_xla_is_told_that_the_model_is_elsewhere(not_tensorflow):
    layer = AttentiveMixLayer(grid=4, solver="graph", saliency=FeatureSaliency(attention()))
    with pytest.raises(ValueError, match=rf"as a Keras model on '{not_tensorflow}' does. Received: saliency='seq"):
        tf.function(lambda x, y: layer.mixed(x, y, seed=1), jit_compile=True)(X, Y)
