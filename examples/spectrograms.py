"""Sounds as spectrograms
======================

When to use it: you classify sounds by their spectrograms, which the data stage makes of waveforms.

Spectrograms are images of (time, frequency): CutMix pastes a box of one sound into another's. Mix behind the
logarithm, on what the model sees: an average of two logarithms is another sound than that of the two together.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from kmix_tf import CutMixLayer, mix

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
RATE, CLASSES = 4000, 4


def sound(label):
    """A tone that rises, falls, stays or pulses, in noise, one second long."""
    time = np.arange(RATE) / RATE
    pitch = random.uniform(400, 900) + {0: 600, 1: -300, 2: 0, 3: 0}[label] * time
    loud = (np.sin(2 * np.pi * 6 * time) > 0) if label == 3 else 1.0
    return loud * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) + 0.3 * random.normal(size=RATE)


labels = random.integers(0, CLASSES, 600)
waves = np.stack([sound(label) for label in labels]).astype("float32")


def spectrogram(wave, label):
    power = tf.abs(tf.signal.stft(wave, frame_length=128, frame_step=64)) ** 2
    return tf.math.log(power + 1e-3), label  # (batch, 61, 65)


data = tf.data.Dataset.from_tensor_slices((waves, labels))
train = data.take(448).shuffle(448, seed=0).batch(32).map(spectrogram)
test = data.skip(448).batch(76).map(spectrogram)

layers = keras.layers
model = keras.Sequential(
    [
        layers.Input((61, 65)),
        layers.Reshape((61, 65, 1)),
        *[layers.Conv2D(filters, 3, strides=2, activation="relu") for filters in (8, 16, 32)],
        layers.Flatten(),
        layers.Dense(CLASSES),
    ]
)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
layer = CutMixLayer(num_classes=CLASSES)
mixed = train.apply(mix(layer, seed=0))
model.fit(mixed, epochs=12, verbose=2)
print(model.evaluate(test.map(layer.for_evaluation()), verbose=0, return_dict=True))

# %%
# What it learnt from.
names = ["rising", "falling", "staying", "pulsing"]
figure, places = plt.subplots(2, 2, layout="constrained", sharex=True, sharey=True)
for place, sound, shares in zip(places.flat, *(part[:4] for part in next(mixed.as_numpy_iterator())), strict=True):
    place.imshow(sound.T, origin="lower", aspect="auto")
    place.set_title(", ".join(f"{share:.2f} {name}" for share, name in zip(shares, names, strict=True) if share > 0))
figure.supxlabel("time")
figure.supylabel("frequency")
figure.savefig("spectrograms.png")
