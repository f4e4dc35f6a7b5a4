"""When to use it: a regression model has two outputs, with targets of two names, units and losses.

Targets of any structure are mixed with one ratio: that of their inputs. A mixture of numbers is a number, so nothing
is made of them but averages. Distances are measured on columns at one scale: `adapt` learns it.
"""

import keras
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
train, test = data.take(1500).shuffle(1500, seed=0).batch(64), data.skip(1500).batch(100)

inputs = keras.Input((4,))
scale = keras.layers.Normalization()
scale.adapt(x[:1500])
hidden = keras.layers.Dense(64, activation="relu")(scale(inputs))
hidden = keras.layers.Dense(64, activation="relu")(hidden)
outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in y}
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.Adam(3e-3), {"price": "mse", "days": "mse"}, loss_weights={"price": 1e-4, "days": 1.0})

# k = 16 brings near rows together; for regression that is what keeps mixtures true.
layer = KMixupLayer(16, alpha=0.2)
layer.adapt(train)
model.fit(train.apply(mix(layer, seed=0)), epochs=30, verbose=0)
predicted = model.predict(test.map(lambda x, y: x), verbose=0)
errors = {name: np.mean((predicted[name][:, 0] - y[name][1500:]) ** 2) for name in y}
print("of the variance is explained")
print({name: float(1 - errors[name] / np.var(y[name][1500:])) for name in y})
