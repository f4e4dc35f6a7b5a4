"""Mix in the training step
========================

When to use it: you train on an accelerator, which should not wait for the host: the mix is compiled with the step.

The model takes integer labels; the mix makes them soft in training, and one-hot in evaluation.
"""

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, MixAccuracy, MixModel, MixtureImages

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
shown = MixtureImages(images=3, times=False)  # what is mixed; with a folder, TensorBoard shows it
validation = x[1280:], y[1280:]
mixing.fit(x[:1280], y[:1280], batch_size=64, epochs=10, validation_data=validation, callbacks=[shown], verbose=2)
mixing.export("saved_models/quickstart")  # the plain model

# %%
# What the callback draws after each epoch: a row is two samples, with label and share, and what becomes of them, with
# the shares as a bar.
plt.imshow(shown.sheets["mix/features"])
plt.title("Mixtures of the last epoch")
plt.axis("off")
plt.savefig("mix_on_device.png")
