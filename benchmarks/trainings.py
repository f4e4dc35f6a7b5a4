"""What `training.py` compares: the same trainings without mixing and with each mix in the data stage, in tables."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import networks
import numpy as np
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, LocalMixupLayer, MixModel, MultiMixLayer, mix

PLAIN, PEER = "without mixing", "keras.layers.MixUp()"


class Table(NamedTuple):
    """Trainings that are compared.

    short, what: in words. goal: of all ratios to PLAIN. make: called with quick, gives trainings by name.
    """

    short: str
    what: str
    goal: float
    rounds: int
    make: Callable[[bool], dict[str, Any]]


class Fit:
    """A contestant: `fit` of so many epochs on a dataset that ends. Keras makes two iterators for each epoch."""

    def __init__(self, make, dataset, epochs, whole):
        self.dataset, self.epochs, self.whole, self.spent = dataset, epochs, whole, []
        self.model = compiled_model(make)
        start = time.perf_counter()
        self.model.fit(dataset, epochs=1, verbose=0)
        self.first = time.perf_counter() - start
        self.steps = epochs * int(dataset.cardinality())

    def __call__(self):
        self.spent.append(processor_time(lambda: self.model.fit(self.dataset, epochs=self.epochs, verbose=0)))

    def stage(self):
        """What the data stage does in a call, alone."""
        for _ in range(self.epochs):
            iter(self.dataset)
            for _ in self.dataset:
                pass

    def summary(self, ms):
        """What a whole training takes, seconds, with what is done but once: graphs are made, functions compiled."""
        return {"whole": self.first + 1e-3 * ms * self.steps / self.epochs * (self.whole - 1)}


class Steps:
    """A contestant: so many steps of Keras' own loop, on an iterator that goes on for ever."""

    def __init__(self, make, dataset, steps, epoch):
        self.steps, self.epoch, self.spent = steps, epoch, []
        self.model, self.dataset = compiled_model(make), dataset
        self.model.fit(dataset, steps_per_epoch=2, verbose=0)
        self.iterator = iter(tf.distribute.get_strategy().experimental_distribute_dataset(dataset))
        self.alone = None

    def __call__(self):
        def run():
            for _ in range(self.steps):
                self.model.train_function(self.iterator)

        self.spent.append(processor_time(run))

    def stage(self):
        """What the data stage does in a call, alone."""
        self.alone = iter(self.dataset) if self.alone is None else self.alone
        for _ in range(self.steps):
            next(self.alone)

    def summary(self, ms):
        """What an epoch takes, seconds, with its start, `iter()`, as often as Keras calls it."""
        start = time.perf_counter()
        iter(self.dataset)
        return {"whole": 1e-3 * ms * self.epoch + 2 * (time.perf_counter() - start)}


def processor_time(run):
    """Milliseconds of processor time, of all threads."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def compiled_model(make):
    with tf.distribute.get_strategy().scope():
        model = make()
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def data(rows, shape):
    generator = np.random.default_rng(0)
    labels = np.eye(10, dtype=np.float32)[generator.integers(0, 10, rows)]
    return generator.random((rows, *shape), dtype=np.float32), labels


def mixed(dataset, layers):
    """The dataset as it is, and as each layer's stage makes it."""
    return {PLAIN: dataset, **{name: dataset.apply(mix(layer, seed=0)) for name, layer in layers.items()}}


def on_images(quick):
    rows, epochs = (256, 1) if quick else (2000, 5)
    dataset = tf.data.Dataset.from_tensor_slices(data(rows, (28, 28, 1))).shuffle(rows).batch(64)
    layers = {
        "KMixupLayer(1)": KMixupLayer(1),
        "KMixupLayer(16)": KMixupLayer(16),
        "LocalMixupLayer()": LocalMixupLayer(),
        "CutMixLayer()": CutMixLayer(),
    }
    datasets = mixed(dataset, layers)
    if hasattr(keras.layers, "MixUp"):
        peer = keras.layers.MixUp()
        datasets[PEER] = dataset.map(
            lambda x, y: tuple(peer({"images": x, "labels": y}).values()), num_parallel_calls=tf.data.AUTOTUNE
        )
    return {name: Fit(networks.small_cnn, each, epochs, 25) for name, each in datasets.items()}


def on_a_table(quick):
    rows, batch, epochs = (256, 64, 1) if quick else (100_352, 1024, 1)
    dataset = tf.data.Dataset.from_tensor_slices(data(rows, (100,))).shuffle(rows).batch(batch)
    layers = {
        "KMixupLayer(1)": KMixupLayer(1),
        "KMixupLayer(32)": KMixupLayer(32),
        "KMixupLayer(32, solver='graph')": KMixupLayer(32, solver="graph"),
    }
    return {name: Fit(networks.small_mlp, each, epochs, 25) for name, each in mixed(dataset, layers).items()}


def endless(batch, size):
    return tf.data.Dataset.from_tensors(data(batch, (size, size, 3))).repeat()


def small_network(quick):
    return lambda: networks.residual_network(*((2, 1, 8) if quick else ()))


def on_a_residual_network(quick):
    dataset = endless(*((16, 8) if quick else (128, 32)))
    layers = {
        "KMixupLayer(1)": KMixupLayer(1),
        "KMixupLayer(32)": KMixupLayer(32),
        "LocalMixupLayer()": LocalMixupLayer(),
        "CutMixLayer()": CutMixLayer(),
    }
    datasets = {name: each.prefetch(tf.data.AUTOTUNE) for name, each in mixed(dataset, layers).items()}
    steps = 1 if quick else 8
    return {name: Steps(small_network(quick), each, steps, 391) for name, each in datasets.items()}


def of_five_interpolations(quick):
    batch, size = (8, 8) if quick else (32, 32)
    dataset, layer = endless(batch, size), MultiMixLayer(5)
    make, steps = small_network(quick), 1 if quick else 8
    datasets = {
        PLAIN: (make, endless(5 * batch, size)),
        "MultiMixLayer(5), in the stage": (make, dataset.apply(mix(layer, seed=0))),
        "MultiMixLayer(5), in MixModel": (lambda: MixModel(make(), layer, seed=0), dataset),
    }
    prefetched = {name: (model, each.prefetch(tf.data.AUTOTUNE)) for name, (model, each) in datasets.items()}
    return {name: Steps(model, each, steps, 391) for name, (model, each) in prefetched.items()}


TABLES = {
    "cnn": Table(
        "`fit` of a small CNN",
        "`fit` of a CNN of two convolutions on 2,000 images of 28x28, batches of 64; whole: 25 epochs.",
        1.25,
        5,
        on_images,
    ),
    "resnet": Table(
        "steps of a ResNet",
        "Steps of a residual network of ten convolutions, batches of 128 32x32x3 images, the stage prefetched; "
        "whole: an epoch of 391 steps.",
        1.01,
        7,
        on_a_residual_network,
    ),
    "mlp": Table(
        "`fit` of an MLP on a table",
        "`fit` of an MLP of two hidden layers of 256 on a table of 100,352 rows of 100 columns, batches of 1,024; "
        "whole: 25 epochs.",
        1.05,
        7,
        on_a_table,
    ),
    "multimix": Table(
        "five mixtures to five times the batch",
        "Steps of the residual network: five mixtures of each of 32 images, beside batches of 160; whole: an "
        "epoch of 391 steps.",
        1.0,
        7,
        of_five_interpolations,
    ),
}
