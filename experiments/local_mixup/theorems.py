"""How Local Mixup trades variance for bias, and which straight lines it learns

Theorem 4.4 for independent targets on all integers, and Theorem 4.5, which is false.
"""

import numpy as np
import tensorflow as tf

from kmix_tf import BetaRatio, MixLayer, RandomPairing, ThresholdWeight
from kmix_tf.analysis import local_mixup_interpolant
from kmix_tf.paired import AtMost, Claim, Experiment, arms_table

VARIANCE, LINES = "independent targets", "lines on x = (0, 1, 3), y = (0, 1, 0)"
RANDOM = "lines on random points"
X, Y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 0.0])
APART = "slopes apart, epsilon 1 and 3"
# Between them the pairs within epsilon of X are others.
EPSILONS = [0, 1, 2, 3]


def measure(seed, most, points, sampled, draws, copies):
    generator = np.random.default_rng(seed)
    variance = np.array([_variance(count) for count in range(1, most + 1)])
    targets = generator.normal(size=[points, draws])
    answers = local_mixup_interpolant(targets, sampled)
    slopes = [line(X, Y, epsilon)[0] for epsilon in EPSILONS]
    x, y = np.sort(generator.random(10)), generator.normal(size=10)
    gaps = [abs(line(x, y, epsilon)[0] - line(x, y, np.inf)[0]) for epsilon in (0.0, 0.2, 0.4)]
    return {
        VARIANCE: {
            "variance by K": variance, "first K": _first_always(variance),
            "K times the variance": most * variance[-1], "sampled": answers.var(),
        },
        # Results are kept to five digits: of what is nearly equal, the difference.
        LINES: {f"slope, epsilon {epsilon}": slope for epsilon, slope in zip(EPSILONS, slopes, strict=True)}
        | {APART: abs(slopes[1] - slopes[3])}
        | {f"fitted to the layer's mixtures, epsilon {epsilon}": fitted(epsilon, copies, seed) for epsilon in (1, 3)},
        RANDOM: {"plain to mixup": gaps[0], "epsilon 0.2 to mixup": gaps[1], "epsilon 0.4 to mixup": gaps[2]},
    }  # fmt: skip


def _variance(neighbors):
    """Of the formula's value where targets have variance 1: the sum of squares of what each target counts in it."""
    impulse = np.zeros(2 * neighbors + 1)
    impulse[0] = 1
    return float(np.square(local_mixup_interpolant(impulse, neighbors)).sum())


def _first_always(variance):
    """The first K from which on the lower bound holds."""
    neighbors = np.arange(1, len(variance) + 1)
    return 1 + int(np.flatnonzero(variance < 16 / neighbors**2).max(initial=0)) + 1


def line(x, y, epsilon):
    """Slope and height of the line that minimises Local Mixup's squared loss, with uniform ratios; exact."""
    first, second = np.nonzero(np.abs(x[:, np.newaxis] - x) <= epsilon)
    a, b, c, d = x[first], x[second], y[first], y[second]
    square, product = (a * a + a * b + b * b) / 3, (2 * a * c + 2 * b * d + a * d + b * c) / 6
    mean_x, mean_y = (a + b).mean() / 2, (c + d).mean() / 2
    slope = (product.mean() - mean_x * mean_y) / (square.mean() - mean_x**2)
    return slope, mean_y - slope * mean_x


def fitted(epsilon, copies, seed):
    """The slope of the line fitted to mixtures that the layer makes of many copies of the three points."""
    layer = MixLayer(
        RandomPairing(with_itself=True), BetaRatio(1.0, scope="sample"), weight=ThresholdWeight(epsilon, far="drop")
    )
    x, y, weight = layer(*(tf.constant(np.tile(each, copies)[:, np.newaxis]) for each in (X, Y)), seed=seed)
    x, y, weight = (np.asarray(each, np.float64).ravel() for each in (x, y, weight))
    return float(np.polyfit(x, y, 1, w=np.sqrt(weight))[0])


def table(runs):
    shown = arms_table(runs, measures=["first K", "K times the variance", "sampled"]).split("\n")[:3]
    slopes = runs.measures(LINES)
    return "\n".join(shown) + "\n\n" + "\n".join(arms_table(runs, measures=slopes).split("\n")[i] for i in (0, 1, 3))


