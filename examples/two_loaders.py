"""Samples of two loaders
======================

When to use it: samples are to be mixed with those of another loader, as in the k-mixup paper, not of their own.
"""

import keras
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix
from kmix_tf.plot import plot_image_pairs

digits = load_digits()
samples = tf.data.Dataset.from_tensor_slices((digits.images[..., None].astype("float32") / 16, digits.target))


def loader(seed):
    # drop_remainder: both loaders must give batches of equal length.
    return samples.shuffle(2000, seed=seed).batch(64, drop_remainder=True)


pairs = tf.data.Dataset.zip((loader(seed=1), loader(seed=2)))
mixed = pairs.apply(mix(KMixupLayer(32, num_classes=10), seed=0, between=True))

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)]
)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["categorical_accuracy"])
model.fit(mixed, epochs=5, verbose=2)

# %%
# One batch by hand. Instead of labels, images have numbers of their own: the mixed ones tell who was mixed with whom.
(first, _), (second, _) = next(iter(pairs))
mixtures, shares = KMixupLayer(32).between((first, tf.eye(64, 128)), (second, tf.eye(128)[64:]), seed=(0, 0))
partners = tf.argmax(shares[:8, 64:], axis=1) + 64
axes = plot_image_pairs(tf.concat([first, second], axis=0), partners, mixtures[:8])
axes.set_title("Of the first loader, of the second, and both")
axes.figure.savefig("two_loaders.png")
