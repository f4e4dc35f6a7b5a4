"""Where five interpolations help: small batches and large rates, at equal steps, equal time and equal cost

Proposition III.1 has them lower the variance of gradients, so they should help where that variance is what limits
training. Rates are constant here, so that its noise stays.
"""

import functools

import keras
import numpy as np
from sklearn import datasets

from kmix_tf import KMixupLayer, MultiMixLayer
from kmix_tf.paired import Claim, Experiment, Less, Trainer, batches, paired_difference, scores, table
from kmix_tf.paired.tables import mean_and_spread

ONE, FIVE = "K = 1", "K = 5"
OWN = "K = 1, a ratio of each sample's own"
TIME, COST = "K = 1, as long as K = 5 takes", "K = 1, five times the steps"
MANY = "K = 1, five times as many different samples"
ARMS = (ONE, FIVE, OWN, TIME, COST, MANY)
NOISY, STEEP, CALM = "small batches, large rate", "whole batches, very large rate", "larger batches, small rate"


def network(units):
    layers = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])


def measure(seed, regimes, units, alpha, every):
    """Test scores by regime and arm."""
    digits = datasets.load_digits()
    x, y = (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(y))
    cells = {}
    for regime, setting in regimes.items():
        train, test = order[: setting["train"]], order[setting["train"] :]
        trainer = Trainer(
            lambda: network(units), functools.partial(keras.optimizers.SGD, setting["rate"]), steps_per_call=every
        )
        of_regime = functools.partial(course, trainer, (x[train], y[train]), (x[test], y[test]), seed, every)
        for name, found in measured(of_regime, setting, alpha).items():
            cells[arm(regime, name)] = found
    return cells


def measured(course_of, setting, alpha):
    """Scores by arm, of one regime."""
    one = functools.partial(KMixupLayer, 1, alpha, num_classes=10)
    steps, batch, longer = setting["steps"], setting["batch"], setting["longer"]
    alone = course_of(one(), batch, [steps, longer, 5 * steps])
    found = {ONE: alone[steps], TIME: alone[longer], COST: alone[5 * steps]}
    others = {FIVE: (MultiMixLayer(5, alpha, num_classes=10), batch), OWN: (one(scope="sample"), batch)}
    if 5 * batch <= setting["train"]:
        others[MANY] = one(), 5 * batch
    for name, (layer, size) in others.items():
        found[name] = course_of(layer, size, [steps])[steps]
    return found


def course(trainer, train, test, seed, every, layer, size, ends):
    """Scores after so many steps, by their number."""
    found = {}

    def watch(step):
        if step in ends:
            found[step] = scores(trainer.network, *test)

    trainer.run(batches(*train, size, seed, layer), max(ends), seed, every, watch)
    return found


def arm(regime, name):
    return f"{regime}: {name}"


def table_of(runs):
    """A row an arm; error and loss in each regime."""
    regimes = list(runs.settings["regimes"])
    head = ["", *[f"{regime}: {measure}" for regime in regimes for measure in ("error", "loss")]]
    rows = [
        [
            name,
            *[
                mean_and_spread(runs.values(arm(regime, name), measure)) if arm(regime, name) in runs.arms else ""
                for regime in regimes
                for measure in ("error", "loss")
            ],
        ]
        for name in ARMS
    ]
    return table(head, rows)


def draw(runs):
    from matplotlib import pyplot

    regimes = list(runs.settings["regimes"])
    figure, axes = pyplot.subplots(figsize=(8.5, 4.2), layout="constrained")
    others = [name for name in ARMS if name != ONE]
    for place, name in enumerate(others):
        has = [index for index, each in enumerate(regimes) if arm(each, name) in runs.arms]
        found = [
            paired_difference(*(runs.values(arm(regimes[each], of), "error") for of in (ONE, name))) for each in has
        ]
        middle = np.array([each.mean for each in found])
        reach = np.nan_to_num([each.high - each.mean for each in found])
        where = np.array(has) + 0.15 * (place - 2)
        axes.errorbar(middle, where, xerr=reach, fmt="o", capsize=2, label=name)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(regimes)), [each.replace(", ", ",\n") for each in regimes])
    axes.set(xlabel="less error than K = 1, points (95 % interval over seeds)")
    axes.invert_yaxis()
    axes.legend(fontsize=8)
    return figure


# They were picked by the gain that is claimed: that they have it again is all that this shows.
FOUND = dict.fromkeys((NOISY, STEEP), " (found on other seeds, then repeated)")


def claims():
    for regime in (NOISY, STEEP, CALM):
        for other, words in {
            ONE: "one, after equal steps", TIME: "one, after as much time", COST: "one, after as many mixtures",
            MANY: "five times as many different samples, at equal cost",
            OWN: "one with a ratio of each sample's own, which costs nothing",
        }.items():  # fmt: skip
            if (regime, other) == (STEEP, MANY):  # There are no more samples.
                continue
            yield Claim(
                f"{regime}{FOUND.get(regime, '')}: five interpolations have less error than {words}",
                Less("error", arm(regime, FIVE), arm(regime, other)), ours=True,
            )  # fmt: skip


EXPERIMENT = Experiment(
    name="multi-mix/regimes",
    items="Beyond the paper: where five interpolations help",
    title="Where five interpolations help: small batches and large rates, at equal steps, equal time and equal cost",
    measure=measure,
    settings={
        "regimes": {
            NOISY: {"train": 400, "batch": 10, "rate": 0.3, "steps": 1000, "longer": 1200},
            STEEP: {"train": 100, "batch": 100, "rate": 1.0, "steps": 200, "longer": 300},
            CALM: {"train": 400, "batch": 50, "rate": 0.05, "steps": 1000, "longer": 1500},
        },
        "units": 64, "alpha": 1.0, "every": 50,
    },
    quick={
        "regimes": {
            NOISY: {"train": 20, "batch": 4, "rate": 0.3, "steps": 2, "longer": 4},
            STEEP: {"train": 20, "batch": 20, "rate": 1.0, "steps": 2, "longer": 4},
            CALM: {"train": 20, "batch": 4, "rate": 0.05, "steps": 2, "longer": 4},
        },
        "every": 2,
    },
    seeds=12,
    claims=list(claims()),
    table=table_of,
    draw=draw,
    notes="""
The paper's Section IV-I varies K, and compares neither time nor cost; all claims here are ours.

The first two regimes were found on other seeds, then repeated: they were picked by the very gain that is claimed, on
seeds 1000 to 1003, which split the same 1,797 digits. So the claims say that the gain is there again with other
splits and weights of these data, not that it would be on other data. They are two of 18 settings, the third regime
is one of the others: 100 or 400 digits to train on, batches of 10, 50 or all, rates of 0.05, 0.3 or 1, looked at
after 50, 200, 500 and 1,000 steps. Gains of five interpolations were
largest there with small batches (2.8 points, 8.0 to 5.3 %, at a rate of 0.3; 1.6 at 0.05) and with so large a rate
that whole batches with one ratio for all barely train (10 to 20 points); elsewhere, as in the third regime, they
were within 0.5 points of none. *As long as K = 5 takes*: a step of five interpolations of so small batches took
1.2, 1.4 and 1.5 times as long as one of one interpolation, on one core; for larger networks it is nearer to five
(benchmarks/model_cost.md: 4.1), where *five times the steps* is what to compare with. All arms of a regime have the
same rate. They take equal batches in the same order, but for *five times as many different samples*, whose batches
are other ones; the arms with more steps go on with further batches.
""",
)  # fmt: skip
