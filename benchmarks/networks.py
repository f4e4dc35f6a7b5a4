"""The networks that benchmarks train."""

import keras


def residual_network(width=16, blocks=3, size=32):
    """Ten convolutions, for images of 32x32x3 in ten classes, with logits; each block doubles the width."""
    layers = keras.layers
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    for stage in range(blocks):
        shortcut = layers.Conv2D(width << stage, 1, strides=1 + (stage > 0), use_bias=False)(x)
        for strides in (1 + (stage > 0), 1):
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
            x = layers.Conv2D(width << stage, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Add(name=f"stage_{stage}")([x, shortcut])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10)(x))


def small_cnn(width=16):
    """Two convolutions, for images of 28x28x1 in ten classes, with logits."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(width, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * width, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


def small_mlp(columns=100, width=256):
    """Two hidden layers, for rows of a table in ten classes, with logits."""
    dense = keras.layers.Dense
    hidden = [dense(width, activation="relu"), dense(width, activation="relu")]
    return keras.Sequential([keras.Input((columns,)), *hidden, dense(10)])
