"""What an assignment costs: the solver made of TensorFlow ops against SciPy's, side by side in one run.

    python benchmarks/assignment.py                # the table on the terminal
    python benchmarks/assignment.py --write        # also into benchmarks/assignment.md
    python benchmarks/assignment.py --json         # for machines

Both solve the same cost matrices, squared distances between normal points in 64 dimensions, in every round, one after
the other. A ratio is taken within a round, so what slows a whole round down falls out of it.

"in a graph" is the solver within a compiled function, many batches of problems a call, as in a larger graph; "eager"
is a call for each batch from Python, which adds what any call of a compiled function costs.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from kmix_tf.pairing.graph_solver import solve_in_graph

PEER = "SciPy"
SHAPES = ((4, 32), (16, 32), (8, 16), (32, 8), (4, 64), (2, 128))
DIMENSIONS = 64


def squared_distances(batches, problems, k):
    first, second = np.random.default_rng(k).normal(size=(2, batches, problems, k, DIMENSIONS))
    squares = np.square(first).sum(-1)[..., np.newaxis] + np.square(second).sum(-1)[..., np.newaxis, :]
    return (squares - 2 * first @ second.swapaxes(-1, -2)).astype("float32")


@tf.function(jit_compile=True, autograph=False)
def solve_all(costs):
    """All batches one after another; the sum keeps the compiler from leaving any out."""
    return tf.while_loop(
        lambda batch, _: batch < tf.shape(costs)[0],
        lambda batch, total: (batch + 1, total + tf.reduce_sum(solve_in_graph(costs[batch])[:, 0])),
        (0, 0),
        parallel_iterations=1,
    )[1]


def contestants(batches, problems, k):
    costs = squared_distances(batches, problems, k)
    wide, tensor = costs.astype("float64"), tf.constant(costs)
    tensors = tf.unstack(tensor)
    return {
        PEER: lambda: [linear_sum_assignment(cost) for batch in wide for cost in batch],
        "in a graph": lambda: solve_all(tensor).numpy(),
        "eager": lambda: [solve_in_graph(cost).numpy() for cost in tensors],
    }


def milliseconds(function, batches):
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) / batches * 1e3


def measure(problems, k, rounds, batches):
    functions = contestants(batches, problems, k)
    first = {name: milliseconds(function, 1e3) for name, function in functions.items()}
    times = {name: [] for name in functions}
    for _ in tqdm(range(rounds), desc=f"{problems} problems of {k}"):
        for name, function in functions.items():
            times[name].append(milliseconds(function, batches))
    return times, first["eager"]


def summary(times):
    """Median milliseconds, and median and quartiles of the ratio to the peer within each round."""
    rows = {}
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, times[PEER], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {"ms": statistics.median(values), "ratio": middle, "quartiles": [low, high]}
    return rows


def cell(row):
    low, high = row["quartiles"]
    return f"{row['ms']:.3f} | {row['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def markdown(results, rounds, batches):
    lines = [
        f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, no accelerator. float32 squared distances between "
        f"normal points in {DIMENSIONS} dimensions, {rounds} rounds of {batches} batches; time per batch of problems "
        f"in ms (median), and its ratio to {PEER} in the same round (median, quartiles in brackets). The first eager "
        "round of a shape compiles, and takes the seconds of the last column.",
        "",
        f"| problems | {PEER}: ms | in a graph: ms | ratio | eager: ms | ratio | first round: s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (problems, k), (rows, first) in results.items():
        own = " | ".join(cell(rows[name]) for name in ("in a graph", "eager"))
        lines.append(f"| {problems} x ({k}x{k}) | {rows[PEER]['ms']:.3f} | {own} | {first:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--batches", type=int, default=50, help="batches of problems a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/assignment.md")
    arguments = parser.parse_args()
    results = {}
    for problems, k in SHAPES:
        times, first = measure(problems, k, arguments.rounds, arguments.batches)
        results[problems, k] = summary(times), first
    table = markdown(results, arguments.rounds, arguments.batches)
    rows = {
        f"{problems}x{k}": {**rows, "first eager round, s": first} for (problems, k), (rows, first) in results.items()
    }
    print(json.dumps(rows) if arguments.json else table)
    if arguments.write:
        path = pathlib.Path(__file__).with_suffix(".md")
        heading = "# What an assignment costs\n\nMeasured by `python benchmarks/assignment.py --write`."
        path.write_text(f"{heading}\n\n{table}\n")


if __name__ == "__main__":
    main()
