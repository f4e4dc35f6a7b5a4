"""A table, and a number to predict
================================

When to use it: you have arrays, here a table with a continuous target, and want a regression model rescaled.

Columns that differ in units should be brought to one scale first, because pairs are matched by distance.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_diabetes

from kmix_tf import KMixupLayer, RescaledModel, mix

keras.utils.set_random_seed(0)
x, y = load_diabetes(return_X_y=True)  # columns already have equal spread
x, y = x.astype("float32") / x.std(), ((y - y.mean()) / y.std()).astype("float32")
train = tf.data.Dataset.from_tensor_slices((x[:350], y[:350])).shuffle(350, seed=0).batch(50)

# The same seed gives the same mixtures, on any number of threads. repeat() after mixing draws anew in each pass.
mixed = train.apply(mix(KMixupLayer(k=8, alpha=0.5, scope="sample"), seed=0)).repeat()

model = keras.Sequential(
    [keras.layers.Input((10,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)]
)
model.compile("adam", "mse")
model.fit(mixed, epochs=30, steps_per_epoch=7, verbose=0)

rescaled = RescaledModel(model, alpha=0.5, output="regression")
rescaled.adapt(train)
predictions = {
    name: candidate.predict(x[350:], verbose=0)[:, 0]
    for name, candidate in {"as trained": model, "rescaled": rescaled}.items()
}
for name, predicted in predictions.items():
    error = ((predicted - y[350:]) ** 2).mean()
    print(f"mean squared error, {name}: {error:.3f} (predicting the mean: {(y[350:] ** 2).mean():.3f})")

# %%
# On the dashed line a prediction is right. Rescaling moves each by a little.
plt.axline((0, 0), slope=1, color="0.6", linestyle="--")
for name, predicted in predictions.items():
    plt.scatter(predicted, y[350:], s=12, label=name)
plt.legend()
plt.gca().set(title="Rows that were not trained on", xlabel="predicted", ylabel="true")
plt.savefig("own_arrays.png")
