"""Small networks with known inverses, and styles by NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def folded(image):
    """Blocks of two by two pixels as channels of one place, which loses nothing."""
    return tf.nn.space_to_depth(image, 2)


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def unfolded(features):
    return tf.nn.depth_to_space(features, 2)


@pytest.fixture(scope="session")
def networks():
    """An encoder of blocks, and the decoder that is its inverse."""
    return folded, unfolded


@pytest.fixture(scope="session")
def autoencoder():
    """`autoencoder()`: Keras models for images of 8 x 8 pixels, with weights of their own."""

    def make():
        layers = keras.layers
        encoder = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 2, strides=2), layers.Dropout(0.5)])
        decoder = keras.Sequential([layers.Input((4, 4, 4)), layers.Conv2DTranspose(1, 2, strides=2)])
        return encoder, decoder

    return make


def restyled(content, other):
    """The content of one image in the style of another, block by block, in float64."""
    shape = content.shape
    blocks = [side.astype(np.float64) for side in (content, other)]
    blocks = [side.reshape(shape[0] // 2, 2, shape[1] // 2, 2, -1).transpose(0, 2, 1, 3, 4) for side in blocks]
    (mean, std), (its_mean, its_std) = [(b.mean(axis=(0, 1)), np.sqrt(b.var(axis=(0, 1)) + 1e-5)) for b in blocks]
    made = (blocks[0] - mean) / std * its_std + its_mean
    return made.transpose(0, 2, 1, 3, 4).reshape(shape)


@pytest.fixture(scope="session")
def in_style():
    """`in_style(content, other)`: what the networks' features make of one image in the style of another."""
    return restyled
