"""What an epoch costs with more interpolations, Puzzle Mix and plain mixup

Times are those of the machine and of the moment: no two runs are alike. Within a round all arms run one after
another, and only ratios within a round are compared.
"""

import functools
import time

import numpy as np

from experiments.multi_mix import common
from experiments.multi_mix.common import INPUT, PUZZLE
from kmix_tf import MixModel
from kmix_tf.paired import AtMost, Claim, Experiment, Trainer, batches

METHODS = (PUZZLE, INPUT)
MORE, LOW, HIGH = "more time, %", "lower quartile", "upper quartile"


def measure(seed, train, batch, width, counts, rounds, steps):
    """How much longer an epoch takes than with one interpolation: median and quartiles over rounds."""
    (data,) = common.digits_on_photographs(seed, train)
    fits = {}
    for method in METHODS:
        for count in counts:
            wrap = functools.partial(MixModel, layer=common.mixing(method, count), seed=seed)
            trainer = Trainer(
                functools.partial(common.small_cnn, width), common.sgd(0.01, 1000), wrap=wrap, steps_per_call=1
            )
            dataset = batches(data.x, data.y, batch, seed)
            # Once by `fit`, which prepares all; from then on without what `fit` does anew each time.
            trainer.run(dataset, 1, seed)
            fits[method, count] = trainer.model.train_function, iter(dataset)
            next_steps(*fits[method, count], steps)
    times = {each: [] for each in fits}
    for _ in range(rounds):
        for each, fit in fits.items():
            started = time.perf_counter()
            next_steps(*fit, steps)
            times[each].append(time.perf_counter() - started)
    cells = {}
    for (method, count), values in times.items():
        more = 100 * (np.array(values) / np.array(times[method, counts[0]]) - 1)
        low, middle, high = np.percentile(more, [25, 50, 75])
        cells[arm(method, count)] = {
            MORE: middle, LOW: low, HIGH: high, "ms a step": 1e3 * float(np.median(values)) / steps,
        }  # fmt: skip
    return cells


def next_steps(train, iterator, steps):
    for _ in range(steps):
        train(iterator)


def arm(method, count):
    return f"{method}, K = {count}"


def draw(runs):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    counts = np.array(runs.settings["counts"])
    for method in METHODS:
        middle, low, high = (
            np.array([np.median(runs.values(arm(method, count), each)) for count in counts])
            for each in (MORE, LOW, HIGH)
        )
        (line,) = axes.plot(counts, middle, marker="o", label=method)
        axes.fill_between(counts, low, high, alpha=0.2, color=line.get_color())
    axes.plot(counts, 100 * (counts - 1), linestyle=":", color="black", label="proportional to K")
    axes.set(xlabel="interpolations K", ylabel="more time an epoch than K = 1, %", xticks=counts)
    axes.legend()
    return figure


EXPERIMENT = Experiment(
    name="multi-mix/figure-7",
    items="Figure 7",
    title="What an epoch costs with more interpolations, Puzzle Mix and plain mixup",
    measure=measure,
    settings={"train": 1000, "batch": 50, "width": 16, "counts": [1, 3, 5, 9], "rounds": 9, "steps": 5},
    quick={"train": 20, "batch": 10, "width": 2, "counts": [1, 9], "rounds": 2, "steps": 1},
    seeds=5,
    claims=[
        Claim(
            "nine interpolations of Puzzle Mix take less than nine times as long as one",
            AtMost(MORE, arm(PUZZLE, 9), 800.0), "sublinear", unit="%",
        ),
        Claim(
            "nine interpolations of plain mixup take less than nine times as long as one",
            AtMost(MORE, arm(INPUT, 9), 800.0), "sublinear", unit="%",
        ),
    ],
    draw=draw,
    notes="""
Not deterministic: another run gives other times. The paper trains ResNeXt on a GPU with eight processes that load
data; here all runs on one core, and nothing is done in parallel. What is saved is what each step costs whatever its
size, and saliency, which is asked once a batch however many interpolations there are. The shading spans quartiles
over rounds. All arms take batches of the same 50 samples; one of nine interpolations trains on nine times as many
mixtures.
""",
)  # fmt: skip
