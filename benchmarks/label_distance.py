"""Mixing that sees the data: partners with near targets, ratios by distance, labels that lean to rare classes.

    python benchmarks/label_distance.py               # the tables on the terminal
    python benchmarks/label_distance.py --write       # also into benchmarks/label_distance.md

A small network is trained on a part of each data set, columns standardised, and asked about the rest. Runs that are
compared have the same split, initial weights and batches. Regression: root mean squared error, in standard deviations
of the targets. Long tail: handwritten digits of which each class has 0.7 times as many samples as the one before; the
rest, to test on, are balanced.
"""

import argparse
import functools
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from sklearn import datasets
from tqdm import tqdm

from kmix_tf import (
    BetaRatio,
    DistanceWarpedRatio,
    KMixupLayer,
    LabelDistancePairing,
    MixLayer,
    RandomPairing,
    RemixShares,
    mix,
)
from kmix_tf.paired import Trainer

BATCH, PER_CALL = 32, 100
BANDWIDTHS = (0.1, 0.3, 1.0)
CLASSES = 10
HEADS = [round(110 * 0.7**each) for each in range(CLASSES)]


def regression(name, seed):
    """Half of a data set of few hundred rows, and the other half; targets of mean 0 and deviation 1."""
    if name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True)
    else:
        x, y = datasets.make_friedman1(600, noise=1.0, random_state=seed)
    first, rest = np.split(np.random.default_rng(seed).permutation(len(x)), 2)
    x = (x - x[first].mean(axis=0)) / x[first].std(axis=0)
    y = (y - y[first].mean()) / y[first].std()
    x, y = x.astype(np.float32), y.astype(np.float32)[:, np.newaxis]
    return x[first], y[first], x[rest], y[rest]


def long_tail(seed):
    """Digits, of each class as many as `HEADS` says, and 60 others of each class to test on."""
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    of_class = [order[y[order] == each] for each in range(CLASSES)]
    rest = np.concatenate([rows[:60] for rows in of_class])
    first = np.concatenate([rows[60 : 60 + count] for rows, count in zip(of_class, HEADS, strict=True)])
    x = (x / 16).astype(np.float32)
    return x[first], y[first], x[rest], y[rest]


def network(columns, outputs):
    return keras.Sequential(
        [
            keras.Input((columns,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(outputs),
        ]
    )


def mixed(x, y, layer, seed):
    """Batches without end, shuffled alike whatever the layer does."""
    tf.random.set_seed(seed)  # on which both draws depend besides their own seed
    rows = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x), seed=seed)
    return rows.batch(BATCH, drop_remainder=True).repeat().apply(mix(layer, seed=seed))


def of_regression():
    """Name of each way to the layer that does it; bandwidths are in standard deviations of the targets."""
    ways = {"no mixing": MixLayer(probability=0.0), "mixup": MixLayer()}
    for bandwidth in BANDWIDTHS:
        ways[f"partners by targets, bandwidth {bandwidth:g}"] = MixLayer(LabelDistancePairing(bandwidth))
    ways["the same, 0.1, with itself"] = MixLayer(LabelDistancePairing(0.1, with_itself=True))
    ways["ratios by distance"] = MixLayer(RandomPairing(), DistanceWarpedRatio())
    return ways


def of_long_tail():
    """As `of_regression`."""
    return {
        "no mixing": KMixupLayer(1, num_classes=CLASSES, probability=0.0),
        "mixup": KMixupLayer(1, num_classes=CLASSES),
        "mixup, Remix": KMixupLayer(1, num_classes=CLASSES, label_shares=RemixShares(HEADS)),
        "ratios by distance": MixLayer(RandomPairing(), DistanceWarpedRatio(), num_classes=CLASSES),
        "ratios by distance, Remix": MixLayer(
            RandomPairing(), DistanceWarpedRatio(), num_classes=CLASSES, label_shares=RemixShares(HEADS)
        ),
        "one ratio a sample": MixLayer(RandomPairing(), BetaRatio(1.0, "sample"), num_classes=CLASSES),
    }


def measured(name, seeds, steps):
    """Scores of each way, `(seeds, scores)`."""
    is_tail = name == "digits"
    data = long_tail(0) if is_tail else regression(name, 0)
    make = functools.partial(network, data[0].shape[1], CLASSES if is_tail else 1)
    trainer = Trainer(make, loss=None if is_tail else "mse", steps_per_call=PER_CALL)
    found = {}
    for seed in tqdm(range(seeds), desc=name):
        x, y_train, x_test, y = long_tail(seed) if is_tail else regression(name, seed)
        for way, layer in (of_long_tail() if is_tail else of_regression()).items():
            trained = trainer.run(mixed(x, y_train, layer, seed), steps, seed)
            said = trained(x_test, training=False).numpy()
            if is_tail:
                wrong = said.argmax(axis=1) != y
                scores = [100 * wrong.mean(), 100 * wrong[y < 3].mean(), 100 * wrong[y >= 7].mean()]
            else:
                scores = [np.sqrt(np.mean((said - y) ** 2))]
            found.setdefault(way, []).append(scores)
    return {way: np.array(scores) for way, scores in found.items()}, len(data[0])


def table(found, heads, digits):
    """Means, their standard errors over seeds, and differences from mixup of the same seeds."""
    lines = [f"| mix | {' | '.join(heads)} | {heads[0]}: less than mixup's by |", "|---|" + "--:|" * (len(heads) + 1)]
    for way, scores in found.items():
        apart = found["mixup"][:, 0] - scores[:, 0]
        cells = [_shown(column, digits) for column in scores.T]
        lines.append(f"| {way} | {' | '.join(cells)} | {'' if way == 'mixup' else _shown(apart, digits)} |")
    return lines


def _shown(values, digits):
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/label_distance.md")
    arguments = parser.parse_args()
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}. {arguments.seeds} seeds, {arguments.steps:,} steps "
        f"in batches of {BATCH}, alpha 1. Means and their standard errors.",
    ]
    for name, heads, digits in (
        ("diabetes", ["root mean squared error"], 3),
        ("friedman", ["root mean squared error"], 3),
        ("digits", ["error %", "of the 3 most frequent classes", "of the 3 rarest"], 1),
    ):
        found, rows = measured(name, arguments.seeds, arguments.steps)
        title = f"{name}: {rows} rows to train on" + (f", {HEADS} of the classes" if name == "digits" else "")
        lines += ["", f"**{title}**", "", *table(found, heads, digits)]
        print("\n".join(lines[-len(found) - 5 :]), flush=True)
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# Mixing that sees the data\n\nMeasured by `python benchmarks/label_distance.py --write`.\n\n"
        path.write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
