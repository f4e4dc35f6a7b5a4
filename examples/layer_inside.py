"""The layer inside a model
========================

When to use it: the mix is to be a part of a functional model, for training alone, with targets as its inputs.

MixModel does this for a model as it stands; here is how to lay it out yourself. Both images and labels go through the
layer, so both are inputs of the model that is trained; the network that is served knows neither labels nor mixing.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target


class CrossEntropy(keras.layers.Layer):
    """Adds the loss of logits against soft labels to the model, and hands the logits on."""

    def call(self, labels, logits):
        self.add_loss(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits)))
        return logits


layers = keras.layers
network = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
)
images, labels = keras.Input((8, 8, 1)), keras.Input((), dtype="int32")
# In training it mixes; in evaluation and in predict it only makes the labels soft.
mixed_images, mixed_labels = KMixupLayer(16, solver="graph", num_classes=10)(images, labels)
training = keras.Model([images, labels], CrossEntropy()(mixed_labels, network(mixed_images)))
training.compile("adam")
training.fit([x[:1280], y[:1280]], batch_size=64, epochs=10, verbose=2)

network.compile(metrics=["sparse_categorical_accuracy"], loss=keras.losses.SparseCategoricalCrossentropy(True))
print(network.evaluate(x[1280:], y[1280:], verbose=0, return_dict=True))

# %%
# What the network sees of the same images: in training other mixtures each time.
stage = keras.Model([images, labels], mixed_images)
figure, lines = plt.subplots(3, 6, figsize=(6.4, 3.8), layout="constrained")
for line, training in zip(lines, (False, True, True), strict=True):
    line[0].set_title("in training" if training else "in evaluation", loc="left")
    for place, image in zip(line, stage([x[:64], y[:64]], training=training)[:6], strict=True):
        place.imshow(image, cmap="gray_r")
        place.axis("off")
figure.savefig("layer_inside.png")
