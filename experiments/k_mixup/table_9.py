"""Errors on three toys by k and alpha, with alpha_k and with alpha as given

The columns of Table 9 are perturbations xi: with larger k, alpha is to be raised to alpha_k, so that xi stays. In 13
of 20 places no alpha does that: alpha_k is then the cap, and xi, which is shown, is less. The authors' published
program computes an alpha_k and then trains with alpha; so both columns are given.
"""

import functools

import numpy as np

from experiments.k_mixup import common
from experiments.k_mixup.common import BARS, PLAIN, RING, ROLL, TOYS
from kmix_tf import KMixupLayer
from kmix_tf.analysis import mean_matching_cost
from kmix_tf.maths.theta import alpha_for_cost, theta_moments
from kmix_tf.paired import AtMost, Claim, Experiment, grid_table, scores

KS, ALPHAS = [1, 2, 4, 8, 16], [0.25, 1, 4, 16, 64]
MATCHED, AS_GIVEN = "alpha_k", "alpha"
_COLUMNS = {MATCHED: "raised to alpha_k", AS_GIVEN: "not raised, as in the authors' program"}
_PAPER = {
    RING: [
        [5.01, 7.88, 9.85, 10.28, 9.75], [4.28, 5.19, 5.87, 6.19, 5.79], [2.93, 3.34, 4.10, 3.86, 3.92],
        [2.50, 2.77, 3.24, 3.15, 2.78], [2.42, 2.26, 2.54, 2.43, 2.30],
    ],
    BARS: [
        [0, 0, 6.79, 49.60, 49.80], [0.01, 0, 1.53, 47.82, 49.74], [0, 0, 1.41, 8.25, 9.58],
        [0, 0, 0.38, 0.62, 0.63], [0, 0, 0.08, 0.07, 0.22],
    ],
    ROLL: [
        [0.83, 9.52, 31.84, 37.38, 36.18], [0.49, 3.30, 28.41, 32.21, 32.75], [0.33, 1.34, 15.49, 27.53, 29.23],
        [0.35, 0.45, 2.67, 8.14, 2.76], [0.40, 0.33, 0.45, 0.27, 0.27],
    ],
}  # fmt: skip


def named(toy, k, alpha, column):
    return f"{toy}, k = {k}, {alpha:g}, {column}"


def measure(seed, ks, alphas, largest, trials, n, test, batch, epochs, units):
    """Errors by toy, k, alpha and column, the alpha that mixed, and xi."""
    of, steps = common.trainer(n, batch, epochs, units)
    cells = {}
    for toy in TOYS:
        x, y = common.data(toy, n, seed)
        held_out = common.tested_on(toy, test, seed)

        # Where alpha_k is at its bound, several columns are one.
        @functools.cache
        def error(k, alpha, x=x, y=y, held_out=held_out):
            layer = KMixupLayer(k, alpha, num_classes=2) if alpha else None
            return scores(common.trained(of, x, y, layer, batch, steps, seed), *held_out)["error"]

        cells[f"{toy}, {PLAIN}"] = {"error": error(1, 0)}
        for k, alpha, column, mixing, xi in _mixings(x, ks, alphas, largest, trials):
            cells[named(toy, k, alpha, column)] = {"error": error(k, mixing), "alpha": mixing, "xi": xi}
    return cells


def _mixings(x, ks, alphas, largest, trials):
    """k, the alpha of k = 1, the column, the alpha that mixes, and xi."""
    plain = mean_matching_cost(x, 1)
    for k in ks:
        cost = mean_matching_cost(x, k, trials) if k > 1 else plain
        for alpha in alphas:
            raised = alpha_for_cost(alpha, plain, cost, largest)
            for column, mixing in ((MATCHED, raised), (AS_GIVEN, alpha)):
                yield k, alpha, column, mixing, np.sqrt(theta_moments(mixing).gamma_squared * cost)


def table(runs):
    ks = {f"k = {k}": k for k in runs.settings["ks"]}
    alphas = {f"alpha = {alpha:g}": alpha for alpha in runs.settings["alphas"]}
    parts = []
    for toy in TOYS:
        plain = runs.mean(f"{toy}, {PLAIN}", "error")
        parts.append(f"**{toy}**: without mixing, {plain:.2f} % error.")
        for column, words in _COLUMNS.items():
            parts.append(f"alpha {words}: error in %, {_apart(runs, toy, column)}")
            parts.append(grid_table(runs, "error", ks, alphas, _arms(toy, column), PAPER))
        parts.append(
            f"xi that alpha_k reaches: less than that of k = 1 where it is capped at {runs.settings['largest']:g}"
        )
        parts.append(grid_table(runs, "xi", ks, alphas, _arms(toy, MATCHED)))
    return "\n\n".join(parts)


def _arms(toy, column):
    return lambda k, alpha: named(toy, k, alpha, column)


def _apart(runs, toy, column):
    apart = [
        abs(runs.mean(arm, "error") - PAPER[arm]["error"])
        for arm in runs.arms
        if arm.startswith(toy) and arm.endswith(f", {column}")
    ]
    return f"{np.mean(apart):.1f} points from the paper's numbers on average."


