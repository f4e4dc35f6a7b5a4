"""Texts
=====

When to use it: you classify texts. Token ids cannot be averaged, so what an embedding makes of them is mixed.

Strings become token ids in the data stage, batches of sentences of about one length are padded, and the mask of the
padding goes through the mix. What is served takes strings, and nothing of the mix is in it.
"""

import random

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from kmix_tf import KMixupLayer, ManifoldMixModel

layers = keras.layers
keras.utils.set_random_seed(0)
BLAME = ["dull", "broken", "slow", "noisy", "late", "rude", "cold", "weak"]
PRAISE = ["bright", "solid", "quick", "quiet", "early", "kind", "warm", "strong"]
FILLERS = ["the", "a", "this", "was", "seems", "very", "with", "and", "delivery", "phone", "staff", "screen", "food"]


def sentences(size, generator):
    """Reviews of 4 to 20 words, three of which blame or praise, and the label 0 or 1."""
    for number in range(size):
        words = generator.choices(FILLERS, k=generator.randint(1, 17))
        words += generator.choices((BLAME, PRAISE)[number % 2], k=3)
        generator.shuffle(words)
        yield " ".join(words), number % 2


texts, labels = map(list, zip(*sentences(1000, random.Random(0)), strict=True))
vectorize = layers.TextVectorization(max_tokens=64)
vectorize.adapt(texts[:800])
tokens = tf.data.Dataset.from_tensor_slices((texts, labels)).map(lambda text, label: (vectorize(text), label))


def batches(dataset):
    return dataset.bucket_by_sequence_length(lambda ids, label: tf.shape(ids)[0], [8, 12, 16], [32] * 4)


train, test = batches(tokens.take(800).shuffle(800, seed=0)), batches(tokens.skip(800))
ids = keras.Input((None,), dtype="int64")
embedded = layers.Embedding(64, 16, mask_zero=True, name="embedding")(ids)
model = keras.Model(ids, layers.Dense(2)(layers.Bidirectional(layers.GRU(16))(embedded)))

mixing = ManifoldMixModel(model, ["embedding"], KMixupLayer(8, num_classes=2), seed=0)
mixing.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
mixing.fit(train, validation_data=test, epochs=4, verbose=2)

serving = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, model])
asked = ["the staff was kind and quick", "very late and the food was cold"]
for text, logits in zip(asked, serving(tf.constant([[text] for text in asked])), strict=True):
    print(f"{text}: praise with probability {tf.nn.softmax(logits)[1]:.2f}")

# %%
# What the embedding has learnt, in the plane in which its words differ most: blame is red, praise green.
words, vectors = vectorize.get_vocabulary(), model.get_layer("embedding").get_weights()[0]
vectors = vectors[: len(words)] - vectors[: len(words)].mean(axis=0)
for word, (across, up) in zip(words, vectors @ np.linalg.svd(vectors)[2][:2].T, strict=True):
    colour = "tab:red" if word in BLAME else "tab:green" if word in PRAISE else "0.6"
    plt.plot(across, up, ".", color=colour)
    plt.annotate(word, (across, up), color=colour)
plt.title("The embedding's words")
plt.savefig("text.png")
