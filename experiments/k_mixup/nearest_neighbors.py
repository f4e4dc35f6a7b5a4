"""Optimal transport against nearest neighbours as a way to pair

The paper says why the nearest of a group will not do (footnote 1, Section J): nearly all pairs are then of one class,
and nothing is said of the voids between classes. Its own test is on CIFAR-10, where it is 0.09 points worse than
plain mixup.
"""

from experiments.k_mixup import common
from experiments.k_mixup.common import BARS, PLAIN, RING, TOYS
from kmix_tf import BetaRatio, KMixupLayer, MixLayer, NearestNeighborPairing
from kmix_tf.paired import Claim, Experiment, Less, More

WAYS = {"plain mixup": None, "optimal transport": None, "the nearest": None}


def measure(seed, k, alphas, n, test, batch, epochs, units, rate, momentum, weight_decay):
    """Scores and behaviour between classes, by toy, way of pairing and alpha."""
    of, steps = common.trainer(n, batch, epochs, units, rate, momentum, weight_decay)
    cells = {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        for how, layer in layers(k, alphas).items():
            model = common.trained(of, x, y, layer, batch, steps, seed)
            cells[f"{toy}, {how}"] = common.behaviour(model, *common.tested_on(toy, test, seed))
    return cells


def layers(k, alphas):
    """What mixes, by name."""
    found = {PLAIN: None}
    for alpha in alphas:
        found |= {
            named("plain mixup", alpha): KMixupLayer(1, alpha, num_classes=2),
            named("optimal transport", alpha): KMixupLayer(k, alpha, num_classes=2),
            named("the nearest", alpha): MixLayer(NearestNeighborPairing(k), BetaRatio(alpha), num_classes=2),
        }
    return found


def named(way, alpha):
    return f"{way}, alpha = {alpha:g}"


def draw(runs):
    import numpy as np
    from matplotlib import pyplot

    figure, row = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    arms = [arm for arm in runs.arms if PLAIN not in arm]
    for axes, measured, unit in zip(row, ("error", "transition"), ("%", "% of the way"), strict=True):
        means, spreads = (np.array([of(arm, measured) for arm in arms]) for of in (runs.mean, runs.spread))
        colours = [f"C{[way in arm for way in WAYS].index(True)}" for arm in arms]
        axes.barh(range(len(arms)), means, xerr=np.nan_to_num(spreads), color=colours)
        axes.set_yticks(range(len(arms)), arms, fontsize=8)
        axes.set(xlabel=f"{measured}, {unit}")
    row[0].invert_yaxis()
    return figure


def claims():
    found = []
    for toy in TOYS:
        one, transport, near = (f"{toy}, {named(way, 1)}" for way in WAYS)
        found += [
            Claim(
                f"{toy}: plain mixup has less error than mixing with the nearest",
                Less("error", one, near), "0.09 points worse, on CIFAR-10",
            ),
            Claim(f"{toy}: optimal transport has less error than plain mixup", Less("error", transport, one)),
        ]  # fmt: skip
        if toy in (RING, BARS):
            found.append(
                Claim(
                    f"{toy}: between classes, the nearest smooth less than optimal transport: shorter transition",
                    More("transition", transport, near), unit="points of the way",
                )
            )  # fmt: skip
    return found


EXPERIMENT = Experiment(
    name="k-mixup/nearest-neighbors",
    items="Footnote 1, Section J",
    title="Optimal transport against nearest neighbours as a way to pair",
    measure=measure,
    settings={"k": 16, "alphas": [1.0, 4.0], **common.TRAINING, **common.SGD},
    quick={"alphas": [1.0], "epochs": 4, "test": 500},
    seeds=5,
    claims=claims(),
    draw=draw,
    notes=common.ABOUT_TRAINING + """
Error and calibration are in percent, loss in nats, contrast the mean probability of the true class in percent;
transition and "off the middle" as in figure-1. The toys have no noise, so that every way to smooth can only cost
error here: what the nearest fail at is to be seen in the transition, the part of the void between classes in which
the network is unsure. Of the Swiss roll, whose arms are nearer than samples along them, the paper makes an exception.
The claims are at alpha = 1.
""",
)  # fmt: skip
