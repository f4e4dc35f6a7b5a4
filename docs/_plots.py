"""Pictures of what has no pixels: losses, pairings, ratios, models. `_pictures.py` saves them."""

from collections.abc import Callable

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kmix_tf import (
    AdaMixupModel,
    DecoupledMixupLoss,
    DistanceWarpedRatio,
    KMixupLayer,
    LabelDistancePairing,
    LocalMixupLayer,
    MixLayer,
    RandomPairing,
    RemixShares,
    ThresholdWeight,
)
from kmix_tf.analysis import modified_data, theta_moments
from kmix_tf.analysis.toys import four_bars, half_moons, swiss_roll

BLUE, ORANGE, GREY = "#1f77b4", "#ff7f0e", "0.6"
COLOURS = np.array([BLUE, ORANGE])
SEED = 0


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(1, count, figsize=(6.4, 3.2), layout="constrained", squeeze=False)
    return figure, list(axes[0])


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def local() -> Figure:
    """Mixtures of a Swiss roll, and those of near pairs alone."""
    toy = swiss_roll(600, seed=SEED)
    local = LocalMixupLayer(weight=ThresholdWeight("quantile:0.1"), scope="sample", num_classes=2)
    layers = {
        "mixup": KMixupLayer(1, scope="sample", num_classes=2),
        "Local Mixup: the nearest tenth of pairs": local,
    }
    figure, panels = _panels(2)
    for axes, (title, layer) in zip(panels, layers.items(), strict=True):
        x, y, *_ = layer(toy.x.astype(np.float32), toy.y, seed=SEED)
        axes.scatter(*x.numpy().T, c=COLOURS[y.numpy().argmax(axis=1)], s=10, linewidths=0)
        axes.set_aspect("equal")
        _bare(axes, title)
    return figure


