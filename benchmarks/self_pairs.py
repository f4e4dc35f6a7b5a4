"""What self pairs change: the three-point line, on which classes alternate and mixing hurts.

    python benchmarks/self_pairs.py               # the table on the terminal
    python benchmarks/self_pairs.py --write       # also into benchmarks/self_pairs.md

As in Towards Understanding the Data Dependency of Mixup-style Training, Section 2.3: a network of 512 hidden units
learns the points 0, 1, 2 with labels 0, 1, 0 from mixtures, in full batches, by Adam at 0.001. What it says of class
0 at the point 1 should be small; the paper's Table 1 has 0.156 for alpha 1.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from kmix_tf import BetaRatio, MixLayer, MixModel, RandomPairing
from kmix_tf.analysis import mixup_optimal_classifier

X, Y = np.float32([[0], [1], [2]]), np.array([0, 1, 0])
PAPER = {1.0: (0.995, 0.156, 0.979), 32.0: (1.000, 0.603, 0.997), 128.0: (1.000, 0.650, 0.997)}
WAYS = {"with self pairs": True, "without": False}


def network():
    return keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(512, activation="relu"), keras.layers.Dense(2)],
    )


def learnt(alpha, with_itself, runs, steps):
    """Probabilities of class 0 at the three points, `(runs, 3)`."""
    plain = network()
    layer = MixLayer(RandomPairing(with_itself), BetaRatio(alpha), num_classes=2)
    model = MixModel(plain, layer, seed=0)
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.CategoricalCrossentropy(from_logits=True), steps_per_execution=steps
    )
    model.optimizer.build(model.trainable_variables)
    start = [variable.numpy() for variable in model.optimizer.variables]
    data = tf.data.Dataset.from_tensors((X, Y)).cache().repeat()
    found = []
    for run in tqdm(range(runs), desc=f"alpha {alpha:g}, {with_itself}, {steps}"):
        keras.utils.set_random_seed(run)
        plain.set_weights(network().get_weights())
        for variable, value in zip(model.optimizer.variables, start, strict=True):
            variable.assign(value)
        model.fit(data, steps_per_epoch=steps, verbose=0)
        found.append(tf.nn.softmax(plain(X)).numpy()[:, 0])
    return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--steps", nargs="*", type=int, default=[500, 1500, 5000])
    parser.add_argument("--alphas", nargs="*", type=float, default=[1.0])
    parser.add_argument("--write", action="store_true", help="also write benchmarks/self_pairs.md")
    arguments = parser.parse_args()
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}. {arguments.runs} runs, one ratio for each batch. "
        "Probability of class 0 at the points 0, 1 and 2: means, and the standard deviation over runs at 1, where "
        "small is right.",
        "",
        "| alpha | pairs | steps | at 0 | at 1 | at 2 |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for alpha in arguments.alphas:
        if alpha in PAPER:
            lines.append(f"| {alpha:g} | the paper | | {' | '.join(f'{value:.2f}' for value in PAPER[alpha])} |")
        for way, with_itself in WAYS.items():
            for steps in arguments.steps:
                found = learnt(alpha, with_itself, arguments.runs, steps)
                left, middle, right = found.mean(axis=0)
                spread = found[:, 1].std(ddof=1)
                lines.append(
                    f"| {alpha:g} | {way} | {steps:,} | {left:.2f} | {middle:.2f} ± {spread:.2f} | {right:.2f} |"
                )
                print(lines[-1], flush=True)
        best = mixup_optimal_classifier(X, Y, X, alpha, radius=0.1)[:, 0]
        lines.append(
            f"| {alpha:g} | all, best constant in balls of 0.1 | | {' | '.join(f'{value:.2f}' for value in best)} |"
        )
    print("\n".join(lines))
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What self pairs change\n\nMeasured by `python benchmarks/self_pairs.py --write`.\n\n"
        path.write_text(heading + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
