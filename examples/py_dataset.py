"""A PyDataset
===========

When to use it: your data come from a `keras.utils.PyDataset`, whose batches threads fetch and `fit` gets mixed.

On any back end of Keras. Seeds go by the order of batches: the same mixtures whatever the number of threads. (Mixed
in `__getitem__`, they would not be: how often Keras asks for a batch, and tells of an epoch's end, is not the same
with one worker and with several.)
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

# Keras 2 has it by another name.
PyDataset = keras.utils.PyDataset if hasattr(keras.utils, "PyDataset") else keras.utils.Sequence


class Digits(PyDataset):
    """What you have already: batches by number."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // 64)

    def __getitem__(self, index):
        rows = slice(64 * index, 64 * (index + 1))
        return self.x[rows], self.y[rows]


def as_dataset(source, x, y, workers=2):
    """The batches of a PyDataset in their order, fetched by threads; x and y say of what shapes and dtypes."""

    def fetch(index):
        parts = tf.numpy_function(lambda index: source[int(index)], [index], [x.dtype, y.dtype])
        return tf.ensure_shape(parts[0], x.shape), tf.ensure_shape(parts[1], y.shape)

    return tf.data.Dataset.range(len(source)).map(fetch, num_parallel_calls=workers, deterministic=True)


keras.utils.set_random_seed(0)
digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images, labels = digits.images[order, :, :, None].astype("float32") / 16, digits.target[order]
source = Digits(images[:1536], labels[:1536])
data = as_dataset(source, tf.TensorSpec([None, 8, 8, 1], tf.float32), tf.TensorSpec([None], tf.int64))
mixed = data.apply(mix(KMixupLayer(k=16, num_classes=10), seed=0)).prefetch(tf.data.AUTOTUNE)

model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
model.compile(keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy(from_logits=True))
# A source that shuffles itself is told of each epoch's end.
told = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: source.on_epoch_end())
model.fit(mixed, epochs=5, callbacks=[told], verbose=2)
right = model.predict(images[1536:], verbose=0).argmax(axis=1) == labels[1536:]
print({"accuracy": float(right.mean())})

# %%
# What the model looks for in each digit: red where ink speaks for it, blue where ink speaks against it.
figure, places = plt.subplots(2, 5, figsize=(6.4, 3.2), layout="constrained")
for digit, (place, weights) in enumerate(zip(places.flat, model.get_weights()[0].T, strict=True)):
    place.imshow(weights.reshape(8, 8), cmap="RdBu_r", vmin=-2, vmax=2)
    place.set_title(digit)
    place.axis("off")
figure.savefig("py_dataset.png")
