"""What a model that fits mixtures perfectly says, exactly: where it contradicts labels, and where it jumps

Nothing is trained here, and nothing is random.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc

from kmix_tf.analysis import alternating_line, flip_threshold, mixup_optimal_classifier
from kmix_tf.paired import AtLeast, AtMost, Claim, Experiment

CROSS = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0], [-1.0, 0.0]])
OF_CROSS = np.array([0, 0, 1, 1])
MIDDLE, BESIDE = "cross, at the middle", "cross, beside the middle"
APART, BOTH_APART = "apart from 1/2, or beside from 1", "alphas apart"
PLACES, MIDST = np.linspace(-0.05, 2.05, 211), 105
SMALL = "line, alpha = 1024, radius 0.0001"


def measure(seed, radii, alphas, shown, nodes):
    """By radius the alpha from which on the middle of three points is taken for the class of its neighbours."""
    line = alternating_line(3)
    cells = {arm(radius): _threshold(line, radius) for radius in radii}
    cells["line, alpha = 1e6, radius 0.1"] = {"class 1": _of_first(*line, [[1.0]], 1e6, 0.1)[0]}
    cells[SMALL] = {"class 1": _of_first(*line, [[1.0]], 1024, 1e-4)[0]}
    cells[MIDDLE] = {"class 1": _of_first(CROSS, OF_CROSS, [[0.0, 0.0]], 1.0, 1e-3)[0]}
    cells[BESIDE] = {"class 1": _of_first(CROSS, OF_CROSS, [[0.0, 2e-3]], 1.0, 1e-3)[0]}
    # Results are kept to five digits: of what is nearly equal, the difference.
    cells[MIDDLE][APART] = abs(cells[MIDDLE]["class 1"] - 0.5)
    cells[BESIDE][APART] = abs(cells[BESIDE]["class 1"] - 1)
    cells[MIDDLE]["mass by radius"] = _mass(0.01, nodes) / 0.01
    for radius in radii:
        by_alpha = [_of_first(*line, [[1.0]], alpha, radius)[0] for alpha in np.geomspace(*alphas)]
        cells[arm(radius)]["by alpha"] = np.round(by_alpha, 4)
    for alpha in shown:
        by_place = np.round(_of_first(*line, PLACES[:, None], alpha, 0.1), 4)
        cells[f"line, alpha = {alpha:g}, radius 0.1"] = {"class 1": by_place[MIDST], "by place": by_place}
    return cells


def arm(radius):
    return f"line, radius {radius:g}"


def _of_first(x, y, points, alpha, radius):
    """The probability of class 1; 0 where there are no mixtures."""
    return np.nan_to_num(mixup_optimal_classifier(x, y, points, alpha, radius)[:, 0])


def _threshold(line, radius):
    of_proof = (np.log(4) / radius**2 - 1) / 2
    smallest = flip_threshold(*line, [0.0, radius, 0.0]).alpha
    of_condition = brentq(_lead, 1e-2, 1e5, args=(radius,), rtol=1e-12)
    return {
        "alpha": smallest, "alpha by the condition": of_condition, BOTH_APART: abs(of_condition / smallest - 1),
        "alpha of the proof": of_proof,
        "class 1": _of_first(*line, [[1.0]], of_proof, radius)[0],
    }  # fmt: skip


def _lead(alpha, radius):
    """2 P(|l - 1/2| < radius / 2) - 1 - 4 E[(1 - 2 l) 1{l < radius}], more than 0 where the label is contradicted."""
    near = betainc(alpha, alpha, (1 + radius) / 2) - betainc(alpha, alpha, (1 - radius) / 2)
    ends = betainc(alpha, alpha, radius) - betainc(alpha + 1, alpha, radius)
    return 2 * near - 1 - 4 * ends


def _mass(radius, nodes):
    """The share of mixtures of the cross that are of two points of class 1 and in a ball around its middle."""
    ratios = (np.arange(nodes) + 0.5) / nodes
    pairs = [(i, j) for i in (0, 1) for j in (0, 1) if i != j]
    mixed = [ratios[:, None] * CROSS[i] + (1 - ratios[:, None]) * CROSS[j] for i, j in pairs]
    return float(np.mean(np.linalg.norm(mixed, axis=-1) < radius)) * len(pairs) / len(CROSS) ** 2


def draw(runs):
    from matplotlib import pyplot

    settings, first = runs.settings, runs.cells[runs.seeds[0]]
    figure, (by_alpha, by_place) = pyplot.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    for radius in settings["radii"]:
        row = first[arm(radius)]
        (line,) = by_alpha.semilogx(np.geomspace(*settings["alphas"]), row["by alpha"], label=f"radius {radius:g}")
        by_alpha.plot(row["alpha of the proof"], row["class 1"], "o", color=line.get_color())
    by_alpha.plot([1, 32, 128], [0.156, 0.603, 0.650], "k*", label="the paper's networks")
    by_alpha.set(title="at the middle; dots: alpha of the proof", xlabel="alpha", ylabel="probability of class 1")
    for alpha in settings["shown"]:
        row = first[f"line, alpha = {alpha:g}, radius 0.1"]
        by_place.plot(PLACES, row["by place"], label=f"alpha = {alpha:g}")
    by_place.set(title="radius 0.1", xlabel="place on the line")
    for axes in (by_alpha, by_place):
        axes.axhline(0.5, color="gray", linewidth=0.8)
        axes.legend(fontsize=8)
    return figure


RADII = [0.4, 0.2, 0.1, 0.05, 0.02]

EXPERIMENT = Experiment(
    name="data-dependency/theorem-2-7",
    items="Theorem 2.7, Propositions 2.5 and 2.8",
    title="What a model that fits mixtures perfectly says, exactly: where it contradicts labels, and where it jumps",
    measure=measure,
    settings={"radii": RADII, "alphas": [0.1, 1e5, 61], "shown": [1, 32, 128], "nodes": 100000},
    quick={"alphas": [0.1, 1e5, 13]},
    seeds=1,
    claims=[
        *(
            Claim(f"radius {radius:g}: at the proof's alpha the middle point is taken for class 1",
                  AtLeast("class 1", arm(radius), 0.5), "above 1/2", is_exact=True, unit="")
            for radius in RADII
        ),
        Claim("at each radius there is an alpha from which on the middle point is taken for class 1",
              lambda cells: 1e4 - max(cells[arm(r)]["alpha"] for r in RADII), "exists", is_exact=True, unit=""),
        Claim("the cross: class 1 has 1/2 at the middle, to 1e-9",
              AtMost(APART, MIDDLE, 1e-9), "1/2", is_exact=True, unit=""),
        Claim("the cross: class 1 has 1, to 1e-9, right beside the middle on the line of its points: a jump",
              AtMost(APART, BESIDE, 1e-9), "1", is_exact=True, unit=""),
        Claim("the cross: the mass of class 1 in the ball is a quarter of its radius, to 1 %",
              lambda cells: 0.0025 - abs(cells[MIDDLE]["mass by radius"] - 0.25), "1/4", is_exact=True, unit=""),
        Claim("with small balls labels are never contradicted: class 1 below 0.01 at the middle, radius 0.0001",
              AtMost("class 1", SMALL, 0.01), "0", is_exact=True, unit=""),
        Claim("the smallest alpha that contradicts the label is the root of the exact condition, to a millionth",
              lambda cells: 1e-6 - max(cells[arm(r)][BOTH_APART] for r in RADII), is_exact=True, unit="", ours=True),
    ],
    draw=draw,
    notes="""alpha: the smallest at which the label of the middle point is contradicted, by `flip_threshold`; by
the condition: the root of 2 P(|l - 1/2| < r / 2) = 1 + 4 E[(1 - 2 l) 1{l < r}]; alphas apart: by what part of
itself the first differs from it. class 1: the probability of
class 1, in the rows of a radius at the proof's alpha, (ln 4 / r^2 - 1) / 2. Such an alpha exists at all these
radii, as the theorem says. That of the proof does not quite suffice at 0.4, and is three times as large as
needed at small ones: mixtures of 0 and 2 are in the ball where |l - 1/2| < r / 2, not r, and the variance of
Beta(alpha, alpha) is 1 / (8 alpha + 4), not twice that. However large alpha is, the probability stays below
2/3.

Proposition 2.5 stands; the mass in its proof is an eighth of the radius, not a quarter.

The networks of Table 1 are no such classifiers, but near: radii of .11, .14 and .10 give their three
probabilities.""",
)  # fmt: skip
