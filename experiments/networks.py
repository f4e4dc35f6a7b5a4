"""The papers' networks, as Keras models that return logits.

Residual networks begin by He et al. (2015), the others as Keras does.
"""

import math

import keras
import tensorflow as tf

layers = keras.layers


def mlp(inputs, hidden, classes):
    """Dense layers of `hidden` units with ReLU. inputs: how many features, or the shape of a sample.

    k-mixup: (130, 120) for its toys, (120, 84) for Iris, (120, 120, 84) for Breast Cancer. Data-dependency: (512,),
    and (500,) for two moons. Local Mixup: (100, 100). Multi-mix: eight times 6.
    """
    x = first = keras.Input((inputs,) if isinstance(inputs, int) else tuple(inputs))
    if len(x.shape) > 2:
        x = layers.Flatten()(x)
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(first, layers.Dense(classes)(x))


def lenet(shape, classes):
    """LeNet-5 with ReLU and maxima, its convolutions unpadded: 62,006 parameters for CIFAR-10, 44,426 for MNIST.

    Of 32x32 pixels its third convolution, of 5x5 on 5x5, is the dense layer of 120.
    """
    x = first = keras.Input(shape)
    for filters in (6, 16):
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 5, activation="relu")(x))
    x = layers.Flatten()(x)
    for units in (120, 84):
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(first, layers.Dense(classes)(x))


def digits_network(classes=10, shape=(8, 8, 1)):
    """A small network for images of 8x8 pixels; ours."""
    return _small(shape, classes, (16, 32), 64)


def grey_network(classes=10, shape=(28, 28, 1)):
    """A small network for images of 28x28 pixels, for training on a processor; ours."""
    return _small(shape, classes, (16, 32), 64, stride=2)


def _small(shape, classes, filters, units, stride=1):
    x = first = keras.Input(shape)
    x = layers.Conv2D(filters[0], 3, strides=stride, padding="same", activation="relu")(x)
    x = layers.Conv2D(filters[1], 3, padding="same", activation="relu")(layers.MaxPooling2D()(x))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(units, activation="relu")(x)
    return keras.Model(first, layers.Dense(classes)(x))


def fourier_features(inputs, classes, features=1000, sigma=10.0):
    """A linear model of random Fourier features cos(Sx + B) / sqrt(M), S normal and B uniform ("On mixup", B.3).

    S and B are drawn when the model is made, by Keras' seed, and are not trained. There is no bias.
    """
    first = keras.Input((inputs,))
    frozen = layers.Dense(
        features,
        kernel_initializer=keras.initializers.RandomNormal(stddev=sigma),
        bias_initializer=keras.initializers.RandomUniform(0.0, 2 * math.pi),
        trainable=False,
    )
    x = layers.Rescaling(1 / math.sqrt(features))(layers.Activation(tf.cos)(frozen(first)))
    return keras.Model(first, layers.Dense(classes, use_bias=False)(x))


def preact_resnet18(shape=(32, 32, 3), classes=10, width=64):
    """PreActResNet-18 (He et al., 2016) as of Zhang et al. (2018): 11,171,146 parameters for CIFAR-10.

    Shortcuts are projected from what is normalised; none is normalised itself, nor is the end. width: of the first
    stage; the others have twice, four and eight times as many filters.
    """
    first = keras.Input(shape)
    x = _convolution(width, 3)(first)
    for stage in range(4):
        for block in range(2):
            x = _preactivated(x, width * 2**stage, 2 if stage and not block else 1)
    return keras.Model(first, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def wide_resnet(shape=(32, 32, 3), classes=10, depth=16, widen=8):
    """WRN-depth-widen (Zagoruyko and Komodakis, 2016), without dropout: WRN-16-8 has 11.0 million parameters."""
    if (depth - 4) % 6:
        raise ValueError(f"wide_resnet: depth must be 6n + 4. Received: depth={depth}.")
    first = keras.Input(shape)
    x = _convolution(16, 3)(first)
    for stage in range(3):
        for block in range((depth - 4) // 6):
            x = _preactivated(x, 16 * widen * 2**stage, 2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D()(_normalised(x))
    return keras.Model(first, layers.Dense(classes)(x))


def resnet(shape=(32, 32, 3), classes=10, blocks=(2, 2, 2, 2), width=64):
    """ResNet-18 for small images (He et al., 2015): 11,173,962 parameters for CIFAR-10. ResNet-34: (3, 4, 6, 3)."""
    first = keras.Input(shape)
    x = _normalised(_convolution(width, 3)(first))
    for stage, count in enumerate(blocks):
        for block in range(count):
            x = _residual(x, width * 2**stage, 2 if stage and not block else 1)
    return keras.Model(first, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def _preactivated(x, filters, stride):
    ready = _normalised(x)
    short = x if stride == 1 and x.shape[-1] == filters else _convolution(filters, 1, stride)(ready)
    y = _convolution(filters, 3, stride)(ready)
    return layers.Add()([_convolution(filters, 3)(_normalised(y)), short])


def _residual(x, filters, stride):
    y = _normalised(_convolution(filters, 3, stride)(x))
    y = _normalised(_convolution(filters, 3)(y), is_active=False)
    if stride > 1 or x.shape[-1] != filters:
        x = _normalised(_convolution(filters, 1, stride)(x), is_active=False)
    return layers.ReLU()(layers.Add()([y, x]))


def _normalised(x, is_active=True):
    """Batch normalisation as the papers' code has it: momentum 0.9 of what was, epsilon 1e-5."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if is_active else x


def _convolution(filters, size, stride=1):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, size, strides=stride, **options)


def parameters(model):
    """How many numbers are trained."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)
