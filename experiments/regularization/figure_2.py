"""Mixup, its approximation and plain training of a small LeNet on digits

The same networks serve Figures 2 and 3 and the histograms of Figure 7.
"""

import functools

import keras
import numpy as np

from experiments.regularization import common
from experiments.regularization.common import APPROXIMATE, MIXUP, PLAIN, SHRUNK, SMOOTHED
from experiments.regularization.drawing import curves, histograms
from experiments.regularization.figure_8 import nearer
from kmix_tf.paired import Claim, Experiment, Less, Trainer, batches

ARMS = [PLAIN, MIXUP, APPROXIMATE, SHRUNK, SMOOTHED]
IN_TERMS = [MIXUP, PLAIN, SHRUNK]
LOSS = "categorical_crossentropy"
CURVES = {"train loss": "nats", "test loss": "nats", "test error": "%"}


def measure(seed, alpha, train_size, rate, momentum, batch, steps, every, mixtures):
    """Scores, their course, confidences and the terms of the approximate risk."""
    data = common.digits(seed, train_size)
    settings = {"optimizer": functools.partial(keras.optimizers.SGD, rate, momentum), "steps_per_call": every}
    plain = Trainer(common.lenet, **settings)
    wrap = common.approximate(data, alpha, LOSS, seed)
    trainers = {APPROXIMATE: Trainer(common.lenet, wrap=wrap, **settings)}
    cells = {}
    for arm in ARMS:
        x, y, layer = common.trained_on(arm, data, alpha)
        trainer = trainers.get(arm, plain)
        course = {each: [] for each in CURVES}

        def watch(step, course=course, network=trainer.network):
            for each, value in standing(network, data).items():
                course[each].append(value)

        trainer.run(batches(x, y, batch, seed, layer), steps, seed, every, watch)
        cells[arm] = {
            **common.scored(trainer.network, data.test_x, data.test_classes),
            **common.confidences(trainer.network, data.test_x),
            **{f"{each} in time": values for each, values in course.items()},
        }  # fmt: skip
        if arm in IN_TERMS:
            cells[arm] |= common.of_risk(trainer.network, data, alpha, LOSS, mixtures, seed)
    return cells


def standing(model, data):
    test = common.scored(model, data.test_x, data.test_classes)
    train = common.scored(model, data.x, data.classes)
    return {"train loss": train["loss"], "test loss": test["loss"], "test error": test["error"]}


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), layout="constrained")
    steps = runs.settings["every"] * (1 + np.arange(runs.values(PLAIN, "test error in time").shape[1]))
    for each, (name, unit) in zip(axes[0], CURVES.items(), strict=True):
        curves(each, runs, [PLAIN, MIXUP, APPROXIMATE], f"{name} in time", steps)
        each.set(xlabel="steps", ylabel=f"{name}, {unit}")
        each.set_yscale("log")
    axes[0, 0].legend(fontsize=8)
    bars(axes[1, 0], runs)
    histograms(axes[1, 1], runs, [PLAIN, SMOOTHED, MIXUP])
    histograms(axes[1, 2], runs, [PLAIN, MIXUP, APPROXIMATE])
    return figure


def bars(axes, runs):
    """Figure 3: the penalties, and the loss on modified data."""
    for place, arm in enumerate(IN_TERMS):
        values = [runs.values(arm, each) for each in ("R1 + R3", "loss on modified data")]
        where = np.arange(2) + 0.27 * (place - 1)
        axes.bar(where, [v.mean() for v in values], 0.25, yerr=[v.std() for v in values], label=arm, capsize=2)
    axes.set_xticks(np.arange(2), ["R1 + R3", "loss on modified data"])
    axes.set_ylabel("nats")
    axes.legend(fontsize=8)


EXPERIMENT = Experiment(
    name="regularization/figure-2",
    items="Figures 2, 3 and 7 in shape, on digits",
    title="Mixup, its approximation and plain training of a small LeNet on digits",
    measure=measure,
    settings={
        "alpha": 1.0, "train_size": 300, "rate": 0.02, "momentum": 0.9, "batch": 100, "steps": 600, "every": 30,
        "mixtures": 20000,
    },
    quick={"train_size": 50, "steps": 20, "every": 20, "mixtures": 100},
    seeds=10,
    claims=[
        Claim("approximate mixup is nearer to mixup than plain training is: test error", nearer("error")),
        Claim("approximate mixup is nearer to mixup than plain training is: test loss", nearer("loss"), unit="nats"),
        Claim("mixup has smaller penalties R1 + R3 than plain training", Less("R1 + R3", MIXUP, PLAIN), unit="nats"),
        Claim("mixup has smaller penalties R1 + R3 than plain training on modified data",
              Less("R1 + R3", MIXUP, SHRUNK), unit="nats"),
        Claim("mixup's loss on modified data is not the smallest: plain training on them has less",
              Less("loss on modified data", SHRUNK, MIXUP), unit="nats"),
        Claim("label smoothing is less confident than plain training", Less("confidence", SMOOTHED, PLAIN)),
        Claim("mixup is less confident than label smoothing", Less("confidence", MIXUP, SMOOTHED)),
        Claim("approximate mixup, like mixup, is less confident than plain training",
              Less("confidence", APPROXIMATE, PLAIN)),
        Claim("mixup errs less than plain training", Less("error", MIXUP, PLAIN)),
    ],
    draw=draw,
    notes="""The paper trains LeNet on CIFAR-10; here its layers, made for 8 x 8 pixels, learn scikit-learn's
digits from 300 of them, and the other 1,497 are the test set. Momentum of 0.9 and 200 rounds of the data are the
paper's. The rest differs: the paper has a rate of 0.01, a tenth of it from round 100 on, batches of 128 and weight
decay of 5e-4; here the rate is 0.02 throughout, batches are of 100, so that three make a round, and there is no
decay. Rate and batch were set for so short a training (600 steps, not some 78,000); no record was kept of how the
rate was chosen. Its figures print no numbers. Approximate mixup is trained without R2, as there; the penalties of the
trained networks are computed exactly, by Theorem 2 with pseudo-inverses, for the inverses of the printed form do
not exist. Train and test loss are those of the data as they are, of every arm. The approximate risk stands beside
mixup's own, the mean of 20,000 mixtures. R1 + R3 may be below 0: a confident network has hardly any curvature,
and then what ties its slopes to the targets is all that is left.""",
)  # fmt: skip
