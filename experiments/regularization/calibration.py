"""Equation (22) against temperatures, fitted and not, after mixing and without it"""

import functools
import warnings

import numpy as np

from experiments.networks import digits_network, mlp
from experiments.regularization import common
from kmix_tf import KMixupLayer, RescaledModel
from kmix_tf.models.calibrating.rows import Rows
from kmix_tf.models.calibrating.scores import scored
from kmix_tf.paired import Claim, Experiment, Less, More, Trainer, arms_table, batches

CLEAN, NOISY, TABLE, CONVOLUTIONAL = "digits", "digits, wrong labels", "breast cancer", "digits, convolutional"
PLAIN, MIXUP, KMIXUP = "without mixing", "mixup", "16-mixup"
RECOMMENDED, ON_NOISY = "recommended", "temperature, fitted to wrong labels"
WAYS = {
    "plain": {"method": None},
    "theta": {"method": "theta"},
    "rescaled": {"method": None, "shrink": True},
    "temperature": {"method": "temperature"},
    "both": {"method": "temperature", "shrink": True},
}
SHOWN = ("error", "loss", "calibration", "floor", "brier")


def measure(seed, sets, alpha, train_size, held_out, table_size, table_held_out, wrong, batch, steps):
    """Scores on test data of each way to read each network's answers, and of the way that held-out data recommend."""
    cells = {}
    for name in sets:
        data = of_digits(seed, train_size) if name != TABLE else of_breast_cancer(seed, table_size)
        count = held_out if name != TABLE else table_held_out
        trained_on = data.classes if name != NOISY else with_wrong(data.classes, wrong, seed)
        classes = 10 if name != TABLE else 2
        trainer = Trainer(functools.partial(network, name))
        for mix, layer in mixes(alpha).items():
            y = np.eye(classes, dtype=np.float32)[trained_on]
            made = trainer.run(batches(data.x, y, batch, seed, layer), steps, seed)
            rescaled = RescaledModel(made, alpha)
            rescaled.adapt(data.x, trained_on)
            held = data.test_x[:count], data.test_classes[:count]
            test = data.test_x[count:], data.test_classes[count:]
            found = ways(rescaled, held, test)
            if name == NOISY:
                found[ON_NOISY] = as_read(rescaled, (held[0], with_wrong(held[1], wrong, seed + 1)), test, {})
            cells |= {f"{name}, {mix}: {way}": scores for way, scores in found.items()}
    return cells


def mixes(alpha):
    """k-mixup at the same alpha, as the paper's authors train it."""
    return {PLAIN: None, MIXUP: common.mixing(alpha), KMIXUP: KMixupLayer(16, alpha)}


def network(name):
    if name == CONVOLUTIONAL:
        return digits_network()
    return mlp(30, (64, 64), 2) if name == TABLE else mlp((8, 8, 1), (128, 128), 10)


def of_digits(seed, size):
    return common.digits(seed, size)


def of_breast_cancer(seed, size):
    """Wisconsin's 569 samples of 30 features, standardised by those to train on."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    x = ((x - x[:size].mean(axis=0)) / x[:size].std(axis=0)).astype(np.float32)
    return common.Data(x[:size], y[:size], y[:size], x[size:], y[size:])


def with_wrong(classes, share, seed):
    """A share of the labels replaced by others, each as likely."""
    generator = np.random.default_rng(seed + 1000)
    shift = generator.integers(1, 10, len(classes))
    return np.where(generator.random(len(classes)) < share, (classes + shift) % 10, classes)


def ways(rescaled, held, test):
    """Of each way, and of the recommended one."""
    found = {name: as_read(rescaled, held, test, options) for name, options in WAYS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recommended = rescaled.evaluate_both(*held).recommended
    found[RECOMMENDED] = {**found[recommended], "number": list(WAYS).index(recommended)}
    return found


def as_read(rescaled, held, test, options):
    """Scores of the answers to test data, calibrated on held-out data where the way needs them; or as they are,
    if no temperature fits these."""
    data = held if options.get("method", "temperature") == "temperature" else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rescaled.calibrate(*data, **options)
        except ValueError:
            rescaled.calibrate(method=None, shrink=options.get("shrink", False))
    logits = common.answers(rescaled, test[0])
    rows = Rows("logits", logits.shape[1])
    rows.add({}, np.eye(logits.shape[1])[test[1]], np.ones(len(logits)), 0)
    scores = scored(rows.complete(), logits, 10).scores
    percent = {"error": scores.error, "calibration": scores.calibration_error, "floor": scores.calibration_floor}
    return {**{name: 100 * share for name, share in percent.items()}, "loss": scores.loss, "brier": scores.brier}


def within_floor(name, mix):
    """By how much the recommended way's calibration error is nearer to the least of all ways than its noise floor."""

    def effect(cells):
        of_way = {way: cells[f"{name}, {mix}: {way}"] for way in (*WAYS, RECOMMENDED)}
        least = min(scores["calibration"] for scores in of_way.values())
        return of_way[RECOMMENDED]["floor"] - (of_way[RECOMMENDED]["calibration"] - least)

    return effect


