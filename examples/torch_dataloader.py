"""A torch DataLoader
==================

When to use it: your data come from a torch DataLoader, and go to `fit` or to a loop of your own.

Mix in this process, not in collate_fn: workers of the loader are forks, in which TensorFlow's threads are missing.
"""

import keras
import matplotlib.pyplot as plt
import tensorflow as tf
import torch
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

keras.utils.set_random_seed(0)
digits = load_digits()
images, labels = digits.images[..., None].astype("float32") / 16, digits.target
samples = torch.utils.data.TensorDataset(torch.from_numpy(images[:1536]), torch.from_numpy(labels[:1536]))
order = torch.Generator().manual_seed(0)  # the loader's seed; the mixing has one of its own
loader = torch.utils.data.DataLoader(samples, batch_size=64, shuffle=True, generator=order)
layer = KMixupLayer(k=16, num_classes=10)


def batches():
    for x, y in loader:
        yield x.numpy(), y.numpy()


# For `fit`, on any back end of Keras. Shapes must be said: nobody can ask a generator.
spec = (tf.TensorSpec([None, 8, 8, 1], tf.float32), tf.TensorSpec([None], tf.int64))
data = tf.data.Dataset.from_generator(batches, output_signature=spec)
data = data.apply(tf.data.experimental.assert_cardinality(len(loader)))
mixed = data.apply(mix(layer, seed=0)).prefetch(tf.data.AUTOTUNE)

model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
model.compile(keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy(from_logits=True))
model.fit(mixed, epochs=5, verbose=2)

# For a loop of your own, on the torch back end: torch's tensors go in and come out. The step makes each batch's seed.
if keras.backend.backend() == "torch":
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step, batch in enumerate(loader):
        x, y = layer(*batch, seed=(0, step))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x, training=True), y).backward()
        optimizer.step()

right = model.predict(images[1536:], verbose=0).argmax(axis=1) == labels[1536:]
print({"backend": keras.backend.backend(), "accuracy": float(right.mean())})

# %%
# Eight images as the loader gives them, and eight mixtures.
figure, lines = plt.subplots(2, 8, figsize=(6.4, 2), layout="constrained")
for line, source in zip(lines, (data, mixed), strict=True):
    for place, image in zip(line, next(source.as_numpy_iterator())[0][:8], strict=True):
        place.imshow(image, cmap="gray_r")
        place.axis("off")
figure.savefig("torch_dataloader.png")
