"""Windows of a time series
========================

When to use it: you forecast a time series from windows of its past.

Windows are cut first and mixed then, each with a near one: averages of near windows are windows that might have been,
with the forecast that belongs to them. Cut training and test windows of different times, mix the former alone.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
steps = np.arange(3000)
season = np.sin(2 * np.pi * steps / 24) * (1 + 0.3 * np.sin(2 * np.pi * steps / 168))
series = (season + 0.1 * random.normal(size=3000)).astype("float32")[:, None]
PAST, AHEAD = 48, 6

windows, split = keras.utils.timeseries_dataset_from_array, 2400


def cut(part, shuffle):
    """Windows (batch, PAST, 1), and the value AHEAD steps after each, (batch, 1)."""
    targets = part[PAST + AHEAD - 1 :]
    return windows(part, targets, sequence_length=PAST, batch_size=64, shuffle=shuffle, seed=0)


train, test = cut(series[:split], shuffle=True), cut(series[split:], shuffle=False)
model = keras.Sequential(
    [
        keras.layers.Input((PAST, 1)),
        keras.layers.Conv1D(16, 5, strides=2, activation="relu"),
        keras.layers.Conv1D(16, 5, strides=2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
)
model.compile("adam", "mse")
model.fit(train.apply(mix(KMixupLayer(16, alpha=0.5), seed=0)), epochs=5, verbose=2)
error = model.evaluate(test, verbose=0)
print({"mse": error, "explained": 1 - error / float(series.var())})

# %%
# The forecast, made six steps before.
came = np.concatenate([values for _, values in test.as_numpy_iterator()])
plt.plot(came[:200], color="0.6", label="what came")
plt.plot(model.predict(test, verbose=0)[:200], label="forecast")
plt.legend()
plt.gca().set(title="Six steps ahead, on data of a later time", xlabel="step")
plt.savefig("series_windows.png")
