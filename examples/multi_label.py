"""Several labels of a sample
==========================

When to use it: each sample may have several labels at once, or none, as multi-hot rows.

Multi-hot rows are mixed as they are: a mixture has a share of every label of both samples. Binary cross-entropy is
linear in the label, so that is right to the formula. Metrics that count labels must know of shares: see MixMetric.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import make_multilabel_classification

from kmix_tf import KMixupLayer, MixMetric, mix

keras.utils.set_random_seed(0)
x, y = make_multilabel_classification(2000, n_features=20, n_classes=5, n_labels=2, random_state=0)
x, y = x.astype("float32"), y.astype("float32")
train = tf.data.Dataset.from_tensor_slices((x[:1536], y[:1536])).shuffle(1536, seed=0).batch(64)
test = tf.data.Dataset.from_tensor_slices((x[1536:], y[1536:])).batch(58)

model = keras.Sequential(
    [
        keras.layers.Input((20,)),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(5, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=[MixMetric(keras.metrics.AUC(multi_label=True, name="auc"))])
layer = KMixupLayer(16, alpha=0.4)
mixed = train.apply(mix(layer, seed=0))
model.fit(mixed, epochs=10, verbose=2)
# Data to test on are not mixed; nothing need be converted either.
print(model.evaluate(test, verbose=0, return_dict=True))

# %%
# The labels of thirty mixtures: dark where both samples have the label, light where one of them has.
_, shares = next(mixed.as_numpy_iterator())
plt.imshow(shares[:30].T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
plt.colorbar(label="share of the label")
plt.gca().set(title="Labels of mixtures", xlabel="mixture", ylabel="label")
plt.savefig("multi_label.png")
