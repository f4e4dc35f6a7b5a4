"""Couplings and mixtures of plain mixup and of 32-mixup

The couplings are of one batch; where mixtures fall is measured on many: figure-4 does that for more k.
"""

import numpy as np

from experiments.k_mixup import common, geometry
from experiments.k_mixup.common import TOYS
from kmix_tf import KMixupLayer
from kmix_tf.paired import Claim, Experiment, Less, More
from kmix_tf.plot import plot_coupling

_DRAWN = "drawn of the first seed"


def measure(seed, ks, alpha, n, coupled):
    """Of random groups: how far partners are, and where mixtures fall; of seed 0 also the points that are drawn."""
    cells, drawn = {}, {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        for k in ks:
            mixed, labels = mixtures(x, y, k, alpha, seed)
            cells[f"{toy}, k = {k}"] = _numbers(toy, x, y, k, mixed, seed)
            if seed == 0:
                drawn[f"{toy}, k = {k}, mixtures"] = np.column_stack([mixed, labels]).round(3)
                drawn[f"{toy}, k = {k}, partners"] = _partners(x[:coupled], k)
    return {**cells, _DRAWN: drawn} if seed == 0 else cells


def mixtures(x, y, k, alpha, seed):
    """As many mixtures as samples, each with a ratio of its own, and their shares of class 1."""
    mixed, labels = KMixupLayer(k, alpha, scope="sample", num_classes=2)(x, y, training=True, seed=seed)
    return np.asarray(mixed), np.asarray(labels)[:, 1]


def _numbers(toy, x, y, k, mixed, seed):
    pairs = geometry.groups(len(x), k, max(1, 2048 // k), np.random.default_rng([seed, k]))
    first, second = pairs[:, 0], geometry.transported(x, pairs)
    is_near, _ = geometry.near(toy, mixed)
    return {
        "distance of partners": float(np.sqrt(np.square(x[first] - x[second]).sum(axis=-1).mean())),
        "pairs of two classes": 100 * float(np.mean(y[first] != y[second])),
        "mixtures near the data": 100 * float(is_near.mean()),
    }


def _partners(x, k):
    """Of the first half of the samples, matched with the second half in groups of k; and the other way round."""
    half = len(x) // 2
    pairs = np.arange(2 * half).reshape(2, -1, min(k, half)).swapaxes(0, 1)
    found = np.arange(len(x))
    found[pairs[:, 0]] = geometry.transported(x, pairs)
    found[found[:half]] = np.arange(half)
    return found


def draw(runs):
    from matplotlib import pyplot

    drawn, (one, many) = runs.cells.get(0, {}).get(_DRAWN, {}), runs.settings["ks"]
    figure, grid = pyplot.subplots(4, 3, figsize=(10.5, 13), layout="constrained")
    for column, toy in zip(grid.T, TOYS, strict=True):
        x, y = common.data(toy, runs.settings["n"], 0)
        for axes, k in zip(column[:2], (one, many), strict=True):
            if drawn:
                _coupling(axes, x, y, drawn[f"{toy}, k = {k}, partners"], runs.settings["coupled"])
            axes.set_title(f"{toy}: coupling, k = {k}")
        for axes, k in zip(column[2:], (one, many), strict=True):
            if drawn:
                _vicinal(axes, x, np.array(drawn[f"{toy}, k = {k}, mixtures"]))
            share = runs.mean(f"{toy}, k = {k}", "mixtures near the data")
            axes.set(xticks=[], yticks=[], title=f"mixtures, k = {k}: {share:.0f} % near the data")
    return figure


def _coupling(axes, x, y, partners, coupled):
    x, partners = x[:coupled], np.array(partners)
    plot_coupling(x, partners, (x + x[partners]) / 2, y[:coupled], axes=axes)


def _vicinal(axes, x, mixed):
    axes.scatter(*x.T, s=4, color="0.8", zorder=1)
    looks = {"cmap": "coolwarm", "vmin": 0, "vmax": 1, "linewidths": 0, "zorder": 2}
    axes.scatter(mixed[:, 0], mixed[:, 1], c=mixed[:, 2], s=9, **looks)


def claims():
    found = []
    for toy in TOYS:
        one, many = f"{toy}, k = 1", f"{toy}, k = 32"
        found += [
            Claim(f"{toy}: partners are nearer with k = 32 than with k = 1",
                  Less("distance of partners", many, one), unit=""),
            Claim(
                f"{toy}: more of 32-mixup's mixtures are near the data than of plain mixup's",
                More("mixtures near the data", many, one),
            ),
        ]  # fmt: skip
    return found


EXPERIMENT = Experiment(
    name="k-mixup/figure-2",
    items="Figure 2",
    title="Couplings and mixtures of plain mixup and of 32-mixup",
    measure=measure,
    settings={"ks": [1, 32], "alpha": 1.0, "n": 512, "coupled": 128},
    quick={},
    seeds=20,
    claims=claims(),
    table=common.table_without(_DRAWN),
    draw=draw,
    notes="""
The distance of partners is the root of the mean square, in the units of the set. "Near the data" is as near to where
a class is as one eighth of the least distance between the two; in percent, as are pairs of two classes. Lines of the
couplings join 64 samples with 64 others; crosses are their mixtures at a ratio of one half. Mixtures are 512, as in
the paper, each with a ratio of its own; colours are their labels.
""",
)  # fmt: skip