def claims():
    sets, mixed = (CLEAN, NOISY, TABLE, CONVOLUTIONAL), (MIXUP, KMIXUP)
    arm = lambda name, mix, way: f"{name}, {mix}: {way}"  # noqa: E731
    found = [
        Claim(f"the recommended way's calibration error is within its floor of the least of the five: {name}, {mix}",
              within_floor(name, mix), ours=True)
        for name in sets for mix in (PLAIN, *mixed)
    ]  # fmt: skip
    found += [
        Claim(f"one fitted temperature leaves less {words} than eq. (22): {name}, {mix}",
              Less(each, arm(name, mix, "temperature"), arm(name, mix, "rescaled")), unit=unit, ours=True)
        for name in sets for mix in mixed
        for each, words, unit in (("calibration", "calibration error", "points"), ("loss", "loss", "nats"))
    ]  # fmt: skip
    found += [
        Claim(f"eq. (22) before the fitted temperature leaves less loss than the temperature alone: {name}, {mix}",
              Less("loss", arm(name, mix, "both"), arm(name, mix, "temperature")), unit="nats", ours=True)
        for name in sets for mix in mixed
    ]  # fmt: skip
    found += [
        Claim(f"mixing makes a network's calibration error larger, with nothing done about it: {name}, {mix}",
              More("calibration", arm(name, mix, "plain"), arm(name, PLAIN, "plain")), ours=True)
        for name in sets for mix in mixed
    ]  # fmt: skip
    found += [
        Claim(f"a temperature fitted to labels as wrong as those of training is off by more on right ones: {mix}",
              More("calibration", arm(NOISY, mix, ON_NOISY), arm(NOISY, mix, "temperature")), ours=True)
        for mix in (PLAIN, *mixed)
    ]  # fmt: skip
    return found


def draw(runs):
    """Calibration error of each way, a panel a data set."""
    from matplotlib import pyplot

    sets = [name for name in (CLEAN, NOISY, TABLE, CONVOLUTIONAL) if name in runs.settings["sets"]]
    figure, axes = pyplot.subplots(1, len(sets), figsize=(3.6 * len(sets), 3.6), layout="constrained", squeeze=False)
    for each, name in zip(axes[0], sets, strict=True):
        for place, mix in enumerate((PLAIN, MIXUP, KMIXUP)):
            values = [runs.values(f"{name}, {mix}: {way}", "calibration") for way in (*WAYS, RECOMMENDED)]
            floor = runs.mean(f"{name}, {mix}: {RECOMMENDED}", "floor")
            at = np.arange(len(values)) + 0.22 * (place - 1)
            spread = [of_way.std(ddof=1) if len(of_way) > 1 else 0 for of_way in values]
            each.errorbar(at, [of_way.mean() for of_way in values], spread, fmt="o", markersize=4, label=mix)
            each.axhline(floor, color=f"C{place}", linewidth=0.8, linestyle=":")
        each.set_xticks(range(len(WAYS) + 1), [*WAYS, RECOMMENDED], rotation=40, ha="right")
        each.set(title=name, ylim=(0, None))
    axes[0, 0].set_ylabel("test calibration error, %")
    axes[0, 0].legend(fontsize=8)
    return figure


EXPERIMENT = Experiment(
    name="regularization/calibration",
    items="Equation (22), beside temperatures; not in the paper",
    title="Equation (22) against temperatures, fitted and not, after mixing and without it",
    measure=measure,
    settings={
        "sets": [CLEAN, NOISY, TABLE, CONVOLUTIONAL], "alpha": 1, "train_size": 800, "held_out": 200,
        "table_size": 250, "table_held_out": 120, "wrong": 0.2, "batch": 64, "steps": 1000,
    },
    quick={"sets": [CLEAN, NOISY, TABLE, CONVOLUTIONAL], "steps": 10},
    seeds=10,
    claims=claims(),
    table=lambda runs: arms_table(runs, measures=SHOWN),
    draw=draw,
    notes="""Five ways to read the answers of one network: as they are ("plain"), divided by theta ("theta"), by eq.
(22) ("rescaled"), divided by one number fitted on held-out samples with right labels ("temperature"), and by eq. (22)
and then a fitted number ("both"). "recommended" is the one that `evaluate_both` recommends from the held-out samples
alone. Digits: 800 to train on, 200 held out, 797 to test on; with "wrong labels", a fifth of those of training are
others. Breast cancer: 250, 120 and 199. Networks have two hidden layers, or two convolutions and one; k-mixup has the
alpha of mixup, and its theta, which eq. (22) is not derived for. "Floor" is what the calibration error would be for
chance alone if confidences were true. Where no temperature fits, because held-out samples are all right, answers stay
as they are. The dotted lines are the floors of the recommended way.""",
)  # fmt: skip
