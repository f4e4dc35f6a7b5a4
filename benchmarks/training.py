"""What mixing costs a training: whole `fit` runs, and steps, beside the same training without mixing.

    python benchmarks/training.py            # the tables on the terminal
    python benchmarks/training.py --write    # also into benchmarks/training.md and .json
    python benchmarks/training.py --quick    # that it runs: tiny sizes, numbers of no worth

Everything runs twice: on the machine as it is, and by `MirroredStrategy` on two logical devices, in a process of its
own. Where the step keeps all cores busy, what the stage computes comes on top of it, prefetched or not. So each row
has a bound besides its ratio: 1 + processor time of the stage alone / processor time of plain training.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import harness
import keras
import networks
import numpy as np
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, LocalMixupLayer, MixModel, MultiMixLayer, mix

TITLE = "What mixing costs a training"
PLAIN, PEER = "without mixing", "keras.layers.MixUp()"
BOUND = "processor time of the stage alone on top of that of training"
REPLICAS = 2
_CHILD = "KMIX_TF_BENCHMARK_REPLICAS"


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


def measured(table, quick, rounds):
    """For each training: ms a step, ratio and quartiles, ratio of processor time, the bound, seconds of the whole."""
    keras.utils.set_random_seed(0)
    trainings = table.make(quick)
    rounds = rounds or (1 if quick else table.rounds)
    times = harness.interleaved(trainings, rounds, table.short)
    steps = {name: each.steps for name, each in trainings.items()}
    rows = harness.compared(times, PLAIN, steps)
    stages = {name: alone(each, 1 if quick else 3) for name, each in trainings.items()}
    plain = trainings[PLAIN]
    for name, row in rows.items():
        each = trainings[name]
        spent = [a / b for a, b in zip(each.spent[-rounds:], plain.spent[-rounds:], strict=True)]
        row["processor"] = statistics.median(spent)
        row["bound"] = 1 + (stages[name] - stages[PLAIN]) / statistics.median(plain.spent)
        row |= each.summary(row["ms"])
        row["whole ratio"] = row["whole"] / rows[PLAIN]["whole"]
    return rows


def alone(training, times):
    """Milliseconds of processor time of the stage of a call, by itself."""
    training.stage()
    return statistics.median(processor_time(training.stage) for _ in range(times))


def all_tables(quick, rounds):
    return {name: measured(table, quick, rounds) for name, table in TABLES.items()}


def on_replicas(quick, rounds):
    """All tables once more, by a process that has several logical devices."""
    environment = {**os.environ, _CHILD: json.dumps([quick, rounds])}
    command = [sys.executable, str(harness.HERE / "training.py")]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def measure(quick: bool, rounds: int | None) -> dict:
    return {"one": all_tables(quick, rounds), "replicas": on_replicas(quick, rounds)}


def as_child(quick, rounds):
    """What the process of `on_replicas` does."""
    processor = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * REPLICAS
    tf.config.set_logical_device_configuration(processor, devices)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(REPLICAS)])
    with strategy.scope():
        print(json.dumps(all_tables(quick, rounds)))


def goals(results: dict) -> list[dict]:
    """Each row of each table has to meet the goal of its table."""
    found = []
    for where, tables in results.items():
        on = "" if where == "one" else f", {REPLICAS} replicas"
        for table, rows in tables.items():
            short, goal = TABLES[table].short, TABLES[table].goal
            for name, row in rows.items():
                if name in (PLAIN, PEER):
                    continue
                found.append(harness.goal(f"{short}, {name}{on}", row["ratio"], goal, "", row["bound"], BOUND))
    return found


def markdown(results: dict) -> str:
    parts = [
        "Ratio: to training without mixing in the same round, median and quartiles. Processor: the same ratio of "
        "processor time, of all threads. Bound: 1 + processor time of the stage alone / that of plain training: the "
        "least ratio where the step keeps all cores busy. Whole: seconds with what is done once, and its ratio."
    ]
    for where, title in (("one", "On the machine"), ("replicas", "`MirroredStrategy`, two logical devices")):
        parts.append(f"## {title}")
        parts += [section(TABLES[name], rows) for name, rows in results[where].items()]
    return "\n\n".join(parts)


def section(table, rows):
    lines = []
    for name, row in rows.items():
        others = [f"{row[key]:.2f}" for key in ("processor", "bound", "whole", "whole ratio")]
        lines.append([name, f"{row['ms']:.2f}", harness.cell(row), *others])
    header = ["", "ms a step", "ratio", "processor", "bound", "whole, s", "whole ratio"]
    return f"{table.what} Goal: {table.goal}.\n\n{harness.table(header, lines)}"


if _CHILD in os.environ and __name__ == "__main__":
    as_child(*json.loads(os.environ[_CHILD]))
else:
    harness.main(__name__, __doc__)
