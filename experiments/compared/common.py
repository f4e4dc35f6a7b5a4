"""Shared by the experiments of all ways of mixing: how they are measured, claimed and drawn."""

from experiments.compared.ways import MIXUP, PLAIN, ways
from kmix_tf.paired import Claim, Less, scores

SETTINGS = {"test": 797, "batch": 50, "steps": 600, "width": 16, "rate": 0.05}
QUICK = {"train": 40, "test": 40, "batch": 10, "steps": 4, "width": 2}

NOTES = """
All ways have one mixture of a sample, random pairs unless `k` is named, and the alpha of their papers; none was
tuned here. What a step of each costs is in benchmarks/model_cost.md. Rate, steps and the number of images were chosen
with seeds 1000 to 1002, by whether the networks without mixing and with Input mixup learn. Where a way trains on the
clean batch besides (Puzzle Mix, Co-Mixup, RegMixup, AdaMixup, AutoMix, SAMix: `clean_weight=1`), its gradients are
sums of both, so that its steps are longer at the same rate. AutoMix' copy follows the model with a momentum of 0.99,
not 0.999, because training is short; StyleMix' networks are an autoencoder of two convolutions each, trained on the
same images for as many steps; Attentive CutMix asks a network that was trained without mixing; decoupled mixup is
Input mixup with eta = 0.01. These methods' papers train residual networks on CIFAR and ImageNet for hundreds of
epochs: that a method does not help here says nothing of that.
"""


def measured(task, test):
    """Scores of each way on the images to test on."""
    cells = {}
    for name, way in ways().items():
        cells[name] = scores(way(task), test.x, test.y)
    return cells


def claims():
    """Of ours: each way against no mixup and against Input mixup."""
    return [
        Claim(f"{way} has less error than {than}", Less("error", way, than), ours=True)
        for way in ways()
        for than in (PLAIN, MIXUP)
        if way != PLAIN and way != than
    ]


def draw(runs):
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 2, figsize=(11, 6), layout="constrained", sharey=True)
    names = sorted(runs.arms, key=lambda arm: runs.mean(arm, "error"), reverse=True)
    for axes, (measure, words) in zip(
        all_axes, {"error": "test error, %", "calibration": "calibration error, %"}.items(), strict=True
    ):
        for place, name in enumerate(names):
            values = runs.values(name, measure)
            axes.plot(values, [place] * len(values), ".", color="0.65")
            axes.plot(values.mean(), place, "o", color="black" if name in (PLAIN, MIXUP) else "tab:blue")
        axes.axvline(runs.mean(PLAIN, measure), linestyle=":", color="black")
        axes.set(xlabel=f"{words}; gray: each seed; dotted: no mixup")
    all_axes[0].set_yticks(range(len(names)), names)
    return figure
