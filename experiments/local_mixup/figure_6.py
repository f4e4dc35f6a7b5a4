"""How fast the error falls: Local Mixup against mixup, on the data trained on

Handwritten digits instead of MNIST.
"""

import numpy as np

from experiments.local_mixup.common import draw_spread
from experiments.local_mixup.on_data import MIXUP, PLAIN, SETTINGS, layer, parts, trained, trainer
from kmix_tf import ExponentialWeight
from kmix_tf.paired import Claim, Experiment, Less, scores

PAPER, LOCAL = "Local Mixup, rate 0.001", "Local Mixup, quantile:0.5"
TRAINING, TEST = "mean error in training", "test error in the end"


def measure(seed, sizes, every, alpha, units, batch, steps):
    """Error on the training data after every few steps, its mean over them, and the test error."""
    train, test, _ = parts("digits", sizes, seed)
    by, cells = trainer(train[0].shape[1], 10, units), {}
    layers = {
        PLAIN: layer(alpha=0.0), MIXUP: layer(), PAPER: layer(ExponentialWeight(0.001)),
        LOCAL: layer(ExponentialWeight("quantile:0.5")),
    }  # fmt: skip
    for name, mixing in layers.items():
        curve = []

        def watch(step, curve=curve):
            curve.append(scores(by.network, *train)["error"])

        model = trained(by, train, mixing, batch, steps, seed, every=every, watch=watch)
        cells[name] = {TRAINING: float(np.mean(curve)), TEST: scores(model, *test)["error"], "curve": curve}
    return cells


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.5, 4.2), layout="constrained")
    every, count = runs.settings["every"], runs.settings["sizes"][0]
    for name in runs.arms:
        curves = runs.values(name, "curve")
        epochs = every * np.arange(1, curves.shape[1] + 1) * runs.settings["batch"] / count
        draw_spread(axes, epochs, curves, label=name)
    axes.set(xlabel="epochs", ylabel="error on the training data, %", ylim=(0, None))
    axes.set_yscale("symlog", linthresh=0.1)
    axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="local-mixup/figure-6",
    items="Figure 6",
    title="How fast the error falls: Local Mixup against mixup, on the data trained on",
    measure=measure,
    settings={"sizes": [1000, 797], "every": 50, **SETTINGS, "steps": 400},
    quick={"steps": 100},
    seeds=8,
    claims=[
        Claim("Local Mixup, at the paper's rate, learns faster than mixup", Less(TRAINING, PAPER, MIXUP), "Figure 6"),
        Claim(
            "Local Mixup, with weights of 1/e at the median distance, learns faster than mixup",
            Less(TRAINING, LOCAL, MIXUP), "Figure 6",
        ),
        Claim("plain training learns faster than mixup", Less(TRAINING, PLAIN, MIXUP), ours=True),
    ],
    draw=draw,
    notes="""
The error is measured every 50 steps of 64, on unmixed training data; "mean error in training" is its mean over these
times. The text also compares AdaMixup, which is among the ways of `kmix-tf reproduce compared`.
""",
)  # fmt: skip