def draw(runs):
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    variance = runs.mean(VARIANCE, "variance by K")
    neighbors = np.arange(1, len(variance) + 1)
    left.loglog(neighbors, variance, label="variance, exact")
    left.loglog(neighbors, 8 / neighbors, "--", label="upper bound, 8 / K")
    left.loglog(neighbors, 16 / neighbors**2, ":", label="lower bound, 16 / K²")
    left.loglog(neighbors, 28 / 27 / neighbors, "-.", color="0.5", label="28 / (27 K)")
    left.axvline(12, color="0.7", linewidth=1)
    left.set(title="Theorem 4.4", xlabel="neighbours K", ylabel="variance / variance of a target")
    left.legend()
    right.plot(X, Y, "ko", label="data")
    for epsilon in EPSILONS:
        slope, height = line(X, Y, epsilon)
        words = {0: "plain training", 3: "mixup"}.get(epsilon, f"Local Mixup, epsilon {epsilon}")
        right.plot(X, slope * X + height, label=words, linestyle="--" if epsilon == 3 else "-")
    right.set(title="Theorem 4.5: the line learnt", xlabel="x", ylabel="y")
    right.legend()
    return figure


def _upper(cells):
    variance = np.array(cells[VARIANCE]["variance by K"])
    return float((1 - variance * np.arange(1, len(variance) + 1) / 8).min())


def _lower(cells, first=12):
    variance = np.array(cells[VARIANCE]["variance by K"])[first - 1 :]
    return float((variance * np.arange(first, first + len(variance)) ** 2 / 16 - 1).min())


EXPERIMENT = Experiment(
    name="local-mixup/theorems",
    items="Theorems 4.4 and 4.5",
    title="How Local Mixup trades variance for bias, and which straight lines it learns",
    measure=measure,
    settings={"most": 400, "points": 200, "sampled": 20, "draws": 500, "copies": 20_000},
    quick={"most": 50, "draws": 50, "copies": 2000},
    seeds=10,
    claims=[
        Claim(
            "Theorem 4.4: the variance is below 8 / K of a target's, at every K to 400", _upper, unit="of the bound",
            is_exact=True,
        ),
        Claim(
            "Theorem 4.4: the variance is above 16 / K² of a target's, from K = 12 on", _lower, "eventually",
            unit="of the bound", is_exact=True,
        ),
        Claim(
            "Theorem 4.4: the variance is above 16 / K² of a target's from K = 12 on, and from no smaller K on",
            lambda cells: 0.5 - abs(cells[VARIANCE]["first K"] - 12),
            "eventually", unit="", is_exact=True,
        ),
        Claim(
            "Theorem 4.5: on x = (0, 1, 3), y = (0, 1, 0), epsilon = 1, Local Mixup learns mixup's line (to 1e-9)",
            AtMost(APART, LINES, 1e-9), "equal", unit="", is_exact=True,
        ),
        Claim(
            "Theorem 4.5: lines fitted to the layer's own mixtures of x = (0, 1, 3), y = (0, 1, 0) are equal, too, "
            "with epsilon = 1 and with all pairs (slopes to 0.005)",
            lambda cells: 0.005 - abs(
                cells[LINES]["fitted to the layer's mixtures, epsilon 1"]
                - cells[LINES]["fitted to the layer's mixtures, epsilon 3"]
            ), "equal", unit="",
        ),
        Claim(
            "Theorem 4.5: on ten random points Local Mixup at epsilon = 0.2 learns mixup's line (to 1e-9)",
            AtMost("epsilon 0.2 to mixup", RANDOM, 1e-9), "equal", unit="", is_exact=True,
        ),
        Claim(
            "Theorem 4.5: on ten random points plain training and mixup learn the same line (to 1e-9)",
            AtMost("plain to mixup", RANDOM, 1e-9), "equal", unit="", is_exact=True,
        ),
    ],
    table=table,
    draw=draw,
    notes="""
The variance is exact: the formula's value is a weighted sum of independent targets. "sampled" is the variance of
100,000 answers of the formula at K = 20, for targets of variance 1. K times the variance goes to 28 / 27, found here:
the upper bound is some eight times too high, and the lower one falls faster than the variance.

Lines: of all pairs within epsilon, self pairs too, and uniform ratios. On random points, x is uniform in [0, 1], y
normal, ten of them.
""",
)  # fmt: skip
