"""Shared by the experiments of all ways of mixing: how they are measured, claimed and drawn."""

from experiments.compared.ways import MIXUP, PLAIN, ways
from kmix_tf.paired import Claim, Less, scores

SETTINGS = {"test": 797, "batch": 50, "steps": 600, "width": 16, "rate": 0.05}
QUICK = {"train": 40, "test": 40, "batch": 10, "steps": 4, "width": 2}
TIME = "ms a step"

NOTES = """
*ms a step* is the median over the seeds' second halves of training, on a machine that did other work as well: read
it as an order of magnitude (benchmarks/model_cost.md has ratios taken side by side). All ways have one mixture of a
sample, random pairs unless `k` is named, and the alpha of their papers; none was tuned here. Rate, steps and the
number of images were chosen with seeds 1000 to 1002, by whether the networks without mixing and with Input mixup
learn. Where a way trains on the clean batch besides (Puzzle Mix, Co-Mixup, RegMixup: `clean_weight=1`), its gradients
are sums of both.
"""


def measured(task, test):
    """Scores of each way on the images to test on, and how long its steps took."""
    cells = {}
    for name, way in ways().items():
        trained = way(task)
        cells[name] = {**scores(trained.network, test.x, test.y), TIME: 1e3 * trained.seconds}
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
