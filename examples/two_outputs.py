"""Two outputs in units of their own
=================================

When to use it: a regression model has two outputs, with targets of two names, units and losses.

Targets of any structure are mixed with one ratio: that of their inputs. A mixture of numbers is a number, so nothing
is made of them but averages. Distances are measured on columns at one scale: `adapt` learns it.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = (random.normal(size=(2000, 4)) * [1, 10, 100, 1000]).astype("float32")  # columns in units of their own
z = x / [1, 10, 100, 1000]
y = {
    "price": (50 * z[:, 0] * z[:, 1] + 100 * z[:, 2] + random.normal(size=2000)).astype("float32"),
    "days": (np.abs(z[:, 3]) + 0.1 * random.normal(size=2000)).astype("float32"),
}
data = tf.data.Dataset.from_tensor_slices((x, y))
train, test = data.take(1536).shuffle(1536, seed=0).batch(64), data.skip(1536).batch(58)

inputs = keras.Input((4,))
scale = keras.layers.Normalization()
scale.adapt(x[:1536])
hidden = keras.layers.Dense(64, activation="relu")(scale(inputs))
hidden = keras.layers.Dense(64, activation="relu")(hidden)
outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in y}
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.Adam(3e-3), {"price": "mse", "days": "mse"}, loss_weights={"price": 1e-4, "days": 1.0})

# k = 16 brings near rows together; for regression that is what keeps mixtures true.
layer = KMixupLayer(16, alpha=0.2)
layer.adapt(train)
model.fit(train.apply(mix(layer, seed=0)), epochs=20, verbose=0)
predicted = model.predict(test.map(lambda x, y: x), verbose=0)
errors = {name: np.mean((predicted[name][:, 0] - y[name][1536:]) ** 2) for name in y}
print("of the variance is explained")
print({name: float(1 - errors[name] / np.var(y[name][1536:])) for name in y})

# %%
# Both outputs on rows that were not trained on, in their own units.
figure, places = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
for place, name in zip(places, y, strict=True):
    place.scatter(predicted[name][:, 0], y[name][1536:], s=6)
    place.axline((0, 0), slope=1, color="0.6", linestyle="--")
    place.set(title=name, xlabel="predicted", ylabel="true")
figure.savefig("two_outputs.png")
