"""The error over epsilon on two coiling spirals: all arms of a seed are trained side by side."""

import numpy as np

from experiments.local_mixup.common import NearPairs, adam, draw_spread, probabilities_of_arms, side_by_side, spirals
from kmix_tf.paired import Claim, Less, Trainer, mean_and_spread, table

PLAIN, MIXUP, DATA = "plain training", "mixup", "data"
WITHIN, TWO = "within epsilon", "of two classes"
SETTINGS = {
    # Coordinates have variance 1: beyond 4 there are hardly any pairs.
    "epsilons": [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4],
    "count": 2000, "units": [100, 100], "batch": 50, "steps": 3200, "rate": 0.01,
}  # fmt: skip
QUICK = {"count": 200, "steps": 200}
_BINS = np.arange(0, 5.01, 0.25)
# Of the plane that decisions are drawn on.
_SIDE, _GRID = 2.6, 34
_SHOWN = [0, 0.5, np.inf]


def measure(seed, thickness, noise, count, epsilons, units, batch, steps, rate):
    """Test error of each epsilon, and which pairs are within it."""
    x, y, x_test, y_test = spirals(seed, count, thickness, noise)
    pairs, epsilons = NearPairs(x), [*epsilons, np.inf]
    trainer = Trainer(
        lambda: side_by_side(units, 2, 2, len(epsilons)), lambda: adam(rate, len(epsilons)), steps_per_call=100
    )
    model = trainer.run(pairs.batches(x, y, epsilons, batch, seed), steps, seed)
    ones = probabilities_of_arms(model, x_test, len(epsilons))
    cells = {
        arm(epsilon): {"error": 100 * float(np.mean((each > 0.5) != y_test))}
        for epsilon, each in zip(epsilons, ones, strict=True)
    }
    # Lists, since a hundred seeds are to fit in a file.
    cells[DATA] = {"distances": np.histogram(pairs.distances[len(x) :], _BINS)[0] / (len(x) * (len(x) - 1))}
    cells[DATA] |= dict(zip((WITHIN, TWO), _of_pairs(pairs, y, epsilons[1:]), strict=True))
    if seed == 0:
        ones = probabilities_of_arms(model, _plane(), len(epsilons)).round(2)
        shown = {f"region {arm(epsilon)}": ones[epsilons.index(epsilon)] for epsilon in _SHOWN}
        cells[DATA] |= {"x": x[:800].round(2), "y": y[:800], **shown}
    return cells


def arm(epsilon):
    return {0: PLAIN, np.inf: MIXUP}.get(epsilon, f"Local Mixup, epsilon {epsilon:g}")


def _of_pairs(pairs, y, epsilons):
    """Of the pairs of two samples: the share within each epsilon, and among those the share of two classes."""
    within, of_two = [], []
    for epsilon in epsilons:
        first, second = pairs.rows(pairs.within(epsilon))
        apart = int((first != second).sum())
        within.append(round(100 * apart / (len(y) * (len(y) - 1)), 2))
        of_two.append(round(100 * float((y[first] != y[second]).sum()) / apart, 2))
    return within, of_two


def _plane():
    at = np.linspace(-_SIDE, _SIDE, _GRID)
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2).astype(np.float32)


def table_of(runs):
    rows = [[PLAIN, mean_and_spread(runs.values(PLAIN, "error")), "", ""]]
    within, of_two = runs.values(DATA, WITHIN), runs.values(DATA, TWO)
    for place, epsilon in enumerate([*runs.settings["epsilons"][1:], np.inf]):
        columns = runs.values(arm(epsilon), "error"), within[:, place], of_two[:, place]
        rows.append([arm(epsilon), *map(mean_and_spread, columns)])
    return table(["", "error, %", f"pairs {WITHIN}, %", f"{TWO}, %"], rows)


def draw(runs):
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(2, 3, figsize=(12, 8), layout="constrained")
    _draw_data(top[0], runs)
    top[1].bar(_BINS[:-1], 100 * runs.mean(DATA, "distances"), width=0.25, align="edge", edgecolor="white")
    top[1].set(title="Figure 4, left", xlabel="distance of two samples", ylabel="pairs, %")
    _draw_errors(top[2], runs)
    _draw_regions(bottom, runs)
    return figure


def _draw_errors(axes, runs):
    epsilons = runs.settings["epsilons"]
    errors = np.stack([runs.values(arm(epsilon), "error") for epsilon in epsilons], axis=1)
    draw_spread(axes, epsilons, errors, marker="o", label="Local Mixup")
    for name, style in ((PLAIN, ":"), (MIXUP, "--")):
        axes.axhline(runs.mean(name, "error"), color="0.3", linestyle=style, label=name)
    axes.set(title="Figure 4, right", xlabel="epsilon", ylabel="test error, %")
    axes.legend()


def _draw_data(axes, runs):
    axes.set(title="Figure 3: samples to train on", xticks=[], yticks=[])
    row = runs.cells.get(0, {}).get(DATA)
    if row:
        axes.scatter(*np.transpose(row["x"]), c=row["y"], s=4, cmap="RdBu_r")
        axes.set(xlim=(-_SIDE, _SIDE), ylim=(-_SIDE, _SIDE), aspect="equal")


def _draw_regions(all_axes, runs):
    row = runs.cells.get(0, {}).get(DATA)
    for axes, epsilon in zip(all_axes, _SHOWN, strict=True):
        axes.set(title=f"{arm(epsilon)}: what is learnt", xticks=[], yticks=[])
        if row:
            ones = np.reshape(row[f"region {arm(epsilon)}"], (_GRID, _GRID))
            axes.imshow(ones, origin="lower", extent=[-_SIDE, _SIDE] * 2, cmap="RdBu_r", vmin=0, vmax=1)


def claims():
    local = arm(0.5)
    return [
        Claim("mixup beats plain training", Less("error", MIXUP, PLAIN), "Figure 4"),
        Claim("Local Mixup at epsilon = 0.5 beats plain training", Less("error", local, PLAIN), "Figure 4"),
        Claim("Local Mixup at epsilon = 1 beats plain training", Less("error", arm(1), PLAIN), "Figure 4"),
        Claim(
            "Local Mixup at epsilon = 0.5, where fewer than a quarter of the pairs are, beats mixup",
            Less("error", local, MIXUP), "Figure 4",
        ),
        Claim("Local Mixup at epsilon = 1 beats mixup", Less("error", arm(1), MIXUP), "Figure 4"),
        Claim(
            "distances of samples are spread evenly from 0 to 4: each quarter of that has 15 to 35 % of the pairs",
            _least_even, "Figure 4", unit="% to spare",
        ),
        Claim(
            "Local Mixup pairs samples of two classes more often than of one (here at epsilon = 0.5)",
            lambda cells: cells[DATA][TWO][0] - 50, "70 % and 30 %",
        ),
    ]  # fmt: skip


def _least_even(cells):
    quarters = 100 * np.reshape(cells[DATA]["distances"][:16], (4, 4)).sum(axis=1)
    return float(min(quarters.min() - 15, 35 - quarters.max()))
