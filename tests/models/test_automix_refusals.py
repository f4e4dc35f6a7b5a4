"""What AutoMixModel refuses, and in which words."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import AutoMixModel, BetaRatio, MixBlock, MixLayer, PuzzleMixLayer

X, Y = np.zeros([16, 6, 6, 2], np.float32), np.arange(16) % 3


def layer_of():
    return MixLayer(ratio=BetaRatio(2.0), num_classes=3)


def network(units=3):
    layers = keras.layers
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, 2, padding="same", name="conv")(inputs)
    x = layers.Activation("relu", name="maps")(layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, layers.Dense(units)(layers.GlobalAveragePooling2D(name="pooled")(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(tf.reshape(x, [-1, 72]))


def subclassed():
    model = Subclassed()
    model(tf.zeros([1, 6, 6, 2]))
    return model


def enlarging():
    inputs = keras.Input((6, 6, 2))
    maps = keras.layers.UpSampling2D(2, name="maps")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps)))


def of_tokens():
    inputs = keras.Input((6, 6, 2))
    maps = keras.layers.Reshape((4, 18), name="maps")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(maps)))


REFUSED = {
    "unknown": (
        {"at": "map"},
        ValueError,
        r"at must name .* at='map', of which model .* has none.*'conv', 'norm', 'maps'",
    ),
    "no places": (
        {"at": "pooled"},
        ValueError,
        r"at='pooled', whose output is float32 of shape \(None, 4\).* These do",
    ),
    "no name": ({"at": 2}, ValueError, "at must name a layer"),
    "subclassed": (
        {"model": subclassed},
        TypeError,
        "model must be functional or sequential.*Subclassed.*by MixModel",
    ),
    "larger": ({"model": enlarging}, ValueError, "images must have at least as many places.*Take a later layer"),
    "tokens": (
        {"model": of_tokens},
        ValueError,
        r"must have the axes of images.*\(batch, places, places, channels\)",
    ),
    "own blend": (
        {"layer": PuzzleMixLayer},
        ValueError,
        "the block is the blend.* Received: one with PuzzleMixBlend",
    ),
    "no layer": ({"layer": lambda: "mixup"}, TypeError, "layer must be a MixLayer such as"),
    "channels": (
        {"block": lambda: MixBlock(5)},
        ValueError,
        "block must be for as many channels .* 4. Received: one for 5",
    ),
    "no block": ({"block": lambda: 3}, TypeError, "block must be a MixBlock, 'automix' or 'samix'"),
    "no variant": ({"block": "mix"}, ValueError, "block must be one of 'automix', 'samix'"),
    "momentum": ({"momentum": 1.5}, ValueError, r"momentum must be in \[0, 1\]. Received: momentum=1.5"),
    "both": ({"momentum": 0.9, "teacher": network}, ValueError, "momentum must be None beside a teacher"),
    "no teacher": ({"teacher": lambda: 3}, TypeError, "teacher must be None or a Keras model"),
    "units": ({"teacher": lambda: network(units=4)}, ValueError, r"teacher must answer as the model.*\(None, 4\)"),
    "margin": ({"ratio_margin": 0.6}, ValueError, r"ratio_margin must be in \[0, 0.5\]"),
    "labels": ({"labels": "mask"}, ValueError, "labels must be one of 'realised', 'drawn'"),
    "weight": ({"area_weight": -1}, ValueError, "area_weight must be >= 0 and finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name):
    options, error, message = REFUSED[name]
    made = {key: value() if callable(value) else value for key, value in options.items()}
    with pytest.raises(error, match="^AutoMixModel: .*" + message):
        AutoMixModel(**{"model": network(), "at": "maps", **made})


def test_images_that_turn_out_smaller_than_the_map_are_refused():
    inputs = keras.Input((None, None, 2))
    maps = keras.layers.UpSampling2D(2, name="maps")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps)))
    mixing = AutoMixModel(model, "maps", layer_of())
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match="images must have at least as many places"
    ):
        mixing.mix((X, Y, None), seed=1, step=0)


def test_without_a_loss_there_is_nothing_for_the_block_to_learn():
    mixing = AutoMixModel(network(), "maps", layer_of(), clean_weight=0.0)
    mixing.compile("sgd")
    with pytest.raises(ValueError, match="AutoMixModel: compile needs a loss, by which the block learns"):
        mixing.fit(X, Y, verbose=0)
