"""A loop of your own, stopped and resumed
=======================================

When to use it: you write your own training loop, and want to stop it anywhere and go on as if nothing had been.

The mixed dataset's iterator is a part of the checkpoint: what is restored goes on with the very batch and the very
mixture that would have come next.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images.reshape(-1, 64).astype("float32") / 16, digits.target
train = tf.data.Dataset.from_tensor_slices((x[:1280], y[:1280])).shuffle(1280, seed=0).batch(64).repeat()
batches = iter(train.apply(mix(KMixupLayer(16, num_classes=10), seed=0)))

model = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
optimizer = keras.optimizers.Adam()
optimizer.build(model.trainable_variables)
loss_of = keras.losses.CategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        loss = loss_of(labels, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


checkpoint = tf.train.Checkpoint(weights=model.variables, optimizer=list(optimizer.variables), batches=batches)
losses = [float(train_step(*next(batches))) for _ in range(100)]
path = checkpoint.write("checkpoint/at_100")
expected = [float(train_step(*next(batches))) for _ in range(100)]

checkpoint.read(path).assert_consumed()  # in your case, in the process that goes on
resumed = [float(train_step(*next(batches))) for _ in range(100)]
print("the same losses after resuming:", max(abs(a - b) for a, b in zip(expected, resumed, strict=True)) < 1e-4)
accuracy = keras.metrics.SparseCategoricalAccuracy()
accuracy.update_state(y[1280:], model(x[1280:]))
print({"accuracy": float(accuracy.result())})

# %%
# Each dot is a loss after resuming, each line what it would have been without.
plt.plot(losses, label="up to the checkpoint")
plt.plot(range(100, 200), expected, label="going on")
plt.plot(range(100, 200), resumed, "k.", markersize=3, label="stopped, restored, going on")
plt.legend()
plt.gca().set(title="Resuming, mixtures included", xlabel="step", ylabel="loss")
plt.savefig("custom_loop.png")
