"""What an assignment costs: the solver made of TensorFlow ops against SciPy's, side by side in one run.

    python benchmarks/assignment.py                # the table on the terminal
    python benchmarks/assignment.py --write        # also into benchmarks/assignment.md and .json
    python benchmarks/assignment.py --json         # for machines

Both solve the same cost matrices, squared distances between normal points in 64 dimensions, in every round, one after
the other. A ratio is taken within a round, so what slows a whole round down falls out of it.

"in a graph" is the solver within a compiled function, many batches of problems a call, as in a larger graph; "eager"
is a call for each batch from Python, which adds what any call of a compiled function costs.
"""

import time

import harness
import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from kmix_tf.pairing.in_graph import solve_in_graph

TITLE = "What an assignment costs"
PEER = "SciPy"
SHAPES = ((4, 32), (16, 32), (8, 16), (32, 8), (4, 64), (2, 128))
DIMENSIONS = 64
ROUNDS, BATCHES = 25, 50


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


def measure(quick: bool, rounds: int | None) -> dict:
    rounds, batches = rounds or (2 if quick else ROUNDS), 2 if quick else BATCHES
    results: dict = {"rounds": rounds, "batches": batches}
    for problems, k in SHAPES[: 1 if quick else None]:
        calls = contestants(batches, problems, k)
        first = {name: seconds(call) for name, call in calls.items()}
        rows = harness.compared(harness.interleaved(calls, rounds, f"{problems} problems of {k}"), PEER, per=batches)
        results[f"{problems} x ({k}x{k})"] = rows | {"first eager round, s": first["eager"]}
    return results


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def goals(results: dict) -> list[dict]:
    """The graph's solver is as fast as SciPy's for all sizes."""
    rows = {name: found["in a graph"] for name, found in results.items() if isinstance(found, dict)}
    return [harness.goal(f"in a graph, {name}", row["ratio"], 1.0, f"of {PEER}") for name, row in rows.items()]


def markdown(results: dict) -> str:
    header = ["problems", f"{PEER}: ms", "in a graph: ms", "ratio", "eager: ms", "ratio", "first round: s"]
    rows = []
    for problems, found in list(results.items())[2:]:
        own = [each for name in ("in a graph", "eager") for each in (_ms(found[name]), harness.cell(found[name]))]
        rows.append([problems, _ms(found[PEER]), *own, f"{found['first eager round, s']:.2f}"])
    return (
        f"float32 squared distances between normal points in {DIMENSIONS} dimensions, {results['rounds']} rounds of "
        f"{results['batches']} batches; time per batch of problems in ms (median), and its ratio to {PEER} in the "
        "same round (median, quartiles in brackets). The first eager round of a shape compiles, and takes what the "
        "last column says.\n\n" + harness.table(header, rows)
    )


def _ms(row) -> str:
    return f"{row['ms']:.3f}"


harness.main(__name__, __doc__)
