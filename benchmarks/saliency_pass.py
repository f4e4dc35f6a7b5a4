"""What it saves, and what it does to training, to ask a model for saliency in some steps alone, or of smaller images.

    python benchmarks/saliency_pass.py               # the tables on the terminal
    python benchmarks/saliency_pass.py --write       # also into benchmarks/saliency_pass.md and .json
    python benchmarks/saliency_pass.py --json        # for machines
    python benchmarks/saliency_pass.py --rounds 3    # how many seeds, and rounds of steps

`MixModel` asks the model in training what is salient, by a pass of its own before the step. Times are of steps, in
rounds in which every way has its turn, and their ratio to a plain step in the same round. Errors are of a small
network on digits on photographs; with one seed all ways have the same images, first weights and order of batches.
"""

import functools
import pathlib
import statistics
import sys

import harness
import keras
import networks
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kmix_tf import MixModel, PuzzleMixLayer, SpectralResidualSaliency
from kmix_tf.paired import Trainer, batches, paired_difference, scores

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from experiments.compared.images import CLASSES, LARGE, on_photographs

TITLE = "Asking for saliency less"
PLAIN, BESIDE = "no mixing", "each step, whole images"
# Four steps of a round: each way has asked as often as it does on average.
STEPS, ROUNDS, SEEDS, LARGEST, BATCH = 4, 7, 8, 128, 50
FULL = {"train": 800, "test": 797, "steps": 600, "width": 16}
QUICK = {"train": 60, "test": 40, "steps": 4, "width": 2}
# By name, the options of MixModel, and whether the layer asks the images themselves instead of the model.
WAYS = {
    BESIDE: ({}, False),
    "every 2nd step": ({"saliency_every": 2}, False),
    "every 4th step": ({"saliency_every": 4}, False),
    "images shrunk by 2": ({"saliency_shrink": 2}, False),
    "the images themselves: no pass": ({}, True),
}


def puzzle_mix(network, itself, options):
    source = SpectralResidualSaliency() if itself else None
    return MixModel(network, PuzzleMixLayer(blocks=4, num_classes=CLASSES, saliency=source), seed=0, **options)


def ways():
    """By name, what wraps a network; None: nothing."""
    made = {
        name: functools.partial(puzzle_mix, itself=itself, options=options)
        for name, (options, itself) in WAYS.items()
    }
    return {PLAIN: None, **made}


def step_costs(quick, rounds):
    """Times of steps of a residual network, not compiled by XLA, and their ratios to plain ones."""
    batch, width = (8, 2) if quick else (LARGEST, 16)
    generator = np.random.default_rng(0)
    images = generator.random((batch, 32, 32, 3), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[generator.integers(0, CLASSES, batch)]
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    runs = {}
    for name, wrap in ways().items():
        network = networks.residual_network(width, size=None)
        model = network if wrap is None else wrap(network)
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
        model.fit(data, steps_per_epoch=STEPS, verbose=0)
        runs[name] = functools.partial(model.fit, data, steps_per_epoch=STEPS, verbose=0)
    return harness.compared(harness.interleaved(runs, rounds, "steps"), PLAIN, STEPS)


def small_network(width):
    """Three convolutions, of images of any size."""
    layers = [keras.Input((None, None, 3)), keras.layers.Rescaling(4, offset=-1)]
    for deeper in (1, 2, 4):
        layers.append(keras.layers.Conv2D(deeper * width, 3, 2, "same", activation="relu"))
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)])


def errors(trainers, seed, sizes):
    """Test error of each way, in per cent."""
    data, of_test = on_photographs(seed, sizes["train"], sizes["test"])
    found = {}
    for name, trainer in trainers.items():
        shown = batches(data.x, data.labels, BATCH, seed)
        found[name] = scores(trainer.run(shown, sizes["steps"], seed), of_test.x, of_test.y)["error"]
    return found


def training(quick, seeds):
    sizes = QUICK if quick else FULL
    make = functools.partial(small_network, sizes["width"])

    def optimizer():
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, sizes["steps"]))

    trainers = {name: Trainer(make, optimizer, wrap=wrap, steps_per_call=20) for name, wrap in ways().items()}
    rows = [errors(trainers, seed, sizes) for seed in tqdm(range(seeds), desc="training", disable=None)]
    return {"seeds": seeds, **sizes, "ways": compared(rows)}


def compared(rows):
    """Of the errors of each seed: means, and how far each way is from asking in each step."""
    found = {}
    for name in rows[0]:
        ours = [row[name] for row in rows]
        found[name] = {"errors": ours, "mean": statistics.mean(ours)}
        if name != BESIDE:
            of = paired_difference([row[name] - row[BESIDE] for row in rows])
            found[name] |= {"difference": of.mean}
            if len(rows) > 1:
                found[name] |= {"interval": [of.low, of.high]}
    return found


def measure(quick, rounds):
    return {
        "steps": step_costs(quick, rounds or (1 if quick else ROUNDS)),
        "training": training(quick, rounds or (2 if quick else SEEDS)),
    }


def markdown(results):
    trained = results["training"]
    rows = []
    for name, row in results["steps"].items():
        learnt = trained["ways"][name]
        line = [name, f"{row['ms']:.0f}", harness.cell(row), f"{learnt['mean']:.2f}", "", ""]
        if "difference" in learnt:
            line[4] = f"{learnt['difference']:+.2f}"
        if "interval" in learnt:
            line[5] = "[{:+.2f}, {:+.2f}]".format(*learnt["interval"])
        rows.append(line)
    text = [
        "`MixModel` with `PuzzleMixLayer(blocks=4)`, whose first pass asks the network what is salient. Steps: a",
        f"residual network of 10 convolutions, not compiled by XLA, batches of {LARGEST} 32x32x3 images, rounds of",
        f"{STEPS} steps; time per step in ms (median), and its ratio to a plain step in the same round (median,",
        f"quartiles in brackets). Errors: test errors in per cent, means of {trained['seeds']} seeds:",
        f"{trained['train']} digits on photographs of {LARGE} x {LARGE} to learn from, {trained['test']} to test on,",
        f"three convolutions and a global mean, {trained['steps']} steps of {BATCH} each; differences, in points, to",
        "asking the model in each step, with 95 % intervals by Student's t. One that holds 0 does not show that ways",
        "are alike, only that they are hardly farther apart than its ends.",
        "",
        harness.table(["", "step: ms", "ratio", "test error", "difference", "95 % interval"], rows),
    ]
    return "\n".join(text)


harness.main(__name__, __doc__)
