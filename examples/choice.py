"""When to use it: each batch is to be mixed by mixup or by CutMix, as chance has it, as in timm's recipes.

timm's `mixup=0.8, cutmix=1.0, switch_prob=0.5, prob=0.9, mode="pair"` in our words. Prints how often each was chosen,
and what is learnt.
"""

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import ChoiceLayer, CutMixLayer, KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
x, y = digits.images[..., None].astype("float32") / 16, digits.target
train = tf.data.Dataset.from_tensor_slices((x[:1200], y[:1200])).shuffle(1200, seed=0).batch(64)
test = tf.data.Dataset.from_tensor_slices((x[1200:], y[1200:])).batch(64)

choice = ChoiceLayer(
    [KMixupLayer(1, 0.8, scope="pair", num_classes=10), CutMixLayer(1.0, scope="pair", num_classes=10)],
    probabilities=[0.5, 0.5],
    probability=0.9,  # One batch in ten stays as it is.
)

# Each image shows its own number: mixup averages them, CutMix pastes boxes of another.
numbers = np.tile(np.arange(8, dtype="float32")[:, None, None, None], [1, 8, 8, 1])
probes = tf.data.Dataset.from_tensors((numbers, np.zeros(8, "int32"))).repeat(500).apply(mix(choice, seed=0))
images = [image for image, _ in probes.as_numpy_iterator()]
kept = sum(bool((image == numbers).all()) for image in images)
averaged = sum(bool((image != np.round(image)).any()) for image in images)
print(f"of 500 batches: mixup {averaged}, CutMix {500 - averaged - kept}, left as they were {kept}")

layers = keras.layers
model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
)
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
mixed = train.apply(mix(choice, seed=0))
model.fit(mixed, validation_data=test.map(choice.for_evaluation()), epochs=15, verbose=0)
print(model.evaluate(test.map(choice.for_evaluation()), verbose=0, return_dict=True))
