"""What mixup learns of two moons: the classifier of modified data, not of the original ones

Networks are trained on the data, on mixtures and on modified data; beside them are all three Bayes classifiers.
"""

import keras
import numpy as np
from scipy.special import logsumexp

from experiments.drawing import without_seed_0
from experiments.regularization import common
from experiments.regularization.common import MIXUP, PLAIN, SHRUNK
from kmix_tf.analysis import half_moons, mixup_optimal_classifier, modified_data, theta_moments
from kmix_tf.paired import Claim, Experiment, Trainer, batches, probabilities

BAYES = "Bayes classifier of mixtures"
LEFT_OUT = "points left out"
ORIGINAL, MODIFIED = "apart from original's", "apart from modified's"


def measure(seed, alpha, size, noise, radius, points, steps, side):
    """Errors on new data, as they are and shrunk; and how often classes are not those of Bayes classifiers."""
    x, y = half_moons(size, noise, seed=seed)
    new_x, new_y = half_moons(points, noise, seed=seed + 1000)
    theta, mean = theta_moments(alpha).mean, x.mean(axis=0)
    mixed = mixtures(x, alpha, points, seed)
    asked = [new_x, mean + theta * (new_x - mean), mixed]
    of_original = bayes(mixed, noise) > 0.5
    of_modified = bayes(mean + (mixed - mean) / theta, noise) > 0.5
    grid = grid_of(x, side) if seed == 0 else np.zeros((0, 2))

    def look(predict):
        found = np.split(predict(np.concatenate([*asked, grid])), np.cumsum([points] * 3))
        classes = [each > 0.5 for each in found]
        # Both errors are of the same points: those where mixtures come both before and after shrinking.
        known = (found[0] >= 0) & (found[1] >= 0)
        cells = {
            "error": 100 * np.mean((classes[0] != new_y)[known]),
            "error, rescaled": 100 * np.mean((classes[1] != new_y)[known]), LEFT_OUT: 100 * np.mean(~known),
            ORIGINAL: 100 * np.mean(classes[2] != of_original), MODIFIED: 100 * np.mean(classes[2] != of_modified),
        }  # fmt: skip
        return {**cells, **({"grid": found[3].round(2)} if seed == 0 else {})}

    cells = {BAYES: look(lambda v: of_mixtures(x, y, v, alpha, radius))}
    for arm, network in trained(x, y, alpha, steps, seed):
        cells[arm] = look(lambda v, network=network: probabilities(network, v.astype(np.float32))[:, 1])
    if seed == 0:
        cells[BAYES] |= {
            "x": x.round(3), "y": y, "original's": bayes(grid, noise).round(2), "theta, mean": [theta, *mean],
            "modified's": bayes(mean + (grid - mean) / theta, noise).round(2),
        }  # fmt: skip
    return cells


def mixtures(x, alpha, count, seed):
    generator = np.random.default_rng(seed)
    ratio = generator.beta(alpha, alpha, (count, 1))
    first, second = generator.integers(len(x), size=(2, count))
    return ratio * x[first] + (1 - ratio) * x[second]


def bayes(x, noise, pieces=400):
    """Class 1's probability at points `(n, 2)`: half circles with Gaussian noise, integrated along."""
    along = np.pi * (np.arange(pieces) + 0.5) / pieces
    circles = [(np.cos(along), np.sin(along)), (1 - np.cos(along), 0.5 - np.sin(along))]
    squares = [np.square(x[:, :1] - a) + np.square(x[:, 1:] - b) for a, b in circles]
    logs = np.stack([logsumexp(-each / (2 * noise**2), axis=1) for each in squares])
    return np.exp(logs[1] - logsumexp(logs, axis=0))


def of_mixtures(x, y, points, alpha, radius):
    """Exact for the data at hand, in balls of a radius; -1 where no mixture comes."""
    return np.nan_to_num(mixup_optimal_classifier(x, y, points, alpha, radius)[:, 1], nan=-1)


def trained(x, y, alpha, steps, seed):
    """Each way of training with its network, which the next one changes."""
    targets = np.eye(2, dtype=np.float32)[y]
    shrunk = [each.astype(np.float32) for each in modified_data(x, targets, alpha)]
    original, trainer = (x.astype(np.float32), targets), Trainer(network, steps_per_call=50)
    for arm, (features, labels), layer in (
        (PLAIN, original, None), (MIXUP, original, common.mixing(alpha)), (SHRUNK, shrunk, None),
    ):  # fmt: skip
        yield arm, trainer.run(batches(features, labels, 64, seed, layer), steps, seed)


