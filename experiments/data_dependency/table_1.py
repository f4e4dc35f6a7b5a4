"""Mixup fails on three points of alternating classes on a line

Each step takes the whole data set, every point with a partner. In the paper a point may be its own partner; with our
default it may not, which leaves out what speaks for the middle point.
"""

import keras
import numpy as np
import tensorflow as tf

from kmix_tf import BetaRatio, MixLayer, RandomPairing
from kmix_tf.analysis import alternating_line
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment, More, Trainer, batches, probabilities

PLAIN = "no mixing"
PAIRS = {"with itself": True, "never with itself": False}


def network(units):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dense(2)])


def measure(seed, alphas, units, steps, every):
    """Class 1's probability at each point, by way of mixing, and training errors in the course of training."""
    x, y = alternating_line(3)
    x, y = x.astype(np.float32), y.astype(np.int32)
    trainer = Trainer(lambda: network(units), steps_per_call=every)
    layers = {PLAIN: MixLayer(ratio=BetaRatio(0.0), num_classes=2)}
    for words, is_with_itself in PAIRS.items():
        for alpha in alphas:
            pairing = RandomPairing(with_itself=is_with_itself)
            layers[arm(alpha, words)] = MixLayer(pairing, BetaRatio(alpha, scope="sample"), num_classes=2)
    cells = {}
    for name, layer in layers.items():
        curve = []

        def watch(step, curve=curve):
            curve.append(error(trainer.network, x, y))

        trainer.run(batches(x, y, 3, seed, layer), steps, seed, every, watch)
        of_first = probabilities(trainer.network, x)[:, 0]
        cells[name] = {
            "at 0": of_first[0], "at 1": of_first[1], "at 2": of_first[2],
            "error": error(trainer.network, x, y), "curve": curve,
        }  # fmt: skip
    return cells


def arm(alpha, words):
    return f"alpha = {alpha:g}, {words}"


def error(model, x, y):
    return 100 * float(np.mean(tf.argmax(model(x), axis=1).numpy() != y))


def draw(runs):
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axes, words in zip(all_axes, PAIRS, strict=True):
        for name in [PLAIN, *(arm(alpha, words) for alpha in runs.settings["alphas"])]:
            curves, every = runs.values(name, "curve"), runs.settings["every"]
            steps = every * np.arange(1, curves.shape[1] + 1)
            mean, spread = curves.mean(axis=0), curves.std(axis=0)
            (line,) = axes.plot(steps, mean, label=name.split(",")[0])
            axes.fill_between(steps, mean - spread, mean + spread, alpha=0.2, color=line.get_color())
        axes.set(title=f"pairs {words}", xlabel="steps", ylabel="training error, %")
        axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="data-dependency/table-1",
    items="Table 1, Figure 1",
    title="Mixup fails on three points of alternating classes on a line",
    measure=measure,
    settings={"alphas": [1, 32, 128], "units": 512, "steps": 1500, "every": 50},
    quick={"steps": 200, "every": 50},
    seeds=10,
    claims=[
        Claim("without mixing, all points are fitted", AtMost("error", PLAIN, 1.0), "0 %", is_exact=True),
        Claim(
            "at alpha = 32 the middle point is taken for its neighbours' class: probability above 1/2",
            AtLeast("at 1", arm(32, "with itself"), 0.5), ".603", unit="",
        ),
        Claim(
            "at alpha = 128 more so than at 1",
            More("at 1", arm(128, "with itself"), arm(1, "with itself")), ".650 and .156", unit="",
        ),
        Claim(
            "at alpha = 1 it is not",
            AtMost("at 1", arm(1, "with itself"), 0.5), ".156", unit="",
        ),
    ],
    paper={
        arm(1, "with itself"): {"at 0": 0.995, "at 1": 0.156, "at 2": 0.979},
        arm(32, "with itself"): {"at 0": 1.0, "at 1": 0.603, "at 2": 0.997},
        arm(128, "with itself"): {"at 0": 1.0, "at 1": 0.650, "at 2": 0.997},
    },
    draw=draw,
    notes="The paper does not print the number of steps; 1,500 is what it prints for the two moons.",
)  # fmt: skip
