"""Confidences that are true
=========================

When to use it: you mix in training, and somebody acts on your model's confidences.

Mixed models are too modest. A few hundred samples that were not trained on say by how much; the model that comes out
has the same classes and confidences that are true, is one `.keras` file, and serves with TensorFlow alone.
"""

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, RescaledModel, mix
from kmix_tf.plot import plot_comparison

keras.utils.set_random_seed(0)
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x, y = (images[order] / 16).astype("float32"), labels[order]
train, held_out, test = ((x[part], y[part]) for part in (slice(1024), slice(1024, 1324), slice(1324, None)))

layers = keras.layers
model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(128, "relu"), layers.Dense(128, "relu"), layers.Dense(10)]
)
layer = KMixupLayer(16, alpha=1.0, num_classes=10)
batches = tf.data.Dataset.from_tensor_slices(train).shuffle(1024, seed=0).batch(64, drop_remainder=True)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
model.fit(batches.apply(mix(layer, seed=0)), epochs=25, verbose=0)

# theta="measured" asks the layer how far its mixtures are from their nearer ends; exact theta is that of plain mixup.
rescaled = RescaledModel(model, alpha=layer, theta="measured")
rescaled.adapt(*train, batch_size=64)
comparison = rescaled.evaluate_both(*held_out)
print(comparison)  # five ways to read the model, and which to take
print(rescaled.calibrate(*held_out))  # one temperature, and the standard error of its logarithm

rescaled.save("calibrated.keras")
rescaled.export("served")
served = tf.saved_model.load("served")
probabilities = [
    tf.nn.softmax(logits).numpy() for logits in (model.predict(test[0], verbose=0), served.serve(test[0]))
]
confidence, calibrated = (each.max(axis=1).mean() for each in probabilities)
accuracy = float((probabilities[1].argmax(axis=1) == test[1]).mean())
print({"accuracy": accuracy, "confidence": float(confidence), "calibrated": float(calibrated)})

# %%
# On the dashed line, confidences are true; above it, they are too modest.
axes = plot_comparison(comparison)
axes.set_title("The same model, read in five ways")
axes.figure.savefig("calibration.png")
