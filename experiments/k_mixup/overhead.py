"""What mixing costs beside a training step

The paper says that k = 32 adds about a second to an epoch of CIFAR-10 on a graphics card that takes more than 30.
"""

import time

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer
from kmix_tf.paired import AtMost, Claim, Experiment, Trainer, batches

SIZES = {"8 x 8 digits": 1, "digits as large as CIFAR-10": 4}
_CIFAR = 50_000


def measure(seed, ks, batch, steps, rounds):
    """Seconds by image size and k: medians of rounds, in each of which everything is timed once."""
    cells = {}
    for words, times in SIZES.items():
        x, y = images(times)
        trainer = Trainer(lambda x=x: network(x.shape[1:]), steps_per_call=steps)
        plain = batches(x, y, batch, seed)
        mixed = {k: batches(x, y, batch, seed, KMixupLayer(k)) for k in ks}
        for dataset in (plain, *mixed.values()):
            of_pipeline(dataset, 1)
        of_training(trainer, plain, steps)
        seen = [
            [of_pipeline(plain, steps), of_training(trainer, plain, steps)]
            + [of_pipeline(mixed[k], steps) for k in ks]
            for _ in range(rounds)
        ]
        for place, k in enumerate(ks, start=2):
            cells[f"{words}, k = {k}"] = _numbers(np.array(seen) / steps, place, len(x), batch)
    return cells


def _numbers(seen, place, size, batch):
    """seen: seconds a step `(rounds, ...)`, of batches alone, of training, and of mixed batches by k."""
    alone, training, mixed = seen[:, 0], seen[:, 1], seen[:, place]
    return {
        "mixing, part of a training step": 100 * float(np.median((mixed - alone) / training)),
        "mixing, ms a batch": 1000 * float(np.median(mixed - alone)),
        "training, ms a batch": 1000 * float(np.median(training)),
        "mixing, s in 50,000 images": float(np.median(mixed - alone)) * _CIFAR / batch,
    }


def images(times):
    """Digits, enlarged and in three colours unless `times` is 1; one-hot classes."""
    digits = load_digits()
    x = np.kron(digits.images.astype(np.float32) / 16, np.ones((1, times, times), np.float32))[..., np.newaxis]
    return np.repeat(x, 3 if times > 1 else 1, axis=-1), np.eye(10, dtype=np.float32)[digits.target]


def network(shape):
    """Two convolutions, 16 and 32 wide, and a dense layer."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


def of_pipeline(dataset, steps):
    """Seconds that so many batches take, after the first, which waits for the pipeline to be built."""
    iterator = iter(dataset)
    last = next(iterator)
    started = time.perf_counter()
    for _ in range(steps):
        last = next(iterator)
    tf.nest.map_structure(np.asarray, last)
    return time.perf_counter() - started


def of_training(trainer, dataset, steps):
    """Seconds of the least of two epochs, since the first waits for its pipeline."""
    ended = [time.perf_counter()]
    trainer.run(dataset, 3 * steps, 0, steps, lambda _: ended.append(time.perf_counter()))
    return min(np.diff(ended[1:]))


def draw(runs):
    from matplotlib import pyplot

    ks = runs.settings["ks"]
    figure, row = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axes, measured, unit in zip(
        row, ("mixing, part of a training step", "mixing, s in 50,000 images"), ("%", "seconds"), strict=True
    ):
        for words in SIZES:
            values = np.stack([runs.values(f"{words}, k = {k}", measured) for k in ks], axis=1)
            median, low, high = (np.quantile(values, part, axis=0) for part in (0.5, 0, 1))
            axes.errorbar(ks, median, [median - low, high - median], marker="o", capsize=3, label=words)
        axes.set_xscale("log", base=2)
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.set(xlabel="k", ylabel=unit, title=measured)
        axes.set_ylim(bottom=0)
    row[0].legend()
    return figure


def _added(words):
    """By how much k = 32 is above k = 1, in percent of a training step."""
    measured = "mixing, part of a training step"
    return lambda cells: 10 - (cells[f"{words}, k = 32"][measured] - cells[f"{words}, k = 1"][measured])


EXPERIMENT = Experiment(
    name="k-mixup/overhead",
    items="Section 5.1, computational cost",
    title="What mixing costs beside a training step",
    measure=measure,
    settings={"ks": [1, 4, 16, 32, 64], "batch": 128, "steps": 20, "rounds": 5},
    quick={"steps": 2, "rounds": 1},
    seeds=5,
    claims=[
        *(
            Claim(f"{words}: k = 32 adds at most 10 % of a training step to plain mixup, of a small convolution network",
                  _added(words), "1 s of more than 30 s, 3 %, on a graphics card", unit="% of a step, less than 10")
            for words in SIZES
        ),
        Claim("k = 32 takes no more than a second or so, at most 2 s, in 50,000 images as large as CIFAR-10's",
              AtMost("mixing, s in 50,000 images", "digits as large as CIFAR-10, k = 32", 2.0), "0.69 + 0.5 s",
              unit="s"),
    ],
    draw=draw,
    notes="""
These are times, which no seed repeats: of another machine, or a busy one, they are others. Each is the median of five
rounds, in which batches alone, mixed batches and training are timed one after another, on one thread; mixing is what
mixed batches take longer than batches alone. In training it runs beside the step on another core and delays it by
less. The network has two convolutions, 16 and 32 wide: beside a ResNet-18, whose step takes hundreds of times as
long on a processor, mixing is next to nothing. As large as CIFAR-10's means 32 x 32 x 3; the pictures are enlarged
digits. Error bars are the least and the most of the seeds.
""",
)  # fmt: skip
