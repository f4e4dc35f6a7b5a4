"""All four decisions at once
==========================

When to use it: no preset is what you want, and you choose pairing, ratio, blend and weight yourself.

All combine: here 16-mixup, five ordered CutMix boxes of each pair, and local weights.
Targets come packed for `LocalMixupLoss`, which takes integer labels as they are; validation data are packed, too, but
not mixed. Half of the first epoch warms up, the last one is not mixed.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import CutMixBlend, ExponentialWeight, KMixupLayer, LocalMixupLoss, MixAccuracy, MixSchedule, mix

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target
train = tf.data.Dataset.from_tensor_slices((x[:1200], y[:1200])).shuffle(1200, seed=0).batch(100)
test = tf.data.Dataset.from_tensor_slices((x[1297:], y[1297:])).batch(100)

layer = KMixupLayer(
    k=16,
    interpolations=5,
    blend=CutMixBlend(),
    weight=ExponentialWeight("quantile:0.5"),
    targets="packed",
    schedule=MixSchedule(steps_per_epoch=12, warmup=0.5, off_after=9),
)
# A schedule counts steps across epochs, so the data repeat, and fit is told how long an epoch is.
mixed = train.repeat().apply(mix(layer, seed=0))

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10)]
)
loss = LocalMixupLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.compile("adam", loss, metrics=[MixAccuracy()])
model.fit(mixed, steps_per_epoch=12, epochs=10, validation_data=test.map(layer.for_evaluation()), verbose=2)

# %%
# Five mixtures of each of four pairs. Packed targets are both labels, the ratio and the weight in the loss.
images, packed = layer(x[:100], y[:100], step=20)
first, second, _, weights = packed[:, 0].numpy().T
figure, lines = plt.subplots(4, 5, layout="constrained")
for row, line in enumerate(lines):
    line[0].set_title(f"{first[row]:.0f} and {second[row]:.0f}, weight {weights[row]:.2f}", loc="left")
    for place, image in zip(line, images[row::100], strict=True):
        place.imshow(image, cmap="gray_r")
        place.axis("off")
figure.savefig("four_decisions.png")
