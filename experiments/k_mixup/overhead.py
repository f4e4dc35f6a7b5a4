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
    """Of one core, by image size and k: medians of rounds, in each of which everything is timed once."""
    cells = {}
    for words, times in SIZES.items():
        x, y = images(times)
        trainer = Trainer(lambda x=x: network(x.shape[1:]), steps_per_call=steps)
        dataset = batches(x, y, batch, seed)
        some = list(dataset.take(steps))
        layers = {k: tf.function(KMixupLayer(k)) for k in ks}
        seen = [
            [of_training(trainer, dataset, steps), *(of_mixing(layer, some) for layer in layers.values())]
            for _ in range(rounds)
        ]
        for place, k in enumerate(ks, start=1):
            cells[f"{words}, k = {k}"] = _numbers(np.array(seen) / steps, place, batch)
    return cells


def _numbers(seen, place, batch):
    """seen: seconds a batch `(rounds, 1 + ks)`, of training, and of mixing by k."""
    training, mixing = seen[:, 0], seen[:, place]
    return {
        "mixing, % of a training step": 100 * float(np.median(mixing / training)),
        "mixing, ms a batch": 1000 * float(np.median(mixing)),
        "training, ms a batch": 1000 * float(np.median(training)),
        "mixing, s in 50,000 images": float(np.median(mixing)) * _CIFAR / batch,
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


def of_mixing(layer, some):
    """Seconds that a layer works on some batches, after a first one, since each training forgets what is compiled."""
    layer(*some[0], training=True)
    started = time.process_time()
    for x, y in some:
        layer(x, y, training=True)
    return time.process_time() - started


def of_training(trainer, dataset, steps):
    """Seconds that training works on an epoch without mixing; the first is left out, in which things are built."""
    ended = []
    trainer.run(dataset, 3 * steps, 0, steps, lambda _: ended.append(time.process_time()))
    return min(np.diff(ended))


def draw(runs):
    from matplotlib import pyplot

    ks = runs.settings["ks"]
    figure, row = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axes, measured, unit in zip(
        row, ("mixing, % of a training step", "mixing, s in 50,000 images"), ("%", "seconds"), strict=True
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
    measured = "mixing, % of a training step"
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
            Claim(f"{words}: k = 32 adds to plain mixup at most 10 % of a small convolution network's training step",
                  _added(words), "1 s of more than 30 s, on a graphics card", unit="% of a step, short of 10")
            for words in SIZES
        ),
        Claim("k = 32 takes no more than a second or so, at most 2 s, in 50,000 images as large as CIFAR-10's",
              AtMost("mixing, s in 50,000 images", "digits as large as CIFAR-10, k = 32", 2.0), "0.69 + 0.5 s",
              unit="s"),
    ],
    draw=draw,
    notes="""
These are times, which no seed repeats: on another machine they are others. They are those that a processor works,
waiting left out, of all threads together; each is the median of five rounds, in which a training step and mixing by
each k are timed one after another. In training, mixing runs beside the step on another core and delays it by less.
The network has two convolutions, 16 and 32 wide: beside larger ones mixing is less. "As large as CIFAR-10" is
32 x 32 x 3, enlarged digits. Error bars are the least and the most of the seeds.
""",
)  # fmt: skip
