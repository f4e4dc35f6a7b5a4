"""k-mixup of small tables: Iris and Breast Cancer

The k-mixup paper's Table 4, of which Abalone, Arrhythmia and Phishing must be downloaded and are left out.
"""

import functools

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris

from experiments.k_mixup.real import PLAIN, layers_of, matched, means, mixup, of_weights, published, sgd
from kmix_tf.paired import Claim, Experiment, Less, Trainer, batches, grid_table, scores

IRIS, CANCER = "Iris", "Cancer"
ALPHAS, KS = [0.05, 0.1, 1], [1, 2, 4, 8, 16]
LOADERS = {IRIS: load_iris, CANCER: load_breast_cancer}
# Test errors without mixing; by alpha, and by k within.
PRINTED = {
    IRIS: (4.10, [[6.7, 4.2, 3.3, 2.5, 3.7], [6.0, 2.9, 2.7, 3.5, 3.6], [7.0, 3.9, 2.9, 3.8, 2.9]]),
    CANCER: (
        11.25, [[10.32, 9.08, 9.52, 8.63, 9.35], [10.42, 9.75, 9.92, 9.14, 10.25], [12.31, 10.83, 10.23, 9.85, 9.15]],
    ),
}  # fmt: skip


def measure(seed, units, ks, alphas, largest, trials, batch, epochs, rate, momentum, decay):
    """Errors of each arm in the test and in training, by data set."""
    cells = {}
    for name in units:
        x, y, test_x, test_y = split(name, seed)
        steps, classes = epochs * (len(x) // batch), int(test_y.max()) + 1
        make = functools.partial(network, x.shape[1], units[name], classes, decay)
        trainer = Trainer(make, functools.partial(sgd, rate, momentum, steps), steps_per_call=len(x) // batch * 20)
        layers = layers_of(x, alphas, ks[name], [max(ks[name])], classes, largest, trials, seed)
        for arm, (layer, reached) in layers.items():
            model = trainer.run(batches(x, y, batch, seed, layer), steps, seed)
            errors = {"error": scores(model, test_x, test_y)["error"], "training error": scores(model, x, y)["error"]}
            cells[of(name, arm)] = {**errors, **reached}
    return cells


def split(name, seed):
    """Columns in [0, 1]; a third of the rows to test, drawn at random: x and y to train and to test."""
    x, y = LOADERS[name](return_X_y=True)
    x = ((x - x.min(axis=0)) / np.ptp(x, axis=0)).astype(np.float32)
    y = y.astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(x))
    rest, chosen = np.split(order, [len(x) // 3])
    return x[chosen], y[chosen], x[rest], y[rest]


def network(features, units, classes, decay):
    layers = [keras.layers.Dense(each, activation="relu", **of_weights(decay)) for each in units]
    return keras.Sequential([keras.Input((features,)), *layers, keras.layers.Dense(classes, **of_weights(decay))])


def of(name, arm):
    return f"{name}: {arm}"


def table(runs):
    parts = [_grid(runs, name, measure) for name in runs.settings["units"] for measure in ("error", "training error")]
    parts += [_grid(runs, name, measure) for name in runs.settings["units"] for measure in ("xi", "alpha")]
    return "\n\n".join(parts)


def _grid(runs, name, measure):
    ks, alphas = runs.settings["ks"][name], runs.settings["alphas"]
    columns = {**{f"k = {k}": k for k in ks}, f"k = {max(ks)}, alpha itself": 0}
    rows = {f"alpha = {alpha:g}": alpha for alpha in alphas}

    def arm(alpha, k):
        return of(name, matched(k, alpha) if k else published(max(ks), alpha))

    grid = grid_table(runs, measure, rows, columns, arm, PAPER)
    plain = f"; without mixing {runs.mean(of(name, PLAIN), measure):.2f}" if "error" in measure else ""
    printed = f" ({PRINTED[name][0]:g})" if measure == "error" else ""
    return f"{name}, {measure}{plain}{printed}:\n\n{grid}"


def draw(runs):
    from matplotlib import pyplot

    names, alphas = list(runs.settings["units"]), runs.settings["alphas"]
    figure, all_axes = pyplot.subplots(1, len(names), figsize=(11, 4), squeeze=False, layout="constrained")
    for axes, name in zip(all_axes[0], names, strict=True):
        ks, (plain, printed) = runs.settings["ks"][name], PRINTED[name]
        axes.axhline(runs.mean(of(name, PLAIN), "error"), color="black", label=PLAIN)
        axes.axhline(plain, color="black", ls=":", lw=1, label=f"{PLAIN}, paper")
        for color, alpha, theirs in zip(["C0", "C1", "C2"], alphas, printed, strict=False):
            values = np.stack([runs.values(of(name, matched(k, alpha)), "error") for k in ks], axis=1)
            means(axes, ks, values, color=color, marker="o", label=f"alpha_k of {alpha:g}")
            axes.plot(KS, theirs, color=color, ls=":", lw=1)
        axes.set(title=name, xlabel="k (dotted: the paper)", ylabel="test error, %", xscale="log", ylim=(0, None))
        axes.set_xticks(ks, map(str, ks))
        axes.minorticks_off()
    all_axes[0, 0].legend(fontsize=8)
    return figure


def _less(name, arm, than, says, paper, **options):
    return Claim(f"{name}: {says}", Less("error", of(name, arm), of(name, than)), paper, **options)


def _capped(name, alpha):
    """Of k = 16: for Iris, no alpha has the xi of mixup with alpha = 1."""
    return " (capped: less xi)" if (name, alpha) == (IRIS, 1) else ""


def _claims():
    found = []
    for name, (plain, rows) in PRINTED.items():
        for alpha, row in zip(ALPHAS, rows, strict=True):
            says = f"{matched(16, alpha)}{_capped(name, alpha)}, has less error than {mixup(alpha)}"
            found.append(_less(name, matched(16, alpha), mixup(alpha), says, f"{row[-1]:g} and {row[0]:g}"))
        numbers = f"{rows[2][-1]:g} and {plain:g}"
        says = f"{matched(16, 1)}{_capped(name, 1)}, has less error than no mixing"
        found.append(_less(name, matched(16, 1), PLAIN, says, numbers))
        says = f"{published(16, 1)}, as the authors' published loop trains, has less error than {mixup(1)}"
        found.append(_less(name, published(16, 1), mixup(1), says, "", ours=True))
    says = "mixup, alpha = {:g}, has more error than no mixing"
    found += [
        _less(IRIS, PLAIN, mixup(alpha), says.format(alpha), f"{row[0]:g} and 4.1")
        for alpha, row in zip(ALPHAS, PRINTED[IRIS][1], strict=True)
    ]
    says = "mixup, alpha = 0.05, has less error than no mixing"
    return [*found, _less(CANCER, mixup(0.05), PLAIN, says, "10.32 and 11.25")]


PAPER = {
    of(name, matched(k, alpha)): {"error": error}
    for name, (_, rows) in PRINTED.items()
    for alpha, row in zip(ALPHAS, rows, strict=True)
    for k, error in zip(KS, row, strict=True)
}


EXPERIMENT = Experiment(
    name="k-mixup/table-4",
    items="Table 4",
    title="k-mixup of small tables: Iris and Breast Cancer",
    measure=measure,
    settings={
        "units": {IRIS: [120, 84], CANCER: [120, 120, 84]}, "ks": {IRIS: KS, CANCER: [1, 4, 16]}, "alphas": ALPHAS,
        "largest": 100, "trials": 1000, "batch": 32, "epochs": 200, "rate": 0.005, "momentum": 0.9, "decay": 1e-4,
    },
    quick={"ks": {IRIS: [1, 16], CANCER: [1, 16]}, "epochs": 1},
    seeds=10,
    claims=_claims(),
    paper=PAPER,
    table=table,
    draw=draw,
    notes="""Means and standard deviations over seeds; in brackets the paper's numbers, of 20 seeds. The paper
prints the hidden layers, the rate of 0.005, 200 epochs, momentum 0.9 and weight decay 1e-4, and that the rate
falls after 100 and 150 epochs (for all of its trainings). It prints neither batches nor scaling nor how much is
held out. All its errors of Iris are multiples of 0.1, which with 20 seeds means 50 of 150 rows; so a third is
held out here, of both. Batches are of 32 rows, the least in which groups of 16 face each other.

Columns are scaled to [0, 1]. For Iris, that gives the printed xi, .07, .10 and .22. For Breast Cancer it gives
.11, .14 and .32, where the paper prints .19, .26 and .59. Nothing else that we tried gives those (at alpha = 1):
[-1, 1] .65, logarithms .53, standardised columns 2.2, columns by their largest values .28 or by their means 1.24,
rows of unit length .03, standardised columns and then rows of unit length .40, by median and quartiles 2.1, as
they come 274. Its errors of about 10 % are three times as many as ours, so that scaling or training differ in
more than that. Of Breast Cancer we train three of the five k, to save time.

alpha_k is to give k the xi of mixup with alpha. Where no alpha does, it is 100, and xi is less (see the table): so
for Iris at alpha = 1, where k = 8 has about .20 and k = 16 about .16, and mixup .21. Abalone, Arrhythmia and
Phishing need downloads.""",
)  # fmt: skip