def network():
    dense = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((2,)), *dense, keras.layers.Dense(2)])


def grid_of(x, side):
    low, high = x.min(axis=0) - 0.25, x.max(axis=0) + 0.25
    axes = [np.linspace(low[i], high[i], side) for i in range(2)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)


def nearer(arm):
    """How much less an arm is apart from the Bayes classifier of modified data than from that of original data."""
    return lambda cells: cells[arm][ORIGINAL] - cells[arm][MODIFIED]


def draw(runs):
    from matplotlib import pyplot

    bayes_cells, side = runs.cells[runs.seeds[0]][BAYES], runs.settings["side"]
    if "grid" not in bayes_cells:
        return without_seed_0()
    x, y = (np.array(bayes_cells[each]) for each in "xy")
    theta, *mean = bayes_cells["theta, mean"]
    shown = {
        PLAIN: x,
        MIXUP: mixtures(x, runs.settings["alpha"], len(x), 0),
        SHRUNK: np.array(mean) + theta * (x - mean),
    }
    figure, all_axes = pyplot.subplots(1, 4, figsize=(17, 3.9), sharex=True, sharey=True, layout="constrained")
    across = grid_of(x, side).reshape(side, side, 2)
    for axes, (arm, points) in zip(all_axes, shown.items(), strict=False):
        of_class = np.array(runs.cells[runs.seeds[0]][arm]["grid"]).reshape(side, side)
        axes.contourf(across[..., 0], across[..., 1], of_class, np.linspace(0, 1, 11), cmap="coolwarm", alpha=0.5)
        colours = {"c": "0.35"} if arm == MIXUP else {"c": y, "cmap": "coolwarm"}
        axes.scatter(*points.T, s=7, **colours)
        axes.set(title=f"network: {arm}")
    lines = {"original's": ("black", "-"), "modified's": ("tab:blue", "--"), "grid": ("tab:red", "-")}
    for name, (colour, style) in lines.items():
        values = np.ma.masked_less(np.array(bayes_cells[name]).reshape(side, side), 0)
        all_axes[3].contour(across[..., 0], across[..., 1], values, [0.5], colors=colour, linestyles=style)
        words = "of mixtures" if name == "grid" else f"of {name[:-2]} data"
        all_axes[3].plot([], [], color=colour, linestyle=style, label=f"Bayes classifier {words}")
    all_axes[3].scatter(*x.T, s=7, c=y, cmap="coolwarm", alpha=0.4)
    all_axes[3].legend(fontsize=8, loc="upper right")
    return figure


EXPERIMENT = Experiment(
    name="regularization/figure-1",
    items="Figure 1",
    title="What mixup learns of two moons: the classifier of modified data, not of the original ones",
    measure=measure,
    settings={
        "alpha": 1.0, "size": 200, "noise": 0.1, "radius": 0.1, "points": 200, "steps": 2000, "side": 40,
    },
    quick={"size": 60, "points": 30, "steps": 50, "side": 10},
    seeds=10,
    claims=[
        Claim("mixup's Bayes classifier is nearer to that of modified data than to that of the original ones",
              nearer(BAYES)),
        Claim("a network trained with mixup is nearer to the Bayes classifier of modified than of original data",
              nearer(MIXUP)),
        Claim("a network trained on the data is nearer to the Bayes classifier of original than of modified data",
              lambda cells: -nearer(PLAIN)(cells)),
        Claim("mixup's Bayes classifier errs less on shrunk data than on the data as they are",
              lambda cells: cells[BAYES]["error"] - cells[BAYES]["error, rescaled"]),
        Claim("a network trained with mixup errs less on shrunk data than on the data as they are",
              lambda cells: cells[MIXUP]["error"] - cells[MIXUP]["error, rescaled"]),
    ],
    draw=draw,
    notes="""The paper says nothing of how its illustration was made: scikit-learn's half circles with noise
0.1 are ours, and mixup with alpha = 1. "Apart" is the share of 200 mixtures whose class is another than a Bayes
classifier's. Those of original and modified data are integrated from what the data are drawn from; that of
mixtures is exact for the data at hand, in balls of radius 0.1; it says nothing where no mixture comes. New points
where that is so, as they are or shrunk, are left out of both its errors: "points left out" is their share in
percent. Networks answer everywhere. All networks take equal batches in the same order.""",
)  # fmt: skip