def draw(runs):
    from matplotlib import pyplot

    ks, alphas = runs.settings["ks"], runs.settings["alphas"]
    figure, grid = pyplot.subplots(2, 3, figsize=(12, 7), sharex=True, sharey="col", layout="constrained")
    for row, (column, words) in zip(grid, _COLUMNS.items(), strict=True):
        for axes, toy in zip(row, TOYS, strict=True):
            for colour, k in enumerate(ks):
                values = np.stack([runs.values(named(toy, k, a, column), "error") for a in alphas], axis=1)
                common.shaded(axes, alphas, values, label=f"k = {k}", color=f"C{colour}", marker="o", markersize=4)
                theirs = [PAPER[named(toy, k, a, column)]["error"] for a in alphas]
                axes.plot(alphas, theirs, color=f"C{colour}", linestyle=":", linewidth=1)
            axes.set_xscale("log", base=4)
            axes.set_xticks(alphas, [f"{a:g}" for a in alphas])
            axes.minorticks_off()
            axes.set_title(f"{toy}\nalpha {words}", fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel("test error, %")
    for axes in grid[1]:
        axes.set_xlabel("alpha of k = 1")
    grid[0, 0].legend(title="dotted: the paper", fontsize=8)
    return figure


def errors(cells, toy, column):
    """`(ks, alphas)`, of those that were measured."""
    rows = [[named(toy, k, alpha, column) for alpha in ALPHAS] for k in KS]
    found = [[cells[arm]["error"] for arm in row if arm in cells] for row in rows]
    return np.array([row for row in found if row])


def _less_on_average(toy, column):
    return lambda cells: float(np.subtract(*errors(cells, toy, column)[[0, -1]]).mean())


def _less_at_first(toy):
    return lambda cells: float(np.subtract(*errors(cells, toy, MATCHED)[[0, -1], 0]))


def _steadiness(toy, column):
    return lambda cells: float(np.subtract(*errors(cells, toy, column)[-1, [0, -1]]))


def _share_best(column):
    """In percent of toys and alphas."""

    def share(cells):
        found = np.concatenate([errors(cells, toy, column) for toy in TOYS], axis=1)
        return 100 * float(np.mean(found[-1] <= found.min(axis=0) + 0.5))

    return share


def claims():
    found = []
    for toy, theirs in _PAPER.items():
        gain = f"{np.mean(np.subtract(theirs[0], theirs[-1])):.1f}"
        found.append(
            Claim(f"{toy}: without mixing, error is at most 1 %", AtMost("error", f"{toy}, {PLAIN}", 1.0), "0 %")
        )
        for column, words in _COLUMNS.items():
            says = f"{toy}: on average over alpha, 16-mixup has less error than plain mixup; alpha {words}"
            found.append(Claim(says, _less_on_average(toy, column), gain))
        if toy != BARS:
            says = f"{toy}: at alpha = 0.25, where alpha_k keeps xi, 16-mixup has less error than plain mixup"
            found.append(Claim(says, _less_at_first(toy), f"{theirs[0][0] - theirs[-1][0]:.2f}"))
        says = (
            f"{toy}: 16-mixup is robust to a large alpha: its error with alpha_k of 64 (capped: less xi) is at most "
        )
        says += "1 point above that with alpha_k of 0.25"
        more = theirs[-1][-1] - theirs[-1][0]
        printed = f"{abs(more):.2f} {'more' if more > 0 else 'less'}"
        found.append(Claim(says, _steadiness(toy, MATCHED), printed, above=-1.0))
    for column, words in _COLUMNS.items():
        says = f"k = 16 is the best of all k, or within 0.5 points of it, in over 90 % of the table; alpha {words}"
        found.append(Claim(says, _share_best(column), "14 of 15", above=90.0, unit="% of the table"))
    return found


PAPER = {
    named(toy, k, alpha, column): {"error": _PAPER[toy][row][place]}
    for toy in TOYS
    for row, k in enumerate(KS)
    for place, alpha in enumerate(ALPHAS)
    for column in _COLUMNS
}

EXPERIMENT = Experiment(
    name="k-mixup/table-9",
    items="Table 9",
    title="Errors on three toys by k and alpha, with alpha_k and with alpha as given",
    measure=measure,
    settings={"ks": KS, "alphas": ALPHAS, "largest": 100.0, "trials": 400, **common.TRAINING},
    quick={"ks": [1, 16], "alphas": [0.25, 64], "trials": 20, "epochs": 4, "test": 500},
    seeds=5,
    claims=claims(),
    paper=PAPER,
    table=table,
    draw=draw,
    notes=common.ABOUT_TRAINING + """
alpha_k is that of Algorithm 1 in closed form, from the mean costs of 400 matchings of the set that is trained on. Its
bound is 100, that of the authors' published program, which the paper calls gamma and does not print: where no alpha_k
is enough, ratios are then nearly 1/2, and xi is less than that of k = 1: with k = 16,
everywhere but at 0.25. That program raises alpha until the mean square
of min(l, 1 - l) has grown by the square root of the ratio of the squared distances, where Algorithm 1 has the ratio
itself, and then trains with alpha. It is for CIFAR-10; the one for toys is not published, so that nobody can tell
which column Table 9 is. In brackets the paper's numbers, the same in both columns. The sets' xi at k = 1 is the
paper's, but their shapes are a guess, on which errors depend: how wide the gaps between classes are, say.
""",
)  # fmt: skip