def manifold() -> Figure:
    """Three steps of a network, each of which mixes elsewhere."""
    figure, panels = _panels(3)
    names = ("samples", "input", "hidden 1", "hidden 2", "output")
    for mixed_at, axes in enumerate(panels, 1):
        columns = [(0.5,) if at >= mixed_at else (0.2, 0.8) for at in range(len(names))]
        for at, (name, places) in enumerate(zip(names, columns, strict=True)):
            for place in places:
                colour = "#8c5a9e" if len(places) == 1 else BLUE if place < 0.5 else ORANGE
                box = {"boxstyle": "round", "facecolor": "white", "edgecolor": colour, "linewidth": 1.5}
                axes.text(place, at, name, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
                for before in columns[at - 1] if at else ():
                    if len(places) == 1 or before == place:
                        axes.plot([before, place], [at - 1, at], color=GREY, zorder=1)
        axes.set(xlim=(-0.15, 1.15), ylim=(-0.5, 4.5))
        axes.axis("off")
        axes.set_title(f"a step that mixes at {names[mixed_at]}", fontsize=8)
    return figure


def adamixup() -> Figure:
    """Intervals that a policy gives pairs of four bars, as training goes on."""
    keras.utils.set_random_seed(SEED)
    toy = four_bars(256, seed=SEED)
    x, dense = toy.x.astype(np.float32), keras.layers.Dense
    model = keras.Sequential([keras.Input((2,)), dense(64, "relu"), dense(64, "relu"), dense(2)])
    mixing = AdaMixupModel(model, MixLayer(num_classes=2), seed=SEED)
    mixing.compile(keras.optimizers.Adam(2e-3), keras.losses.CategoricalCrossentropy(from_logits=True))
    partner = np.random.default_rng(SEED).permutation(len(x))[:40]
    apart = np.abs(x[:40, 0] - x[partner, 0])
    same = toy.y[:40] == toy.y[partner]
    figure, panels = _panels(3)
    for axes, (epochs, more) in zip(panels, ((1, 1), (5, 4), (20, 15)), strict=True):
        mixing.fit(x, toy.y, batch_size=64, epochs=more, verbose=0)
        low, high = (end.numpy() for end in mixing.interval(x[:40], x[partner]))
        for rows, colour, name in ((same, BLUE, "one class"), (~same, ORANGE, "two classes")):
            axes.vlines(apart[rows], low[rows], high[rows], colors=colour, linewidth=1.5, label=name)
            axes.scatter(apart[rows], low[rows], c=colour, s=5)
        axes.set(ylim=(-0.02, 1.02), xlabel="how far apart the two are")
        axes.set_title(f"after {4 * epochs} steps", fontsize=9)
    panels[0].set_ylabel("interval of the ratio")
    panels[0].legend(fontsize=7, loc="lower right")
    return figure


def decoupled() -> Figure:
    """Both losses of a mixture of half each, as the model grows surer of the first of its classes."""
    logit = np.linspace(-2, 8, 101, dtype=np.float32)
    logits = np.stack([logit, np.full_like(logit, 2), np.zeros_like(logit)], axis=1)
    target = np.tile(np.float32([0.5, 0.5, 0]), (len(logit), 1))
    figure, (axes,) = _panels(1)
    for eta in (0.0, 0.1, 1.0):
        loss = DecoupledMixupLoss(eta=eta, from_logits=True, reduction="none" if keras.__version__ > "3" else "NONE")
        name = "cross-entropy" if eta == 0 else f"decoupled, eta = {eta:g}"
        axes.plot(logit, loss(target, logits), label=name)
    axes.set(
        xlabel="logit of the first class of the mixture (second: 2, a class that is not in it: 0)", ylabel="loss"
    )
    axes.legend(fontsize=8)
    return figure


def cmixup() -> Figure:
    """Partners of numbers: any, and those of near targets."""
    generator = np.random.default_rng(SEED)
    x = np.sort(generator.uniform(-1, 1, 24)).astype(np.float32)
    y = (2 * x**2 + 0.05 * generator.normal(size=24)).astype(np.float32)
    figure, panels = _panels(2)
    pairings = {"random partners": RandomPairing(), "partners of near targets": LabelDistancePairing(bandwidth=0.1)}
    for axes, (title, pairing) in zip(panels, pairings.items(), strict=True):
        partner = pairing([tf.constant(x[:, None])], seed=3, targets=tf.constant(y)).partner.numpy()
        axes.plot(np.stack([x, x[partner]]), np.stack([y, y[partner]]), color=GREY, linewidth=0.8)
        axes.scatter(x, y, color=BLUE, s=18, zorder=2)
        axes.set(xlabel="x", ylabel="target")
        axes.set_title(title, fontsize=9)
    return figure


def kernel() -> Figure:
    """Densities of ratios for pairs at three distances."""
    figure, (axes,) = _panels(1)
    each = 20_000
    squared = np.repeat([0.25, 1.0, 1.75], each)  # their mean is 1
    ratio = DistanceWarpedRatio(scope="sample")(
        tf.zeros([len(squared)], tf.int32), seed=1, distances=tf.constant(np.sqrt(squared))
    )
    for at, name in enumerate(("half the usual distance", "the usual distance", "1.3 times the usual distance")):
        axes.hist(ratio[at * each : (at + 1) * each], 50, density=True, histtype="step", linewidth=1.5, label=name)
    axes.set(xlabel="ratio", ylabel="density", ylim=(0, 5))
    axes.legend(fontsize=8, loc="upper center")
    return figure


def remix() -> Figure:
    """The share of a frequent sample in the label, by its share in the image."""
    ratio = np.linspace(0, 1, 201, dtype=np.float32)
    frequent, rare = (np.tile(np.float32(row), (len(ratio), 1)) for row in ((1, 0), (0, 1)))
    share = RemixShares(counts=[900, 100])(tf.constant(frequent), tf.constant(rare), tf.constant(ratio)).numpy()
    figure, (axes,) = _panels(1)
    axes.plot(ratio, ratio, color=GREY, linestyle="--", label="mixup")
    axes.plot(ratio, share, color=ORANGE, label="Remix, kappa = 3, tau = 0.5")
    axes.set(xlabel="share of the frequent class in the input", ylabel="its share in the label")
    axes.legend(fontsize=8)
    return figure


def approximate() -> Figure:
    """What mixup trains on, and at what points the approximation asks the model."""
    toy = half_moons(200, noise=0.08, seed=SEED)
    mixed, soft = MixLayer(num_classes=2)(toy.x.astype(np.float32), toy.y, seed=SEED)
    shrunk = modified_data(toy.x, toy.y, alpha=1.0)
    figure, panels = _panels(3)
    shown = (
        ("the data", toy.x, toy.y),
        ("mixup: mixtures", mixed.numpy(), soft.numpy().argmax(axis=1)),
        ("here: shrunk data", shrunk.x, toy.y),
    )
    for axes, (title, x, y) in zip(panels, shown, strict=True):
        axes.scatter(*x.T, c=COLOURS[y], s=8)
        axes.set(xlim=(-1.4, 2.4), ylim=(-1, 1.5), aspect="equal")
        _bare(axes, title)
    return figure


def rescaled() -> Figure:
    """What eq. (22) makes of a confidence, with two classes as frequent as each other."""
    before = np.linspace(0.5, 0.999, 200)
    logit = np.log(before / (1 - before))
    figure, (axes,) = _panels(1)
    axes.plot(before, before, color=GREY, linestyle="--", label="as it is")
    for alpha in (0.2, 1.0, 8.0):
        theta = theta_moments(alpha).mean
        axes.plot(before, 1 / (1 + np.exp(-logit / theta)), label=f"alpha = {alpha:g}, theta = {theta:.2f}")
    axes.set(xlabel="confidence that the mixed model has", ylabel="rescaled")
    axes.legend(fontsize=8)
    return figure


PLOTS: dict[str, Callable[[], Figure]] = {
    each.__name__: each
    for each in (local, manifold, adamixup, decoupled, cmixup, kernel, remix, approximate, rescaled)
}
