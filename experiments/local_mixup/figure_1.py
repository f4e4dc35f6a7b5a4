"""Where mixtures of one class fall: mixup's cross the other class, Local Mixup's do not

A drawing in the paper; here on two spirals without noise, where the class of every place is known.
"""

import numpy as np
from scipy.spatial import cKDTree

from experiments.local_mixup.common import NearPairs
from kmix_tf.analysis import coiling_spirals
from kmix_tf.paired import AtMost, Claim, Experiment, Less, More, Runs, arms_table

NOTHING, LOCAL, MIXUP, DATA = "no mixing", "Local Mixup", "mixup", "data"
WRONG = "among the other class, %"


def measure(seed, count, epsilon, ratios, dense, shown):
    """Of mixtures of two samples of one class, the share that lies nearer to the other arm than to its own."""
    everywhere = coiling_spirals(dense, thickness=0.0, seed=seed)
    x, y, arms = everywhere.x[:count], everywhere.y[:count], cKDTree(everywhere.x)
    ratio = np.linspace(0, 1, ratios)[:, np.newaxis, np.newaxis]
    pairs, cells = NearPairs(x), {}
    for name, limit in {NOTHING: 0, LOCAL: epsilon, MIXUP: np.inf}.items():
        first, second = pairs.rows(pairs.within(limit))
        kept = (y[first] == y[second]) & (first <= second)
        first, second = first[kept], second[kept]
        mixtures = ratio * x[first] + (1 - ratio) * x[second]
        wrong = everywhere.y[arms.query(mixtures)[1]] != y[first]
        cells[name] = {"segments": int((first < second).sum()), WRONG: 100 * float(wrong.mean())}
        if seed == 0:
            few = np.random.default_rng(0).permutation(len(first))[:shown]
            cells[name] |= {"first": first[few], "second": second[few]}
    if seed == 0:
        cells[DATA] = {"x": x.round(3), "y": y}
    return cells


def table(runs):
    arms = {seed: {name: row for name, row in cells.items() if name != DATA} for seed, cells in runs.cells.items()}
    return arms_table(Runs(runs.settings, arms))


def draw(runs):
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 3, figsize=(12, 4.3), layout="constrained")
    cells = runs.cells.get(0, {})
    for axes, name in zip(all_axes, (NOTHING, LOCAL, MIXUP), strict=True):
        axes.set(title=f"{name}: {runs.mean(name, WRONG):.1f} % cross", xticks=[], yticks=[], aspect="equal")
        if DATA not in cells:
            continue
        x, y, row = np.array(cells[DATA]["x"]), np.array(cells[DATA]["y"]), cells[name]
        for first, second in zip(row["first"], row["second"], strict=True):
            axes.plot(*x[[first, second]].T, color=f"C{y[first]}", linewidth=0.6, alpha=0.6)
        for label, marker in ((0, "o"), (1, "^")):
            axes.scatter(*x[y == label].T, s=12, color=f"C{label}", marker=marker, label=f"class {label}", zorder=3)
    all_axes[0].legend(loc="lower right")
    return figure


EXPERIMENT = Experiment(
    name="local-mixup/figure-1",
    items="Figure 1",
    title="Where mixtures of one class fall: mixup's cross the other class, Local Mixup's do not",
    measure=measure,
    settings={"count": 200, "epsilon": 0.3, "ratios": 11, "dense": 8000, "shown": 300},
    quick={"count": 60, "dense": 800},
    seeds=20,
    claims=[
        Claim(
            "more than a fifth of mixup's mixtures of one class lie among the other class",
            lambda cells: cells[MIXUP][WRONG] - 20, "a drawing",
        ),
        Claim(
            "fewer of Local Mixup's mixtures of one class than of mixup's lie among the other class",
            Less(WRONG, LOCAL, MIXUP), "a drawing",
        ),
        Claim(
            "at most 1 % of Local Mixup's mixtures of one class lie among the other class",
            AtMost(WRONG, LOCAL, 1.0), "none in the drawing",
        ),
        Claim("Local Mixup still mixes", More("segments", LOCAL, NOTHING), "a drawing", unit="segments"),
    ],
    table=table,
    draw=draw,
    notes="""
Mixtures of two samples of one class, at equally spaced ratios; a mixture is among the other class if the nearest
point of the two curves, of 8000, is of that class. Segments drawn are a sample of them. The arms are 0.6 apart, in
units in which coordinates have variance 1, and epsilon is half of that.
""",
)  # fmt: skip
