"""Which pairs Local Mixup should mix: nearest neighbours, near ones, of one class or of two

On handwritten digits. Far pairs are dropped, as in the paper, or keep their samples unmixed.
"""

from experiments.local_mixup.on_data import MIXUP, PLAIN, SETTINGS, layer, parts, trained, trainer
from kmix_tf import (
    ExponentialWeight,
    NearestNeighborWeight,
    OtherClassPairing,
    SameClassPairing,
    ThresholdWeight,
)
from kmix_tf.paired import Claim, Experiment, Less, scores

INTRA, INTER, LOCAL = "Intra mixup", "Inter mixup", "Local Mixup, exponential"
FAR = ("drop", "keep")


def nearest(neighbors, far):
    return f"K = {neighbors}, far pairs: {far}"


def nearer(quantile, far):
    return f"nearest {100 * quantile:g} %, far pairs: {far}"


def measure(seed, sizes, neighbors, quantiles, alpha, units, batch, steps):
    train, test, _ = parts("digits", sizes, seed)
    by = trainer(train[0].shape[1], 10, units)
    layers = {
        PLAIN: layer(alpha=0.0), MIXUP: layer(), LOCAL: layer(ExponentialWeight("quantile:0.5")),
        INTRA: layer(pairing=SameClassPairing()), INTER: layer(pairing=OtherClassPairing()),
    }  # fmt: skip
    for far in FAR:
        # Of those that keep, one of each kind is enough.
        some, levels = (neighbors, quantiles) if far == "drop" else ([5], [0.25])
        layers |= {nearest(count, far): layer(NearestNeighborWeight(count, far)) for count in some}
        layers |= {nearer(level, far): layer(ThresholdWeight(f"quantile:{level}", far)) for level in levels}
    return {name: scores(trained(by, train, mixing, batch, steps, seed), *test) for name, mixing in layers.items()}


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for place, name in enumerate(runs.arms):
        color = "C0" if "drop" in name else "C1" if "keep" in name else "C2"
        axes.errorbar(
            runs.mean(name, "error"), place, xerr=runs.spread(name, "error"), fmt="o", color=color, capsize=3
        )
    axes.set_yticks(range(len(runs.arms)), runs.arms)
    axes.axvline(runs.mean(PLAIN, "error"), color="0.6", linestyle=":")
    axes.axvline(runs.mean(MIXUP, "error"), color="0.6", linestyle="--")
    axes.invert_yaxis()
    axes.set(xlabel="test error, % (mean and standard deviation over seeds; dotted: plain, dashed: mixup)")
    return figure


def _claims():
    yield Claim("Intra mixup is worse than mixup", Less("error", MIXUP, INTRA), "4.7 and 4.13 on CIFAR-10")
    yield Claim("Inter mixup is worse than mixup", Less("error", MIXUP, INTER), "4.5 and 4.13")
    yield Claim("Intra mixup is worse than Inter mixup", Less("error", INTER, INTRA), "4.7 and 4.5")
    yield Claim("Inter mixup beats plain training", Less("error", INTER, PLAIN), "4.5 and 4.98")
    yield Claim("Intra mixup beats plain training", Less("error", INTRA, PLAIN), "4.7 and 4.98")
    for count in (1, 5, 10):
        name = nearest(count, "drop")
        words = f"K = {count} neighbours, far pairs dropped: worse than"
        yield Claim(f"{words} plain training", Less("error", PLAIN, name), "much worse, Table 3")
        yield Claim(f"{words} exponential weights", Less("error", LOCAL, name), "worse, Table 3")
    yield Claim(
        "mixup beats a threshold at the nearest quarter of the pairs",
        Less("error", MIXUP, nearer(0.25, "drop")), "not smaller, Section 5.2",
    )  # fmt: skip
    yield Claim(
        "K = 5 neighbours: far pairs' samples kept unmixed are better than dropped",
        Less("error", nearest(5, "keep"), nearest(5, "drop")), ours=True,
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="local-mixup/table-3",
    items="Table 3, Section 5.3 (Inter and Intra Mixup)",
    title="Which pairs Local Mixup should mix: nearest neighbours, near ones, of one class or of two",
    measure=measure,
    settings={"sizes": [400, 1397], "neighbors": [1, 5, 10], "quantiles": [0.1, 0.25, 0.5], **SETTINGS},
    quick={"quantiles": [0.25], "steps": 100},
    seeds=6,
    claims=list(_claims()),
    draw=draw,
    notes="""
The paper's is CIFAR-10. Its Table 3 prints 0.607 %, 0.606 % and 0.601 % and says that this "significantly
underperforms" errors of about 4 %: as printed that cannot be, so the numbers are not set beside ours.

Neighbours are those in the batch of 64, and a pair counts if either end is among the nearest of the other. With
partners drawn at random few pairs are: dropped, a batch may be left with two or three mixtures. In the paper's sums
self pairs count as well; here a sample is its own partner once in 64 times.
""",
)  # fmt: skip
