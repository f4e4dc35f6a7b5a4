"""Among tensorflow-addons
=======================

When to use it: your pipeline has image ops, an optimiser, a loss or a metric of tensorflow-addons.

Needs the environment of the extra `addons`: TensorFlow 2.15, Keras 2.15, tensorflow-addons 0.23.
"""

import keras
import matplotlib.pyplot as plt
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


train = tf.data.Dataset.from_tensor_slices((x[:1280], y[:1280])).shuffle(1280, seed=0).batch(64)
turned = train.map(turn_and_cut, num_parallel_calls=tf.data.AUTOTUNE)
layer = KMixupLayer(16, alpha=0.5, num_classes=10)
mixed = turned.apply(mix(layer, seed=0))
test = tf.data.Dataset.from_tensor_slices((x[1280:], y[1280:])).batch(64).map(layer.for_evaluation())

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
)
model.compile(
    tfa.optimizers.AdamW(weight_decay=1e-4, learning_rate=1e-3),
    tfa.losses.SigmoidFocalCrossEntropy(from_logits=True, reduction=tf.keras.losses.Reduction.AUTO),
    metrics=[tfa.metrics.F1Score(num_classes=10, average="macro")],
)
model.fit(mixed, epochs=15, validation_data=test, verbose=2)

# %%
# Digits as they are; turned and cut; and mixed after that.
figure, lines = plt.subplots(3, 8, figsize=(6.4, 3), layout="constrained")
for line, source in zip(lines, (train, turned, mixed), strict=True):
    for place, image in zip(line, next(source.as_numpy_iterator())[0][:8], strict=True):
        place.imshow(image, cmap="gray_r")
        place.axis("off")
figure.savefig("addons_pipeline.png")
