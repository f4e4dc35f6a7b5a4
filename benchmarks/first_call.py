"""What first calls cost, in which TensorFlow traces and XLA compiles: seconds, each in a process of its own.

    python benchmarks/first_call.py               # the tables on the terminal
    python benchmarks/first_call.py --write       # also into benchmarks/first_call.md and .json
    python benchmarks/first_call.py --json        # for machines

`map`, `mix`: the first batch of `dataset.map(layer)`, and of `dataset.apply(mix(layer, seed=0))`. `last batch`: the
smaller one at the end of that map. `compiled`: the first call of the layer within a function of `jit_compile=True`.
`training`: the first step of a small CNN through `MixModel`, all of it compiled. TensorFlow has run and compiled
something before, so that its own start does not count. A round runs all of them one after another; ratios are taken
within a round. Compilers use all cores: seconds of processors are told, too, and goals are of those.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import footprint
import harness
import keras
import networks
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import kmix_tf as km

TITLE = "What first calls cost"
PEER, PLAIN = "keras.layers.MixUp()", "no mix"
ROUNDS = 2
BATCH, LAST, CLASSES = 64, 40, 10
# Keras' layer cannot be compiled: mixes that are, are held against the one that draws pairs alone.
ALONE = "KMixupLayer(1)"
# The peer's last batch takes no time that could be divided by.
BESIDE = {"map": PEER, "mix": PEER, "last batch": None, "compiled": ALONE, "training": PLAIN}
KINDS = {
    "map": "The first batch of `dataset.map(layer)`",
    "last batch": "The smaller last batch, after it",
    "mix": "The first batch of `dataset.apply(mix(layer, seed=0))`",
    "compiled": "The first call of the layer, all of it compiled",
    "training": "The first training step of a small CNN, all of it compiled",
}
# Half of what they took in processors' seconds, in times of KMixupLayer(1), before anything was done about it: 3.8
# and 26.3.
GOALS = {"KMixupLayer(16, solver='graph')": 1.9, "PuzzleMixLayer(solver='graph')": 13.1}

IN_GRAPH: dict[str, Callable] = {
    "KMixupLayer(32, solver='graph')": lambda: km.KMixupLayer(32, solver="graph"),
    "PuzzleMixLayer(blocks=4, solver='graph')": lambda: km.PuzzleMixLayer(blocks=4, solver="graph"),
    "PuzzleMixLayer(solver='graph')": lambda: km.PuzzleMixLayer(solver="graph"),
    "ChoiceLayer([KMixupLayer(16, solver='graph'), CutMixLayer()])": lambda: km.ChoiceLayer(
        [km.KMixupLayer(16, solver="graph"), km.CutMixLayer()]
    ),
}
TRAINED = (
    ALONE,
    "KMixupLayer(16, solver='graph')",
    "CutMixLayer()",
    "PuzzleMixLayer(blocks=4, solver='graph')",
)


def layers() -> dict[str, Callable]:
    return footprint.LAYERS | IN_GRAPH


def contestants(kind: str) -> list[str]:
    """The names of those that can do a kind of call."""
    if kind == "training":
        return [PLAIN, *TRAINED]
    if kind == "compiled":
        return [PLAIN, *(name for name, make in layers().items() if make().supports_jit and not make().carries)]
    peer = [PEER] if hasattr(keras.layers, "MixUp") else []
    return peer + [name for name, make in layers().items() if kind == "mix" or not make().carries]


def data(size: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).uniform(size=(size, *footprint.SHAPE)).astype(np.float32)
    return images, np.eye(CLASSES, dtype=np.float32)[np.arange(size) % CLASSES]


def mapped(name: str, kind: str) -> tf.data.Dataset:
    """Two batches, the last one smaller, mixed."""
    dataset = tf.data.Dataset.from_tensor_slices(data(BATCH + LAST)).batch(BATCH)
    if name == PEER:
        peer = keras.layers.MixUp()
        return dataset.map(lambda x, y: tuple(peer({"images": x, "labels": y}).values()))
    layer = layers()[name]()
    return dataset.apply(km.mix(layer, seed=0)) if kind == "mix" else dataset.map(layer)


def compiled(name: str) -> Callable[[], Any]:
    x, y = (tf.constant(each) for each in data(BATCH))
    layer = layers()[name]() if name != PLAIN else None

    def step(x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor) -> Any:
        return (x + 1.0, y + 1.0) if layer is None else layer(x, y, training=True, seed=seed)

    function = tf.function(step, jit_compile=True, autograph=False)
    return lambda: function(x, y, tf.constant([1, 2]))


def training(name: str) -> Callable[[], Any]:
    model = networks.small_cnn(4)
    if name != PLAIN:
        model = km.MixModel(model, layers()[name](), seed=0)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=True)
    return lambda: model.train_on_batch(*data(BATCH))


def timed(call: Callable[[], Any]) -> list[float]:
    """Seconds, and seconds of processors."""
    start = time.perf_counter(), time.process_time()
    call()
    return [time.perf_counter() - start[0], time.process_time() - start[1]]


def warm_up() -> None:
    """TensorFlow's threads are there, its compiler has been asked, and a map has run."""
    tf.function(lambda x: tf.sort(x) + 1.0, jit_compile=True, autograph=False)(tf.zeros([8]))
    next(iter(tf.data.Dataset.range(2).map(lambda i: i + 1)))


