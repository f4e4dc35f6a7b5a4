"""What an epoch's start costs: `iter()` of a mixed dataset, and its first batch, side by side with a peer in one run.

    python benchmarks/epoch_start.py               # the table on the terminal
    python benchmarks/epoch_start.py --write       # also into benchmarks/epoch_start.md and .json
    python benchmarks/epoch_start.py --json        # for machines

`fit` makes an iterator in each epoch; its time grows with the nodes of the pipeline's functions, and with the
functions. Some of these are made when the first batch is asked for: so that is timed, too, and what takes part of the
one into the other saves nothing. Every contestant starts once in every round.
"""

import footprint
import harness
import keras
import numpy as np
import tensorflow as tf

from kmix_tf import mix

TITLE = "What an epoch's start costs"
PEER = "keras.layers.MixUp()"
ROUNDS = 15


def contestants(quick: bool) -> dict[str, tf.data.Dataset]:
    images = np.random.default_rng(0).uniform(size=(2000, 28, 28, 1)).astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[np.arange(2000) % 10]
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(2000).batch(64)
    layers = list(footprint.LAYERS.items())[: 2 if quick else None]
    made = {name: dataset.apply(mix(make(), seed=0)) for name, make in layers}
    if hasattr(keras.layers, "MixUp"):
        peer = keras.layers.MixUp()
        made[PEER] = dataset.map(
            lambda x, y: tuple(peer({"images": x, "labels": y}).values()), num_parallel_calls=tf.data.AUTOTUNE
        )
    return made


def measure(quick: bool, rounds: int | None) -> dict:
    datasets = contestants(quick)
    for dataset in datasets.values():  # Compiled functions are compiled now.
        next(iter(dataset))
    rounds = rounds or (2 if quick else ROUNDS)
    kinds = {"iterator": lambda dataset: iter(dataset), "with a batch": lambda dataset: next(iter(dataset))}
    results: dict = {"rounds": rounds}
    for kind, run in kinds.items():
        calls = {name: (lambda dataset=dataset, run=run: run(dataset)) for name, dataset in datasets.items()}
        results[kind] = harness.compared(harness.interleaved(calls, rounds, kind), PEER)
    results["parts"] = {name: footprint.parts(dataset) for name, dataset in datasets.items()}
    return results


def goals(results: dict) -> list[dict]:
    """Every preset starts as soon as the peer does."""
    rows = {name: row for name, row in results["iterator"].items() if "ratio" in row and name != PEER}
    return [
        harness.goal(f"iter(), {name}", row["ratio"], 1.0, f"of {PEER}", because=_size(results["parts"], name))
        for name, row in rows.items()
    ]


def _size(parts: dict, name: str) -> str:
    """What each iterator copies."""
    return f"{parts[name]['nodes']:,} nodes to copy; the peer has {parts[PEER]['nodes']:,}"


def markdown(results: dict) -> str:
    rows = [
        [name, f"{one['ms']:.0f}", harness.cell(one), f"{two['ms']:.0f}", harness.cell(two)]
        + [results["parts"][name][count] for count in ("functions", "nodes")]
        for (name, one), two in zip(results["iterator"].items(), results["with a batch"].values(), strict=True)
    ]
    header = ["", "`iter`: ms", "ratio", "with its first batch: ms", "ratio", "functions", "nodes"]
    return (
        f"2,000 images of 28x28 in batches of 64; {results['rounds']} rounds; ms (median), and their ratio to {PEER} "
        "in the same round (median, quartiles in brackets); functions and nodes in the graph.\n\n"
        + harness.table(header, rows)
    )


harness.main(__name__, __doc__)
