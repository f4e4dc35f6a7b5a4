"""What networks learn of three toys without mixing, with plain mixup and with 32-mixup

Figure 1 shows it; here it is also measured: errors, how clearly classes are told apart, and what lies between them.
"""

import numpy as np

from experiments.k_mixup import common
from experiments.k_mixup.common import PLAIN, TOYS
from kmix_tf import KMixupLayer
from kmix_tf.paired import AtMost, Claim, Experiment, Less, More, probabilities

_REGIONS = "decision regions of the first seed"


def measure(seed, alpha, ks, resolution, n, test, batch, epochs, units, rate, momentum, weight_decay):
    """Scores and behaviour between classes, by toy and k; of seed 0 also probabilities over the plane."""
    of, steps = common.trainer(n, batch, epochs, units, rate, momentum, weight_decay)
    layers = {PLAIN: None, **{f"k = {k}": KMixupLayer(k, alpha, num_classes=2) for k in ks}}
    cells, regions = {}, {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        grid, _ = common.plane(x, resolution)
        for how, layer in layers.items():
            model = common.trained(of, x, y, layer, batch, steps, seed)
            cells[f"{toy}, {how}"] = common.behaviour(model, *common.tested_on(toy, test, seed))
            regions[f"{toy}, {how}"] = probabilities(model, grid)[:, 1].round(2).reshape(resolution, -1)
    return {**cells, _REGIONS: regions} if seed == 0 else cells


def draw(runs):
    from matplotlib import pyplot

    hows = [PLAIN, *(f"k = {k}" for k in runs.settings["ks"])]
    figure, grid = pyplot.subplots(3, len(hows), figsize=(3.1 * len(hows) + 1, 8.6), layout="constrained")
    regions = runs.cells.get(0, {}).get(_REGIONS, {})
    for row, toy in zip(grid, TOYS, strict=True):
        x, y = common.data(toy, runs.settings["n"], 0)
        _, extent = common.plane(x, 2)
        for axes, how in zip(row, hows, strict=True):
            arm = f"{toy}, {how}"
            if arm in regions:
                drawn = _drawn(axes, np.array(regions[arm]), extent, x, y)
            axes.set(xticks=[], yticks=[], title=f"{how}\ntest error {runs.mean(arm, 'error'):.1f} %")
        row[0].set_ylabel(toy)
    if regions:
        figure.colorbar(drawn, ax=grid, label="probability of class 1", shrink=0.6)
    return figure


def _drawn(axes, probability, extent, x, y):
    looks = {"origin": "lower", "extent": extent, "aspect": "auto", "interpolation": "bilinear"}
    drawn = axes.imshow(probability, cmap="RdBu_r", vmin=0, vmax=1, **looks)
    axes.contour(probability, levels=[0.5], colors="black", linewidths=1, extent=extent)
    for label, colour in ((0, "#c6dbef"), (1, "#fcbba1")):
        axes.scatter(*x[y == label].T, s=6, color=colour, edgecolors="black", linewidths=0.3)
    return drawn


def claims():
    found = []
    for toy in TOYS:
        plain, one, many = (f"{toy}, {how}" for how in (PLAIN, "k = 1", "k = 32"))
        found += [
            Claim(f"{toy}: without mixing, test error is at most 1 %", AtMost("error", plain, 1.0), "typically 0 %"),
            Claim(f"{toy}: 32-mixup has more contrast, so less blur, than plain mixup", More("contrast", many, one)),
            Claim(f"{toy}: 32-mixup has less error than plain mixup", Less("error", many, one)),
            Claim(
                f"{toy}: 32-mixup smooths between classes more than no mixing: its transition is longer",
                More("transition", many, plain), unit="points of the way",
            ),
            Claim(
                f"{toy}: 32-mixup's boundary is nearer to the middle between classes than no mixing's jagged one",
                Less("off the middle", many, plain), unit="points of the way",
            ),
        ]  # fmt: skip
    return found


EXPERIMENT = Experiment(
    name="k-mixup/figure-1",
    items="Figure 1",
    title="What networks learn of three toys without mixing, with plain mixup and with 32-mixup",
    measure=measure,
    settings={"alpha": 1.0, "ks": [1, 32], "resolution": 48, **common.TRAINING, **common.SGD},
    quick={"epochs": 4, "test": 500, "resolution": 12},
    seeds=10,
    claims=claims(),
    table=common.table_without(_REGIONS),
    draw=draw,
    notes=common.ABOUT_TRAINING + """
Error and calibration are in percent, loss in nats. Contrast is the mean probability of the true class, in percent.
Transition and "off the middle" are in percent of the way between 500 samples at the edges of their classes and the
nearest of the other class: the part of it on which no class has 90 %, and how far from its middle classes change.
The paper has pictures here, and no such numbers. Dots are the samples trained on.
""",
)  # fmt: skip
