"""What mixing in the training step costs: time per step of `MixModel.fit`, beside the plain model's, in one run; and
what `ApproximateMixupModel` costs, which mixes nothing.

    python benchmarks/model_cost.py                  # the table on the terminal
    python benchmarks/model_cost.py --write          # also into benchmarks/model_cost.md
    python benchmarks/model_cost.py --json           # for machines

All contestants train the same small residual network on the same batches in every round, one after another. A ratio
is taken within a round, so what slows a whole round down falls out of it. Exact derivatives need frozen batch
normalisation; their ratio is to plain training of the network that is so frozen.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kmix_tf import (
    ApproximateMixupModel,
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixModel,
    MultiMixLayer,
    PuzzleMixLayer,
    SaliencyMixLayer,
)

PLAIN, CLEAN = "plain fit", "PuzzleMixLayer(), clean_weight=1"
FROZEN = "plain fit, normalisation frozen"
DIFFERENCES = "ApproximateMixupModel(derivatives='differences'): 3 x the batch"
EXACT = "ApproximateMixupModel(), normalisation frozen"
CURVED = "ApproximateMixupModel(terms=('r1_r3', 'r2')), normalisation frozen"
# What a contestant's ratio is to, where it is not to PLAIN.
BESIDE = {FROZEN: FROZEN, EXACT: FROZEN, CURVED: FROZEN}
BATCH = 128


def residual_network(width=16, blocks=3):
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False)(inputs)
    for stage in range(blocks):
        shortcut = layers.Conv2D(width << stage, 1, strides=1 + (stage > 0), use_bias=False)(x)
        for strides in (1 + (stage > 0), 1):
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
            x = layers.Conv2D(width << stage, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Add()([x, shortcut])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10)(x))


def _mixing(name, layer):
    return MixModel(residual_network(), layer, seed=0, clean_weight=float(name == CLEAN))


def frozen_network():
    model = residual_network()
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return model


def approximating(images, labels):
    models = {
        DIFFERENCES: ApproximateMixupModel(residual_network(), 1.0, derivatives="differences", seed=0),
        EXACT: ApproximateMixupModel(frozen_network(), 1.0, seed=0),
        CURVED: ApproximateMixupModel(frozen_network(), 1.0, terms=("r1_r3", "r2"), seed=0),
    }
    for model in models.values():
        model.adapt(images, labels)
    return models


def contestants(images, labels):
    layers = {
        "KMixupLayer(1)": KMixupLayer(1, num_classes=10),
        "KMixupLayer(16, solver='graph')": KMixupLayer(16, solver="graph", num_classes=10),
        "KMixupLayer(16), on the host": KMixupLayer(16, num_classes=10),
        "LocalMixupLayer()": LocalMixupLayer(num_classes=10),
        "CutMixLayer()": CutMixLayer(num_classes=10),
        "FMixLayer()": FMixLayer(num_classes=10),
        "SaliencyMixLayer(): two passes": SaliencyMixLayer(num_classes=10),
        "PuzzleMixLayer(): two passes": PuzzleMixLayer(num_classes=10),
        CLEAN: PuzzleMixLayer(num_classes=10),
        "PuzzleMixLayer(transport=False)": PuzzleMixLayer(transport=False, num_classes=10),
        "PuzzleMixLayer(solver='graph')": PuzzleMixLayer(solver="graph", num_classes=10),
        "MultiMixLayer(5): 5 x the batch": MultiMixLayer(5, num_classes=10),
        "PuzzleMixLayer(interpolations=5): 5 x the batch": PuzzleMixLayer(interpolations=5, num_classes=10),
    }
    models = {PLAIN: residual_network()}
    models |= {name: _mixing(name, layer) for name, layer in layers.items()}
    models |= {FROZEN: frozen_network(), **approximating(images, labels)}
    for name, model in models.items():
        sparse = name not in layers
        loss = keras.losses.SparseCategoricalCrossentropy if sparse else keras.losses.CategoricalCrossentropy
        model.compile("sgd", loss(from_logits=True), jit_compile=False)
    return models


def seconds(model, data, steps):
    start = time.perf_counter()
    model.fit(data, steps_per_epoch=steps, verbose=0)
    return (time.perf_counter() - start) / steps


def measure(rounds, steps):
    generator = np.random.default_rng(0)
    images = generator.random((BATCH, 32, 32, 3), dtype=np.float32)
    labels = generator.integers(0, 10, BATCH)
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    models = contestants(images, labels)
    for model in models.values():
        seconds(model, data, 2)
    times = {name: [] for name in models}
    for _ in tqdm(range(rounds), desc="rounds"):
        for name, model in models.items():
            times[name].append(seconds(model, data, steps))
    return times


def summary(times):
    """Median milliseconds, and median and quartiles of the ratio to plain fit within each round."""
    rows = {}
    for name, values in times.items():
        plain = times[BESIDE.get(name, PLAIN)]
        low, middle, high = statistics.quantiles([a / b for a, b in zip(values, plain, strict=True)], n=4)
        rows[name] = {"ms": 1e3 * statistics.median(values), "ratio": middle, "quartiles": [low, high]}
    return rows


def markdown(rows, rounds, steps):
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores, no accelerator, not "
        f"compiled by XLA. A residual network of 10 convolutions, batches of {BATCH} 32x32x3 images, "
        f"{rounds} rounds of {steps} steps; time per step in ms (median), and its ratio to plain `fit` in the same "
        "round (median, quartiles in brackets); where normalisation is frozen, to plain `fit` with it frozen, too.",
        "",
        "| | ms | ratio |",
        "|---|--:|--:|",
    ]
    for name, row in rows.items():
        low, high = row["quartiles"]
        lines.append(f"| {name} | {row['ms']:.1f} | {row['ratio']:.3f} [{low:.3f}, {high:.3f}] |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="steps a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/model_cost.md")
    arguments = parser.parse_args()
    rows = summary(measure(arguments.rounds, arguments.steps))
    table = markdown(rows, arguments.rounds, arguments.steps)
    print(json.dumps(rows) if arguments.json else table)
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What mixing in the training step costs\n\nMeasured by `python benchmarks/model_cost.py --write`."
        path.write_text(f"{heading}\n\n{table}\n")


if __name__ == "__main__":
    main()
