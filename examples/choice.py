"""Mixup or CutMix, by chance
==========================

When to use it: each batch is to be mixed by mixup or by CutMix, as chance has it, as in timm's recipes.

timm's `mixup=0.8, cutmix=1.0, switch_prob=0.5, prob=0.9, mode="pair"` in our words. Prints how often each was chosen,
and what is learnt.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import ChoiceLayer, CutMixLayer, KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target
train = tf.data.Dataset.from_tensor_slices((x[:1280], y[:1280])).shuffle(1280, seed=0).batch(64)
test = tf.data.Dataset.from_tensor_slices((x[1280:], y[1280:])).batch(64)

choice = ChoiceLayer(
    [KMixupLayer(1, 0.8, scope="pair", num_classes=10), CutMixLayer(1.0, scope="pair", num_classes=10)],
    probabilities=[0.5, 0.5],
    probability=0.9,  # One batch in ten stays as it is.
)

# Each image shows its own number: mixup averages them, CutMix pastes boxes of another.
numbers = np.tile(np.arange(8, dtype="float32")[:, None, None, None], [1, 8, 8, 1])
probes = tf.data.Dataset.from_tensors((numbers, np.zeros(8, "int32"))).repeat(500).apply(mix(choice, seed=0))


def kind(images):
    """What has become of a batch of probes."""
    if (images == numbers).all():
        return "left as it was"
    return "CutMix" if (images == np.round(images)).all() else "mixup"


batches = [images for images, _ in probes.as_numpy_iterator()]
kinds = [kind(images) for images in batches]
print("of 500 batches:", {name: kinds.count(name) for name in sorted(set(kinds))})

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
mixed = train.apply(mix(choice, seed=0))
model.fit(mixed, validation_data=test.map(choice.for_evaluation()), epochs=15, verbose=0)
print(model.evaluate(test.map(choice.for_evaluation()), verbose=0, return_dict=True))

# %%
# A batch of each kind, of images that show a number each, the larger the lighter.
figure, places = plt.subplots(3, 1, layout="constrained")
for place, name in zip(places, sorted(set(kinds)), strict=True):
    place.imshow(np.hstack(batches[kinds.index(name)]), cmap="viridis")
    place.set_title(f"{name}: {kinds.count(name)} of 500 batches")
    place.axis("off")
figure.savefig("choice.png")
