"""What an epoch's start costs: `iter()` of a mixed dataset, side by side with a peer in one run.

    python benchmarks/epoch_start.py               # the table on the terminal
    python benchmarks/epoch_start.py --write       # also into benchmarks/epoch_start.md
    python benchmarks/epoch_start.py --json        # for machines

`fit` makes an iterator in each epoch; its time grows with the nodes of the pipeline's functions. Every contestant
starts once in every round; a ratio is taken within a round, so what slows a whole round down falls out of it.
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

from kmix_tf import (
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MultiMixLayer,
    PuzzleMixLayer,
    SaliencyMixLayer,
    mix,
)

PEER = "keras.layers.MixUp()"


def contestants():
    layers = {
        "KMixupLayer(1)": KMixupLayer(1),
        "KMixupLayer(16)": KMixupLayer(16),
        "KMixupLayer(16, solver='graph')": KMixupLayer(16, solver="graph"),
        "LocalMixupLayer()": LocalMixupLayer(),
        "MultiMixLayer(5)": MultiMixLayer(5),
        "CutMixLayer()": CutMixLayer(),
        "FMixLayer()": FMixLayer(),
        "SaliencyMixLayer()": SaliencyMixLayer(),
        "PuzzleMixLayer(blocks=4)": PuzzleMixLayer(blocks=4),
    }
    images = np.random.default_rng(0).uniform(size=(2000, 28, 28, 1)).astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[np.arange(2000) % 10]
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(2000).batch(64)
    made = {name: dataset.apply(mix(layer, seed=0)) for name, layer in layers.items()}
    if hasattr(keras.layers, "MixUp"):
        peer = keras.layers.MixUp()
        made[PEER] = dataset.map(
            lambda x, y: tuple(peer({"images": x, "labels": y}).values()), num_parallel_calls=tf.data.AUTOTUNE
        )
    return made


def size(dataset):
    """How many functions the pipeline's graph has, and how many nodes these have in all."""
    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    return len(graph.library.function), sum(len(function.node_def) for function in graph.library.function)


def measure(rounds):
    datasets = contestants()
    for dataset in datasets.values():  # Compiled functions are compiled now.
        next(iter(dataset))
    times = {name: [] for name in datasets}
    for _ in range(rounds):
        for name, dataset in datasets.items():
            start = time.perf_counter()
            iter(dataset)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: summary(times, name, *size(dataset)) for name, dataset in datasets.items()}


def summary(times, name, functions, nodes):
    row = {"ms": statistics.median(times[name]), "functions": functions, "nodes": nodes}
    if PEER in times:
        ratios = [ours / theirs for ours, theirs in zip(times[name], times[PEER], strict=True)]
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        row |= {"ratio": middle, "quartiles": [low, high]}
    return row


def markdown(results, rounds):
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores. 2,000 images of 28x28 in "
        f"batches of 64; {rounds} rounds; ms (median) for `iter(dataset)`, and its ratio to {PEER} in the same round "
        "(median, quartiles in brackets); functions and nodes in the graph.",
        "",
        "| | ms | ratio | functions | nodes |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, row in results.items():
        ratio = "{:.2f} [{:.2f}, {:.2f}]".format(row["ratio"], *row["quartiles"]) if "ratio" in row else ""
        lines.append(f"| {name} | {row['ms']:.0f} | {ratio} | {row['functions']} | {row['nodes']} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/epoch_start.md")
    arguments = parser.parse_args()
    results = measure(arguments.rounds)
    table = markdown(results, arguments.rounds)
    print(json.dumps(results) if arguments.json else table)
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        path.write_text(
            f"# What an epoch's start costs\n\nMeasured by `python benchmarks/epoch_start.py --write`.\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
