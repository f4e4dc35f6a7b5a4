"""Mix, train, rescale, export
===========================

When to use it: you classify images, and want to mix, train, rescale and export in a few lines.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, RescaledModel

digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target
train = tf.data.Dataset.from_tensor_slices((x[:1024], y[:1024])).shuffle(1024).batch(64)
test = tf.data.Dataset.from_tensor_slices((x[1024:], y[1024:])).batch(64)

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
)
layer = KMixupLayer(16, num_classes=10)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
# Validation data are only converted: map(layer) would mix them, too.
model.fit(train.map(layer), validation_data=test.map(layer.for_evaluation()), epochs=20, verbose=2)

rescaled = RescaledModel(model, alpha=1.0)
rescaled.adapt(train)
rescaled.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
print(rescaled.evaluate(test, verbose=0, return_dict=True))
rescaled.export("saved_models/quickstart")

# %%
# What it learnt from: mixtures, and how much of which digits is in each.
figure, places = plt.subplots(2, 4, layout="constrained")
images, shares = next(train.map(layer).as_numpy_iterator())
for place, image, share in zip(places.flat, images[:8], shares[:8], strict=True):
    place.imshow(image, cmap="gray_r")
    place.set_title(" + ".join(f"{share[digit]:.2f} of {digit}" for digit in np.flatnonzero(share)), fontsize="small")
    place.axis("off")
figure.savefig("quickstart.png")
