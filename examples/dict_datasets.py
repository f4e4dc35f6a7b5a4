"""Dictionaries of Hugging Face or tfds
====================================

When to use it: your data come as dictionaries, from Hugging Face's `to_tf_dataset` or from `tfds.load`.

Of a dictionary nobody can tell what the target is: name it, by `label_cols` or in a map. All of the rest that is a
quantity is mixed; what only has a name, such as a file or an id, rides along by `passthrough`.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
columns = {"image": digits.images / 16, "label": digits.target, "file": [f"{row}.png" for row in range(1797)]}
rows = tf.data.Dataset.from_tensor_slices(columns)

# Here made by hand, so that this runs without either package:
# table.to_tf_dataset(64, columns=["image", "file"], label_cols="label", shuffle=True) gives what `hugging_face` is,
# tfds.load("mnist", split="train").batch(64) what `one_dictionary` is.
hugging_face = rows.shuffle(1797, seed=0, reshuffle_each_iteration=False).batch(64)
hugging_face = hugging_face.map(lambda row: ({"image": row["image"], "file": row["file"]}, row["label"]))
one_dictionary = rows.batch(64)

layer = KMixupLayer(16, num_classes=10, passthrough="file")
train, test = hugging_face.skip(8), hugging_face.take(8)


def image_alone(x, y):
    """What the model takes: what rode along is left out, where it has served."""
    return x["image"], y


model = keras.Sequential(
    [
        keras.layers.Input((8, 8)),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
model.fit(train.apply(mix(layer, seed=0)).map(image_alone), epochs=20, verbose=2)
print(model.evaluate(test.map(layer.for_evaluation()).map(image_alone), verbose=0, return_dict=True))

# tfds gives everything in one dictionary, unless it was loaded with as_supervised=True: say what the target is.
pairs = one_dictionary.map(lambda row: (row["image"], row["label"]))
images, labels = next(iter(pairs.apply(mix(KMixupLayer(16, num_classes=10), seed=0))))
print(images.shape, labels.shape)

# %%
# The name of the file is that of the sample of which a mixture's row was made; it may have the smaller share.
figure, places = plt.subplots(2, 4, layout="constrained")
x, _ = next(train.apply(mix(layer, seed=0)).as_numpy_iterator())
for place, image, file in zip(places.flat, x["image"][:8], x["file"][:8], strict=True):
    place.imshow(image, cmap="gray_r")
    place.set_title(f"{file.decode()}, mixed")
    place.axis("off")
figure.savefig("dict_datasets.png")
