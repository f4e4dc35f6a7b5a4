"""When to use it: batches come from tf.data service, and a small network trains on them; service.py calls this."""

import collections
import pathlib

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix

HELD_OUT = 360  # of 1,797 digits, each of 8 by 8 numbers from 0 to 16
BATCHES = 24  # of 64 digits, an epoch


def digits():
    """Images with their labels behind them, (1797, 65) uint8."""
    data = load_digits()
    return np.column_stack([data.data, data.target]).astype("uint8")


def batches(folder, files=16):
    """Endless batches of 64, {"x", "worker"} and labels, of files that every worker can read.

    Endless, because workers make a pipeline anew in each epoch of one that ends, and compile its mix anew.
    """
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(files):
        with tf.io.TFRecordWriter(str(pathlib.Path(folder, f"{number:02}.tfrecord"))) as writer:
            for row in digits()[HELD_OUT + number :: files]:
                writer.write(row.tobytes())

    def read(record):
        row = tf.ensure_shape(tf.io.decode_raw(record, tf.uint8), [65])
        # A worker writes its address into a file of this name, where it runs: see server.py.
        x = {"x": tf.cast(row[:64], tf.float32) / 16, "worker": tf.io.read_file("worker")}
        return x, tf.cast(row[64], tf.int32)

    names = tf.data.Dataset.list_files(str(pathlib.Path(folder, "*.tfrecord")), shuffle=False)
    rows = names.interleave(tf.data.TFRecordDataset, cycle_length=4).map(read)
    return rows.repeat().shuffle(256).batch(64)


def distributed(dataset, address, sharding, where):
    """The batches as they come back from the workers, mixed there or here."""
    service = tf.data.experimental.service
    send = service.distribute(getattr(service.ShardingPolicy, sharding), address)
    if where == "after":  # seeded: batches are told apart here, whoever prepared them
        return dataset.apply(send).apply(mix(KMixupLayer(16, num_classes=10, passthrough=["worker"]), seed=0))
    # Workers begin anew in each epoch, and know nothing of each other: the draws themselves come from there. What is
    # called back is here: there, pairs are matched in the graph.
    layer = KMixupLayer(16, solver="graph", num_classes=10, passthrough=["worker"])
    return dataset.apply(mix(layer, salted=True)).apply(send)


def train(dataset, epochs):
    """Trains, and tells of each epoch where its batches came from; the accuracy on digits that were held out."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu"), layers.Dense(10)])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    sent = collections.Counter()
    for count, (x, y) in enumerate(dataset.take(BATCHES * epochs), start=1):
        sent[x["worker"][0].numpy().decode()] += 1
        model.train_on_batch(x["x"], y)
        if count % BATCHES == 0:
            print(
                f"epoch {count // BATCHES}:",
                *(f"{sent[name]} batches of {name}" for name in sorted(sent)),
                flush=True,
            )
            sent.clear()
    held_out = digits()[:HELD_OUT]
    y = keras.utils.to_categorical(held_out[:, 64], 10)
    return model.evaluate(held_out[:, :64] / 16, y, verbose=0, return_dict=True)["accuracy"]
