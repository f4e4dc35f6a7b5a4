"""What Local Mixup asks of a model on a circle: the formula against least squares and against training

With K neighbours, each point's answer is a mean over the segments that end there or pass over it (eqs. 4 and 5).
"""

import numpy as np

from kmix_tf.analysis import local_mixup_interpolant
from kmix_tf.paired import Claim, Experiment, Runs, arms_table

DATA = "data"


def measure(seed, points, neighbors, draws):
    """How far the formula is from the least-squares solution, and what a model learns of uniform ratios instead."""
    y = np.random.default_rng(seed).normal(size=points)
    cells = {DATA: {"y": y}}
    for count in neighbors:
        formula = local_mixup_interpolant(y, count)
        on_points = least_squares(y, count)
        uniform = with_uniform_ratios(y, count)
        learnt = trained(y, count, draws, seed)
        row = {
            "bias squared": np.square(formula - y).mean(), "variance": formula.var(),
            "mean": formula.mean() - y.mean(),
            "formula to least squares": np.abs(formula - on_points).max(),
            "formula to training": rms(formula - learnt), "uniform ratios to training": rms(uniform - learnt),
        }  # fmt: skip
        # Without the last digits of sums that are 0.
        cells[arm(count)] = {**{name: round(float(value), 9) + 0.0 for name, value in row.items()}, "values": formula}
    return cells


def arm(neighbors):
    return f"K = {neighbors}"


def rms(values):
    return float(np.sqrt(np.square(values).mean()))


def least_squares(y, neighbors):
    """Values at the points that fit best all mixtures that lie on points: one for each point of each segment."""
    rows, targets = [], []
    for start, length in _segments(len(y), neighbors):
        for step in range(length + 1):
            rows.append(np.eye(len(y))[(start + step) % len(y)])
            share = step / length
            targets.append((1 - share) * y[start] + share * y[(start + length) % len(y)])
    return np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]


def with_uniform_ratios(y, neighbors):
    """What a model that minimises the loss of uniform ratios answers at points: a segment counts 1 / its length.

    The answer jumps there, as segments end: this is the mean of both sides.
    """
    sums, counts = np.zeros(len(y)), np.zeros(len(y))
    for start, length in _segments(len(y), neighbors):
        for step in range(length + 1):
            at, share = (start + step) % len(y), step / length
            # At its ends a segment is on one side only.
            weight = (0.5 if step in (0, length) else 1.0) / length
            sums[at] += weight * ((1 - share) * y[start] + share * y[(start + length) % len(y)])
            counts[at] += weight
    return sums / counts


def trained(y, neighbors, draws, seed, width=0.02):
    """Mixtures of random pairs of neighbours and uniform ratios; the mean target of those that fall at each point.

    It is the model that answers a number in each of many narrow cells, trained to its optimum.
    """
    generator, size = np.random.default_rng([seed, neighbors]), len(y)
    start, length = generator.integers(size, size=draws), generator.integers(1, neighbors + 1, size=draws)
    share = generator.random(draws)
    place, target = start + share * length, (1 - share) * y[start] + share * y[(start + length) % size]
    near = np.abs(place - np.rint(place)) < width
    at = np.rint(place[near]).astype(int) % size
    return np.bincount(at, target[near], size) / np.bincount(at, minlength=size)


def _segments(size, neighbors):
    return [(start, length) for start in range(size) for length in range(1, neighbors + 1)]


def _of(runs, arms):
    return Runs(runs.settings, {seed: {name: cells[name] for name in arms} for seed, cells in runs.cells.items()})


def page_table(runs):
    return arms_table(_of(runs, [arm(count) for count in runs.settings["neighbors"]]))


def draw(runs):
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    neighbors, cells = runs.settings["neighbors"], next(iter(runs.cells.values()))
    left.plot(cells[DATA]["y"], "ko", label="data")
    for count in neighbors:
        left.plot(cells[arm(count)]["values"], label=arm(count))
    left.axhline(np.mean(cells[DATA]["y"]), color="0.5", linestyle=":", label="mean")
    left.set(xlabel="point", ylabel="value, one draw")
    left.legend(ncols=2)
    for measured in ("bias squared", "variance"):
        values = [runs.values(arm(count), measured) for count in neighbors]
        right.errorbar(neighbors, np.mean(values, axis=1), np.std(values, axis=1), marker="o", label=measured)
    right.set(xlabel="neighbours K", ylabel="mean over seeds", xscale="log")
    right.legend()
    return figure


NEIGHBORS = [1, 2, 3, 5, 10, 20, 60, 180]


def _all_below(measured, bound):
    return lambda cells: bound - max(abs(row[measured]) for row in cells.values() if measured in row)


EXPERIMENT = Experiment(
    name="local-mixup/figure-2",
    items="Figure 2, Lemmas 3.1 and 4.1, Theorem 4.2",
    title="What Local Mixup asks of a model on a circle: the formula against least squares and against training",
    measure=measure,
    settings={"points": 20, "neighbors": NEIGHBORS, "draws": 1_000_000},
    quick={"draws": 50_000},
    seeds=20,
    claims=[
        Claim(
            "eqs. (4) and (5) are what least squares gives (to 1e-8)", _all_below("formula to least squares", 1e-8),
            unit="", is_exact=True,
        ),
        Claim("Lemma 4.1: the mean does not depend on K (to 1e-8)", _all_below("mean", 1e-8), unit="", is_exact=True),
        Claim(
            "Theorem 4.2: the variance goes to 0, at K = 180 it is below 1 % of the data's",
            lambda cells: 0.01 * np.var(cells[DATA]["y"]) - cells[arm(180)]["variance"], unit="", is_exact=True,
        ),
        Claim(
            "Theorem 4.2: the squared bias goes to the data's variance, of which it has 90 % at K = 180",
            lambda cells: cells[arm(180)]["bias squared"] - 0.9 * np.var(cells[DATA]["y"]), unit="", is_exact=True,
        ),
        Claim(
            "Lemma 3.1: training with uniform ratios, K = 5, comes nearer to eq. (4), where segments count alike, "
            "than to means in which a segment counts 1 / its length",
            lambda cells: cells[arm(5)]["uniform ratios to training"] - cells[arm(5)]["formula to training"], unit="",
        ),
    ],
    table=page_table,
    draw=draw,
    notes="""
The circle has 20 points with values from a normal distribution. "Least squares" fits a number at each point to every
mixture that lies on a point, each segment once: the paper's set of combinations. "Training" draws neighbours and
uniform ratios, as the text has it, and takes the mean of what falls within 0.02 of a point. These differ: mixtures of
a long segment are spread more thinly, so that at a place it counts 1 / its length, not 1 as Lemma 3.1 says.

In the table "bias squared", "variance" and "mean" are of the formula, the mean as its difference from the data's.
""",
)  # fmt: skip
