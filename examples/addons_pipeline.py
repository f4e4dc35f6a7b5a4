"""When to use it: your pipeline has image ops, an optimiser, a loss or a metric of tensorflow-addons.

Needs the environment of the extra `addons`: TensorFlow 2.15, Keras 2.15, tensorflow-addons 0.23.
"""

import keras
import tensorflow as tf
import tensorflow_addons as tfa
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target


def turn_and_cut(images, labels):
    angles = tf.random.uniform([tf.shape(images)[0]], -0.2, 0.2)
    images = tfa.image.rotate(images, angles, interpolation="bilinear")
    return tfa.image.random_cutout(images, mask_size=2), labels


train = tf.data.Dataset.from_tensor_slices((x[:1200], y[:1200])).shuffle(1200, seed=0).batch(64)
train = train.map(turn_and_cut, num_parallel_calls=tf.data.AUTOTUNE)
layer = KMixupLayer(16, alpha=0.5, num_classes=10)
train = train.apply(mix(layer, seed=0))
test = tf.data.Dataset.from_tensor_slices((x[1200:], y[1200:])).batch(64).map(layer.for_evaluation())

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
)
model.compile(
    tfa.optimizers.AdamW(weight_decay=1e-4, learning_rate=1e-3),
    tfa.losses.SigmoidFocalCrossEntropy(from_logits=True, reduction=tf.keras.losses.Reduction.AUTO),
    metrics=[tfa.metrics.F1Score(num_classes=10, average="macro")],
)
model.fit(train, epochs=15, validation_data=test, verbose=2)
