"""Rescaled prediction over alpha, on noisy two moons with random features"""

import functools

import keras
import numpy as np

from experiments.regularization import common
from experiments.regularization.common import MIXUP, PLAIN, mixup_arm, rescaled_arm
from experiments.regularization.drawing import over_alphas
from kmix_tf.paired import Claim, Experiment, Less, More, Trainer, batches

MEASURES = {"error": "test error, %", "loss": "test loss, nats", "calibration": "test calibration error, %"}
NOISY = "calibration, noisy labels"


def measure(seed, alphas, features, scale, rate, batch, steps):
    """Test error, loss and calibration; the last also against test labels as noisy as those of training."""
    data = common.noisy_moons(seed)
    trainer = Trainer(
        functools.partial(common.random_features, features, scale), functools.partial(keras.optimizers.SGD, rate),
        keras.losses.BinaryCrossentropy(from_logits=True), steps_per_call=20,
    )  # fmt: skip
    generator = np.random.default_rng(seed + 1000)
    flipped = np.isin(np.arange(len(data.test_x)), generator.permutation(len(data.test_x))[: len(data.test_x) // 5])

    def look(model):
        of_noisy = common.scored(model, data.test_x, np.where(flipped, 1 - data.test_classes, data.test_classes))
        return {**common.scored(model, data.test_x, data.test_classes), NOISY: of_noisy["calibration"]}

    def train(layer):
        return trainer.run(batches(data.x, data.y, batch, seed, layer), steps, seed)

    return common.over_alphas(data, alphas, train, look)


def gain(measure, alpha):
    """What rescaling takes off a measure of mixup."""
    return Less(measure, rescaled_arm(MIXUP, alpha), mixup_arm(alpha))


def more_with_alpha(measure, low, high):
    return lambda cells: gain(measure, high)(cells) - gain(measure, low)(cells)


def claims_of(low, middle, high):
    """What Figure 4 shows, at three alphas named beforehand."""
    units = {"error": "points", "loss": "nats", "calibration": "points"}
    helps = [
        Claim(f"rescaling improves mixup at alpha = {alpha:g}: test {each}", gain(each, alpha), unit=unit)
        for alpha in (low, middle, high)
        for each, unit in units.items()
    ]
    grows = [
        Claim(
            f"rescaling improves mixup more at alpha = {high:g} than at {low:g}: test {each}",
            more_with_alpha(each, low, high),
            unit=unit,
        )
        for each, unit in units.items()
    ]
    hurts = [
        Claim(
            f"rescaled plain training gets worse, at alpha = {alpha:g}: test {each}",
            More(each, rescaled_arm(PLAIN, alpha), PLAIN), unit=unit,
        )
        for alpha in (low, middle, high)
        for each, unit in units.items()
    ]  # fmt: skip
    return [*helps, *grows, *hurts]


def draw_over_alphas(all_axes, runs, measures):
    """A measure each, of both arms as they are and rescaled."""
    arms = {
        PLAIN: lambda alpha: PLAIN,
        f"{PLAIN}, rescaled": functools.partial(rescaled_arm, PLAIN),
        MIXUP: mixup_arm,
        f"{MIXUP}, rescaled": functools.partial(rescaled_arm, MIXUP),
    }
    for axes, (each, words) in zip(all_axes, measures.items(), strict=True):
        over_alphas(axes, runs, each, arms, runs.settings["alphas"])
        axes.set_ylabel(words)
    all_axes[0].legend(fontsize=8)


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 4, figsize=(17, 3.6), layout="constrained")
    draw_over_alphas(axes, runs, {**MEASURES, NOISY: "calibration error, noisy labels, %"})
    return figure


EXPERIMENT = Experiment(
    name="regularization/figure-4-moons",
    items="Figure 4 in shape, on two moons",
    title="Rescaled prediction over alpha, on noisy two moons with random features",
    measure=measure,
    settings={
        "alphas": [0.25, 0.5, 1, 2, 4, 8], "features": 1000, "scale": 10.0, "rate": 5.0, "batch": 50,
        "steps": 3000,
    },
    quick={"alphas": [0.25, 1, 8], "features": 50, "steps": 20},
    seeds=30,
    claims=claims_of(0.25, 1, 8),
    draw=draw,
    notes="""The paper's Figure 4 is of ResNets on CIFAR and ImageNet; this is its setting of Section B.3.
Twenty percent of the training labels are flipped and no test label is: a model that has learnt the truth about
noisy labels is then too modest on test labels, and whatever sharpens it looks better calibrated. "Calibration,
noisy labels" is against test labels of which 20 % are flipped, too, and shows what is mixing's own part.""",
)  # fmt: skip
