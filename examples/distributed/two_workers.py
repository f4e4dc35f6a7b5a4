"""When to use it: you train on several machines at once, each mixing its own part of every batch.

This starts two processes that stand for two machines. On machines of your own, start `train` on each, with TF_CONFIG
set by whatever starts them. The loop is written out because `fit` of Keras 3 does not run on several workers.
"""

import json
import os
import socket
import subprocess
import sys

import keras
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer, mix


def train():
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else of TensorFlow
    digits = load_digits()
    x, y = digits.images.reshape(-1, 64).astype("float32") / 16, digits.target

    def batches_of(worker):
        whole = tf.data.Dataset.from_tensor_slices((x[:1200], y[:1200]))
        mine = whole.shard(worker.num_input_pipelines, worker.input_pipeline_id).shuffle(600, seed=0)
        # A seed of its own: workers with the same one draw alike.
        return mine.batch(32).repeat().apply(mix(KMixupLayer(16, num_classes=10), seed=worker.input_pipeline_id))

    batches = iter(strategy.distribute_datasets_from_function(batches_of))
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
    weights = model.trainable_variables
    loss_of = keras.losses.CategoricalCrossentropy(from_logits=True, reduction="none")

    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = tf.nn.compute_average_loss(loss_of(labels, model(images, training=True)))  # of the global batch
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    train_step = tf.function(lambda: strategy.run(step, next(batches)))
    for _ in range(200):
        train_step()
    right = tf.argmax(model(x[1200:]), axis=1).numpy() == y[1200:]
    print({"accuracy": float(right.mean()), "first weight": float(model.weights[0][30, 0])}, flush=True)


def start():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    _ = [each.close() for each in sockets]
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    workers = [subprocess.Popen([sys.executable, __file__], env={**os.environ, "TF_CONFIG": task}) for task in tasks]
    sys.exit(max(worker.wait() for worker in workers))


if __name__ == "__main__":
    train() if "TF_CONFIG" in os.environ else start()
