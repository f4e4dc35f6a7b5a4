"""Whom a sample is matched with: optimal transport in groups of 32, and its nearest in a group

Figures 3 and 7 show it for one sample of each toy; here all samples of random groups are also counted.
"""

import numpy as np

from experiments.k_mixup import common, geometry
from experiments.k_mixup.common import BARS, RING, ROLL, TOYS
from kmix_tf.analysis import matching_distribution
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment, Less

RANDOM, TRANSPORT, NEAREST = "random (k = 1)", "optimal transport", "the nearest"
_DRAWN = "drawn of the first seed"


def measure(seed, k, n, trials, index, trials_drawn):
    """How many pairs are of two classes, and how far apart those of one are; all ways on the same groups."""
    cells, drawn = {}, {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        pairs = geometry.groups(n, k, trials, np.random.default_rng(seed))
        partners = {
            RANDOM: pairs[:, 1], TRANSPORT: geometry.transported(x, pairs), NEAREST: geometry.nearest(x, pairs)
        }  # fmt: skip
        for way, partner in partners.items():
            cells[f"{toy}, {way}"] = _numbers(x, y, pairs[:, 0], partner)
        if seed == 0:
            found = matching_distribution(x, index, k, trials_drawn, seed)
            drawn[f"{toy}, {TRANSPORT}"] = _likely(found.probabilities)
            drawn[f"{toy}, {NEAREST}"] = _likely(geometry.nearest_distribution(x, index, k))
    return {**cells, _DRAWN: drawn} if seed == 0 else cells


def _numbers(x, y, first, second):
    squares, is_same = np.square(x[first] - x[second]).sum(axis=-1), y[first] == y[second]
    return {
        "pairs of two classes": 100 * float(np.mean(~is_same)),
        "distance within a class": float(np.sqrt(squares[is_same].mean())),
    }


def _likely(probabilities):
    """Rows and probabilities of the partners that are had at least once in 10,000 draws."""
    rows = np.flatnonzero(probabilities > 1e-4)
    return [rows, probabilities[rows].round(5)]


def draw(runs):
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 3, figsize=(11, 6.6), layout="constrained")
    drawn, index = runs.cells.get(0, {}).get(_DRAWN, {}), runs.settings["index"]
    for row, way in zip(grid, (TRANSPORT, NEAREST), strict=True):
        for axes, toy in zip(row, TOYS, strict=True):
            x, _ = common.data(toy, runs.settings["n"], 0)
            axes.scatter(*x.T, s=4, color="0.75", linewidths=0)
            if drawn:
                rows, probabilities = drawn[f"{toy}, {way}"]
                _partners(axes, x[np.array(rows, int)], np.array(probabilities))
            axes.scatter(*x[index], s=150, marker="*", color="red", edgecolors="white", linewidths=0.8, zorder=3)
            across = runs.mean(f"{toy}, {way}", "pairs of two classes")
            axes.set(xticks=[], yticks=[], title=f"{toy}, {way}\n{across:.1f} % of pairs of two classes")
    return figure


def _partners(axes, x, probabilities):
    order = np.argsort(probabilities)
    areas = np.clip(4000 * probabilities, 4, 90)
    looks = {"cmap": "viridis_r", "vmin": 0, "edgecolors": "0.35", "linewidths": 0.2, "zorder": 2}
    drawn = axes.scatter(*x[order].T, s=areas[order], c=probabilities[order], **looks)
    axes.figure.colorbar(drawn, ax=axes, label="probability")


def _exception(cells):
    """By how much the roll has more nearest pairs of two classes than either of the other toys."""
    shares = {toy: cells[f"{toy}, {NEAREST}"]["pairs of two classes"] for toy in TOYS}
    return shares[ROLL] - max(shares[RING], shares[BARS])


def claims():
    found = []
    for toy in TOYS:
        random, transport, near = (f"{toy}, {way}" for way in (RANDOM, TRANSPORT, NEAREST))
        found += [
            Claim(
                f"{toy}: transport's matches are local: nearer, within a class, than random pairs",
                Less("distance within a class", transport, random), unit="",
            ),
            Claim(f"{toy}: some of transport's matches join two classes",
                  AtLeast("pairs of two classes", transport, 0.0)),
            Claim(
                f"{toy}: pairs with the nearest are of two classes more seldom than transport's",
                Less("pairs of two classes", near, transport), unit="points",
            ),
            Claim(
                f"{toy}: within a class, the nearest are nearer to the sample than transport's matches",
                Less("distance within a class", near, transport), unit="",
            ),
        ]  # fmt: skip
    return [
        *found,
        *(
            Claim(f"{toy}: at most 2 % of pairs with the nearest are of two classes",
                  AtMost("pairs of two classes", f"{toy}, {NEAREST}", 2.0))
            for toy in (RING, BARS)
        ),
        Claim("the Swiss roll is the exception: pairs with the nearest are of two classes more often than elsewhere",
              _exception),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="k-mixup/figure-3",
    items="Figure 3, Figure 7",
    title="Whom a sample is matched with: optimal transport in groups of 32, and its nearest in a group",
    measure=measure,
    settings={"k": 32, "n": 512, "trials": 400, "index": 0, "trials_drawn": 10_000},
    quick={"trials": 40, "trials_drawn": 500},
    seeds=20,
    claims=claims(),
    table=common.table_without(_DRAWN),
    draw=draw,
    notes="""
Pairs of two classes are in percent of all pairs; the distance within a class is the root of the mean square, in the
units of the set. All three ways pair the same random groups of 32, random pairs by the order in which they are drawn.
The figure shows the partners of one sample, the star: by optimal transport as 10,000 random groups have them, by
nearness exactly. Partners of less than 1 in 10,000 are left out. Each seed draws a new set of 512.
""",
)  # fmt: skip