def seconds_of(name: str, kind: str) -> dict[str, list[float]]:
    """`timed` by kind, of a process that has only warmed up."""
    warm_up()
    if kind in ("compiled", "training"):
        return {kind: timed(compiled(name) if kind == "compiled" else training(name))}
    found: dict[str, Any] = {}

    def first_batch() -> None:
        found["iterator"] = iter(mapped(name, kind))
        next(found["iterator"])

    first = {kind: timed(first_batch)}
    return first if kind == "mix" else first | {"last batch": timed(lambda: next(found["iterator"]))}


def asked(name: str, kind: str) -> dict[str, list[float]]:
    """`seconds_of`, of a new process."""
    command = [sys.executable, __file__, "--one", name, kind]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{name}, {kind}: {answer.stderr[-2000:]}")
    return json.loads(answer.stdout.strip().splitlines()[-1])


def calls_of(quick: bool) -> list[tuple[str, str]]:
    """Kinds and names, in the order in which they run."""
    if quick:
        return [(kind, ALONE) for kind in ("map", "compiled")]
    return [(kind, name) for kind in ("map", "mix", "compiled", "training") for name in contestants(kind)]


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    """Of each kind and name: ratios as `harness.compared` makes them, and the median of processors' seconds."""
    rounds = rounds or (1 if quick else ROUNDS)
    times: dict[str, dict[str, list[list[float]]]] = {}
    for kind, name in tqdm(calls_of(quick) * rounds, desc="first calls", disable=None):
        for of_kind, seconds in asked(name, kind).items():
            times.setdefault(of_kind, {}).setdefault(name, []).append(seconds)
    return {"rounds": rounds, "kinds": {kind: rows_of(kind, found) for kind, found in times.items()}}


def rows_of(kind: str, times: dict[str, list[list[float]]]) -> dict[str, Any]:
    milliseconds = {name: [1e3 * wall for wall, _ in found] for name, found in times.items()}
    rows = harness.compared(milliseconds, BESIDE[kind])
    for name, found in times.items():
        rows[name]["processors, s"] = statistics.median(processor for _, processor in found)
    return rows


def goals(results: dict) -> list[dict]:
    """What compiles for long compiles in half of the time."""
    rows = {name: row["processors, s"] for name, row in results["kinds"]["compiled"].items()}
    return [
        harness.goal(
            f"first compiled call, {name}",
            rows[name] / rows[ALONE],
            at_most,
            f"of {ALONE}",
            because="XLA compiles nearly all of the time",
        )
        for name, at_most in GOALS.items()
        if name in rows
    ]


def markdown(results: dict) -> str:
    sections = [
        f"{BATCH} images of {'x'.join(map(str, footprint.SHAPE))} a batch, {LAST} in the last one; "
        f"{results['rounds']} rounds, each call in a process of its own. Seconds (median), their ratio in the same "
        "round (median, quartiles in brackets), and seconds of processors."
    ]
    for kind, rows in results["kinds"].items():
        peer = BESIDE[kind]
        header = ["", "s", *([f"ratio to {peer}"] if peer else []), "processors: s"]
        cells = [
            [name, f"{row['ms'] / 1e3:.2f}", *([harness.cell(row)] if peer else []), f"{row['processors, s']:.2f}"]
            for name, row in rows.items()
        ]
        sections += [f"## {KINDS[kind]}", harness.table(header, cells)]
    return "\n\n".join(sections)


if __name__ == "__main__" and sys.argv[1:2] == ["--one"]:
    print(json.dumps(seconds_of(*sys.argv[2:4])))
else:
    harness.main(__name__, __doc__)
