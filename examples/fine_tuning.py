"""Fine-tune a network
===================

When to use it: you fine-tune a network of keras.applications on a thousand images of your own.

Images are mixed as they are, in their own range: the network's preprocessing is a part of the model, behind the mix.
Only the training data are mixed, in both phases: with the base frozen, and with all of it at a small rate.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import CutMixLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
images = np.repeat(digits.images.astype("uint8")[..., None] * 15, 3, axis=-1).repeat(4, axis=1).repeat(4, axis=2)
train = tf.data.Dataset.from_tensor_slices((images[:1024], digits.target[:1024])).shuffle(1024, seed=0).batch(64)
test = tf.data.Dataset.from_tensor_slices((images[1297:], digits.target[1297:])).batch(100)

layers = keras.layers
weights = None  # so that this runs without a download; yours: "imagenet"
base = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, pooling="avg", weights=weights)
inputs = keras.Input((32, 32, 3))
# What has been learnt of batch statistics is kept: training=False. Without weights there is nothing to keep, and they
# must be learnt in few steps.
for part in [] if weights else base.layers:
    part.momentum = 0.9
features = base(layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False if weights else None)
model = keras.Model(inputs, layers.Dense(10)(features))

layer = CutMixLayer(num_classes=10, probability=0.5)
mixed = train.apply(mix(layer, seed=0))
validation = test.map(layer.for_evaluation())
loss = keras.losses.CategoricalCrossentropy(from_logits=True)

base.trainable = False
model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
frozen = model.fit(mixed, epochs=2, validation_data=validation, verbose=2).history
base.trainable = True
model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])  # anew: trainable has changed
tuned = model.fit(mixed, epochs=9, validation_data=validation, verbose=2).history
print(model.evaluate(validation, verbose=0, return_dict=True))

# %%
# Of mixtures no model can say one class, so the accuracy in training stays below that of whole images.
for name, label in {"accuracy": "in training, half of it mixed", "val_accuracy": "on images to validate on"}.items():
    plt.plot(range(1, 12), frozen[name] + tuned[name], label=label)
plt.axvline(2.5, color="0.5", linestyle=":", label="all of the network learns from here on")
plt.legend()
plt.gca().set(title="Fine-tuning in two phases", xlabel="epoch", ylabel="accuracy")
plt.savefig("fine_tuning.png")
