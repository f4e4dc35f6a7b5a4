"""What a mix costs: time per batch of `dataset.map`, side by side with peers in one run.

    python benchmarks/mix_cost.py                  # the table on the terminal
    python benchmarks/mix_cost.py --write          # also into benchmarks/mix_cost.md
    python benchmarks/mix_cost.py --json           # for machines

Every contestant runs in every round, one after another, on the same batch, in a sequential `dataset.map` without
prefetching or autotuning. A ratio is taken within a round, so what slows a whole round down falls out of it.
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
from scipy.optimize import linear_sum_assignment
from scipy.spatial import distance_matrix
from tqdm import tqdm

from kmix_tf import CutMixLayer, KMixupLayer, LocalMixupLayer, MultiMixLayer

PEER = "keras.layers.MixUp"
SIZES = (128, 512)
GROUPS = (1, 8, 16, 32, 64)


def figure_5(x, y, k=32, alpha=1.0):
    """The k-mixup paper's Figure 5, as it describes it: SciPy's distance matrices and solver, one group at a time.

    Images are flattened for the distances, and the second loader is a shuffle of the batch.
    """
    order = np.random.permutation(len(x))
    x2, y2 = x[order], y[order]
    index = np.zeros(len(x), int)
    for start in range(0, len(x) - k + 1, k):
        rows = slice(start, start + k)
        cost = distance_matrix(x[rows].reshape(k, -1), x2[rows].reshape(k, -1))
        index[rows] = linear_sum_assignment(cost)[1] + start
    ratio = np.float32(np.random.beta(alpha, alpha))
    return ratio * x + (1 - ratio) * x2[index], ratio * y + (1 - ratio) * y2[index]


def contestants():
    maps = {"copy of the batch": lambda x, y: (tf.raw_ops.DeepCopy(x=x), tf.raw_ops.DeepCopy(x=y))}
    maps |= {f"KMixupLayer(k={k})": KMixupLayer(k) for k in GROUPS}
    maps |= {f"the same, k={k}, solver='graph'": KMixupLayer(k, solver="graph") for k in GROUPS if k > 1}
    maps |= {"LocalMixupLayer()": LocalMixupLayer(), "MultiMixLayer(5): 5 x": MultiMixLayer(5)}
    maps |= {"CutMixLayer()": CutMixLayer()}
    for name in ("MixUp", "CutMix"):
        if hasattr(keras.layers, name):
            maps[f"keras.layers.{name}"] = keras_layer(getattr(keras.layers, name)())
    maps["Figure 5, k=32"] = lambda x, y: tf.numpy_function(figure_5, [x, y], [tf.float32, tf.float32])
    return maps


def keras_layer(peer):
    return lambda x, y: peer({"images": x, "labels": y}, training=True)


def stream(function, size, dtype):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (size, 32, 32, 3)).astype(dtype)
    labels = np.eye(10, dtype="float32")[generator.integers(0, 10, size)]
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    function = tf.autograph.experimental.do_not_convert(function)
    return iter(tf.data.Dataset.from_tensors((images, labels)).repeat().map(function).with_options(options))


def milliseconds(iterator, batches):
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return (time.perf_counter() - start) / batches * 1e3


def measure(size, dtype, rounds, batches):
    streams = {name: stream(function, size, dtype) for name, function in contestants().items()}
    for iterator in streams.values():
        milliseconds(iterator, 5)
    times = {name: [] for name in streams}
    for _ in tqdm(range(rounds), desc=f"{dtype} batches of {size}"):
        for name, iterator in streams.items():
            slow = name.startswith("Figure 5")
            times[name].append(milliseconds(iterator, max(1, batches // 10) if slow else batches))
    return times


def summary(times):
    """Median milliseconds, and median and quartiles of the ratio to the peer within each round."""
    base = times.get(PEER, times["copy of the batch"])
    rows = {}
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {"ms": statistics.median(values), "ratio": middle, "quartiles": [low, high]}
    return rows


def markdown(results, rounds, batches):
    peer = PEER if hasattr(keras.layers, "MixUp") else "the copy"
    lines = [
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores, no accelerator. Batches of "
        f"32x32x3 images, alpha = 1, {rounds} rounds of {batches} batches; time per batch in ms (median), and its "
        f"ratio to {peer} in the same round (median, quartiles in brackets).",
        "",
        "| | " + " | ".join(f"{dtype}, {size}: ms | ratio" for size, dtype in results) + " |",
        "|---|" + "--:|--:|" * len(results),
    ]
    for name in next(iter(results.values())):
        cells = []
        for rows in results.values():
            row = rows[name]
            low, high = row["quartiles"]
            cells.append(f"{row['ms']:.2f} | {row['ratio']:.2f} [{low:.2f}, {high:.2f}]")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, default=40, help="batches a round")
    parser.add_argument("--dtype", nargs="+", default=["float32", "uint8"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/mix_cost.md")
    arguments = parser.parse_args()
    results = {
        (size, dtype): summary(measure(size, dtype, arguments.rounds, arguments.batches))
        for dtype in arguments.dtype
        for size in SIZES
    }
    table = markdown(results, arguments.rounds, arguments.batches)
    print(
        json.dumps({f"{dtype}-{size}": rows for (size, dtype), rows in results.items()}) if arguments.json else table
    )
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        path.write_text(f"# What a mix costs\n\nMeasured by `python benchmarks/mix_cost.py --write`.\n\n{table}\n")


if __name__ == "__main__":
    main()
