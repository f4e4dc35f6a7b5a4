"""When to use it: you train on an accelerator, which should not wait for the host: the mix is compiled with the step.

The model takes integer labels; the mix makes them soft in training, and one-hot in evaluation.
"""

import keras
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, MixAccuracy, MixModel

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
)
mixing = MixModel(model, KMixupLayer(k=16, solver="graph", num_classes=10), seed=0)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
mixing.compile("adam", loss, metrics=[MixAccuracy()], jit_compile=True)
mixing.fit(x[:1200], y[:1200], batch_size=64, epochs=10, validation_data=(x[1200:], y[1200:]), verbose=2)
mixing.export("saved_models/quickstart")  # the plain model
