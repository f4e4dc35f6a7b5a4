"""A table with categories
=======================

When to use it: your table has columns of numbers and of categories, and you encode it by keras.utils.FeatureSpace.

Encode first, then mix: half of one category and half of another is a sensible row of one-hot columns, and no sensible
number of a category. What is served takes raw rows: the encoding is a part of the exported model, the mix is not.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
rows = {
    "age": random.uniform(18, 80, 2000).astype("float32"),
    "hours": random.uniform(0, 60, 2000).astype("float32"),
    "sector": random.choice(["public", "private", "none"], 2000),
}


def odds(age, hours, sector):
    return 0.06 * (age - 45) + 0.08 * (hours - 30) + 2.0 * (sector == "private") - 0.7


labels = (odds(**rows) + random.logistic(size=2000) > 0).astype("int32")
data = tf.data.Dataset.from_tensor_slices((rows, labels))
train, test = data.take(1536).shuffle(1536, seed=0).batch(64), data.skip(1536).batch(58)

space = keras.utils.FeatureSpace(
    features={"age": "float_normalized", "hours": "float_normalized", "sector": "string_categorical"},
    output_mode="concat",
)
space.adapt(train.map(lambda x, y: x))
encoded = train.map(lambda x, y: (space(x), y))
layer = KMixupLayer(16, num_classes=2)

features = keras.Input(shape=space.get_encoded_features().shape[1:])
hidden = keras.layers.Dense(16, activation="relu")(features)
model = keras.Model(features, keras.layers.Dense(2, activation="softmax")(hidden))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
model.fit(encoded.apply(mix(layer, seed=0)), epochs=8, verbose=2)
validation = test.map(lambda x, y: (space(x), y)).map(layer.for_evaluation())
print(model.evaluate(validation, verbose=0, return_dict=True))

# %%
# What is served is asked with raw rows: here of people of any age who work thirty hours.
serving = keras.Model(space.get_inputs(), model(space.get_encoded_features()))
for colour, sector in {"tab:blue": "public", "tab:orange": "private"}.items():
    asked = {
        "age": np.arange(18, 80, dtype="float32"),
        "hours": np.full(62, 30, "float32"),
        "sector": np.full(62, sector),
    }
    found = serving({name: tf.constant(column) for name, column in asked.items()})
    plt.plot(asked["age"], found[:, 1], color=colour, label=sector)
    plt.plot(asked["age"], 1 / (1 + np.exp(-odds(**asked))), ":", color=colour, label=f"{sector}, the truth")
plt.legend()
plt.gca().set(title="Probability of label 1", xlabel="age")
plt.savefig("feature_space.png")
