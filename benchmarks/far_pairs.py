"""What should become of pairs that are too far apart: drop their mixtures, or keep their samples unmixed?

    python benchmarks/far_pairs.py                # the tables on the terminal
    python benchmarks/far_pairs.py --write        # also into benchmarks/far_pairs.md

A small network is trained on part of each of scikit-learn's data sets, columns standardised; asked about the rest.
Runs that are compared have the same split, initial weights, batches, partners and ratios, and differ in `far` alone.
Epsilon is the distance that a share q of all training pairs stays within; at "0" no two samples do.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from scipy.spatial.distance import pdist
from sklearn import datasets
from tqdm import tqdm

from kmix_tf import LocalMixupLayer, MixLayer, NearestNeighborWeight, ThresholdWeight, mix

BATCH, PER_CALL = 32, 100
SHARES = (0, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5)
NEIGHBORS = (1, 4)


def named(name):
    if name == "two moons":
        return datasets.make_moons(600, noise=0.3, random_state=0)
    return getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)


def split(name, share, seed):
    """Training and test data, of which the training data are a share, with columns of mean 0 and deviation 1."""
    x, y = named(name)
    order = np.random.default_rng(seed).permutation(len(x))
    first, rest = np.split(order, [int(share * len(x))])
    mean, deviation = x[first].mean(axis=0), x[first].std(axis=0)
    x = ((x - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return x[first], y[first], x[rest], y[rest]


class Trainer:
    """One network, compiled once, that begins anew with each run."""

    def __init__(self, columns, classes, steps):
        self.make = lambda: keras.Sequential(
            [
                keras.Input((columns,)),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(classes),
            ]
        )
        self.model, self.classes, self.steps = self.make(), classes, steps
        self.model.compile(
            "adam", keras.losses.CategoricalCrossentropy(from_logits=True), steps_per_execution=PER_CALL
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.start = [variable.numpy() for variable in self.model.optimizer.variables]

    def run(self, layer, data, seed):
        """Test error and cross-entropy after training on mixtures."""
        x, y, x_test, y_test = data
        keras.utils.set_random_seed(seed)
        self.model.set_weights(self.make().get_weights())
        for variable, value in zip(self.model.optimizer.variables, self.start, strict=True):
            variable.assign(value)
        batches = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(len(x), seed=seed)
        batches = batches.batch(BATCH, drop_remainder=True).repeat().apply(mix(layer, seed=seed))
        if layer.weight.counts_alike:  # The step is compiled for weights.
            batches = batches.map(lambda x, y: (x, y, tf.ones([BATCH])))
        self.model.fit(batches, steps_per_epoch=self.steps, verbose=0)
        scores = tf.nn.log_softmax(self.model(x_test, training=False)).numpy()
        return np.mean(scores.argmax(axis=1) != y_test), -np.mean(scores[np.arange(len(y_test)), y_test])


def settings(x, classes):
    """Name of each setting to what makes its weight, of what becomes of far pairs."""
    distances = pdist(x)
    made = {}
    for share in SHARES:
        epsilon = np.quantile(distances, share) if share else 0.0
        made[f"epsilon at {share:g}"] = lambda far, epsilon=epsilon: ThresholdWeight(float(epsilon), far)
    for neighbors in NEIGHBORS:
        made[f"neighbors {neighbors}"] = lambda far, neighbors=neighbors: NearestNeighborWeight(neighbors, far)
    return {
        name: lambda far, weight=weight: LocalMixupLayer(weight=weight(far), num_classes=classes)
        for name, weight in made.items()
    }


def measured(name, share, seeds, steps):
    """Errors and cross-entropies `(seeds, 2)` of each setting and way, and of training without weights."""
    found = {}
    x, y, *_ = split(name, share, 0)
    classes = int(y.max()) + 1
    trainer = Trainer(x.shape[1], classes, steps)
    for seed in tqdm(range(seeds), desc=name):
        data = split(name, share, seed)
        runs = {
            ("plain training", ""): MixLayer(num_classes=classes, probability=0.0),
            ("mixup of all pairs", ""): LocalMixupLayer(weight=ThresholdWeight(1e9), num_classes=classes),
        }
        for setting, make in settings(data[0], classes).items():
            runs.update({(setting, far): make(far) for far in ("drop", "keep")})
        for key, layer in runs.items():
            found.setdefault(key, []).append(trainer.run(layer, data, seed))
    return {key: np.array(values) for key, values in found.items()}, len(x)


def table(found):
    lines = [
        "| weight | drop: error % | keep: error % | keep - drop | drop: cross-entropy | keep | keep - drop |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for setting in dict.fromkeys(name for name, _ in found):
        if (setting, "") in found:
            error, entropy = found[setting, ""].mean(axis=0)
            lines.append(f"| {setting} | {error:.2%} | | | {entropy:.3f} | | |".replace("%", ""))
            continue
        cells = []
        for index, (factor, form) in enumerate(((100, ".2f"), (1, ".3f"))):
            drop, keep = (factor * found[setting, far][:, index] for far in ("drop", "keep"))
            cells += [f"{drop.mean():{form}}", f"{keep.mean():{form}}", paired(keep - drop, form)]
        lines.append(f"| {setting} | {' | '.join(cells)} |")
    return lines


def paired(difference, form):
    """Mean and its standard error."""
    return f"{difference.mean():+{form}} ± {difference.std(ddof=1) / np.sqrt(len(difference)):{form}}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--share", type=float, default=0.3, help="of the data, to train on")
    parser.add_argument("--data", nargs="*", default=["two moons", "wine", "breast cancer", "digits"])
    parser.add_argument("--write", action="store_true", help="also write benchmarks/far_pairs.md")
    arguments = parser.parse_args()
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}. A seed for each split; "
        f"{arguments.steps} steps of {BATCH} samples, Adam, two hidden layers of 64; alpha 1. Mean test error and "
        "cross-entropy, and means of the paired differences with their standard errors; below 0, keeping is better.",
    ]
    for name in arguments.data:
        found, size = measured(name, arguments.share, arguments.seeds, arguments.steps)
        lines += [
            "",
            f"## {name[0].upper()}{name[1:]}: {size} training samples, {arguments.seeds} splits",
            "",
            *table(found),
        ]
        print("\n".join(lines), flush=True)
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What becomes of far pairs\n\nMeasured by `python benchmarks/far_pairs.py --write`.\n\n"
        path.write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
