"""What a mix costs: time per batch of `dataset.map`, side by side with peers in one run.

    python benchmarks/mix_cost.py                  # the tables on the terminal
    python benchmarks/mix_cost.py --write          # also into benchmarks/mix_cost.md and .json
    python benchmarks/mix_cost.py --json           # for machines

Every contestant runs in every round, one after another, on the same batch, in a sequential `dataset.map` without
prefetching or autotuning. A ratio is taken within a round, so what slows a whole round down falls out of it. Who is
slow has fewer batches in a round, and sits out the last rounds once its time is used up.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import harness
import keras
import numpy as np
import peers
import tensorflow as tf

import kmix_tf
from kmix_tf import (
    CutMixLayer,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MultiMixLayer,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
)

TITLE = "What a mix costs"
PEER = "keras.layers.MixUp"
EMPTY, COPY, READ, PRODUCT = "an empty map", "copy of the batch", "a read of the batch", "the products of k = 32"
FIVE = "MultiMixLayer(5), per mixture"
GROUPS = (8, 16, 32, 64)
WINDOW, SMALLEST_SIDE = 8, 64
SHAPES = {
    "128 images 32x32x3": (128, 32, 32, 3),
    "512 images 32x32x3": (512, 32, 32, 3),
    "64 images 224x224x3": (64, 224, 224, 3),
    "256 images 224x224x3": (256, 224, 224, 3),
    "128 spectrograms 128x128": (128, 128, 128, 1),
    "table 1,024 x 100": (1024, 100),
}
QUICK = {"64 images 224x224x3": (16, 64, 64, 3), "table 1,024 x 100": (64, 4)}
DTYPES = ("float32", "uint8", "float16")
# Seconds: of a call in a round, and of all calls of a contestant for one shape.
CALL, ALL = 0.02, 1.0

HAS_MATCH_AT = "match_at" in inspect.signature(KMixupLayer.__init__).parameters
EXACT: dict[str, Any] = {"match_at": "full"} if HAS_MATCH_AT else {}


def pooled() -> dict[str, Any]:
    """What makes a layer match on images pooled by 8: by hand where there is no option for it."""
    return {"match_at": kmix_tf.Pooled(WINDOW)} if HAS_MATCH_AT else {"embedding": _pool}


def _pool(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(tf.cast(x, tf.float32), WINDOW, WINDOW, "SAME")


def floors(shape: tuple[int, ...]) -> dict[str, Callable]:
    """What no mix can do without: writing a batch, reading one, the products that matching compares by."""

    def products(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        del y
        k = min(32, shape[0])
        groups = tf.reshape(tf.cast(x, tf.float32), [shape[0] // k, k, int(np.prod(shape[1:]))])
        return tf.matmul(groups, groups, transpose_b=True)

    return {
        EMPTY: lambda x, y: tf.constant(0),
        COPY: lambda x, y: (tf.raw_ops.DeepCopy(x=x), tf.raw_ops.DeepCopy(x=y)),
        READ: lambda x, y: tf.reduce_max(x),
        PRODUCT: products,
    }


def chief(shape: tuple[int, ...]) -> dict[str, Callable]:
    """The layers that have goals, of ours, for every dtype."""
    found: dict[str, Callable] = {"KMixupLayer(1)": KMixupLayer(1), "KMixupLayer(32)": KMixupLayer(32, **EXACT)}
    found |= {"LocalMixupLayer()": LocalMixupLayer(**EXACT), FIVE: MultiMixLayer(5)}
    if len(shape) == 4:
        found["CutMixLayer()"] = CutMixLayer()
        if min(shape[1:3]) >= SMALLEST_SIDE:
            found["KMixupLayer(32), pooled"] = KMixupLayer(32, **pooled())
            found["LocalMixupLayer(), pooled"] = LocalMixupLayer(**pooled())
    return found


def others(shape: tuple[int, ...], groups: Sequence[int] = GROUPS) -> dict[str, Callable]:
    """All further layers of ours, and the paper's two ways."""
    found: dict[str, Callable] = {f"KMixupLayer({k})": KMixupLayer(k, **EXACT) for k in groups if k != 32}
    for k in groups:
        found[f"KMixupLayer({k}, solver='graph')"] = KMixupLayer(k, solver="graph", **EXACT)
    if len(shape) == 4:
        made = (FMixLayer, ResizeMixLayer, GridMixLayer, SmoothMixLayer, SaliencyMixLayer)
        found |= {f"{layer.__name__}()": layer() for layer in made}
    return found | {"Figure 5, k = 32": peers.figure_5(), "authors' scheme, k = 32": peers.authors_scheme()}


def batch(shape: tuple[int, ...], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Images in 0 to 255, or a table of standard normal columns; and classes."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, shape, np.uint8) if len(shape) == 4 else generator.normal(size=shape)
    return x.astype(dtype), generator.integers(0, 10, shape[0])


def contestants(
    shape: tuple[int, ...], dtype: str, groups: Sequence[int] = GROUPS
) -> dict[str, tuple[Callable[[], Any], int]]:
    """Calls by name, each of so many batches, as many as its time allows; warmed up."""
    x, classes = batch(shape, dtype)
    data = tf.data.Dataset.from_tensors((x, np.eye(10, dtype="float32")[classes])).repeat()
    is_image, is_full = len(shape) == 4, dtype == "float32"
    maps = floors(shape) | chief(shape) | peers.of_keras(is_image) | (others(shape, groups) if is_full else {})
    found = {}
    for name, function in maps.items():
        function = tf.autograph.experimental.do_not_convert(function)
        iterator = iter(harness.sequential(data.map(function)))
        harness.batches(iterator, 1)()
        number = harness.affordable(harness.batches(iterator, 1), CALL)
        found[name] = (harness.batches(iterator, number), number)
    for name, call in (peers.of_torch(x, classes) if is_image and is_full else {}).items():
        call()
        number = harness.affordable(call, CALL)
        found[name] = (_repeated(call, number), number)
    return found


def _repeated(call: Callable[[], Any], number: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(number):
            call()

    return run


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    """For each dtype and shape, what `harness.compared` says of each contestant; and the peers' versions."""
    rounds = rounds or (2 if quick else 11)
    found: dict[str, Any] = {"peers": peers.versions(), "rounds": rounds, "match_at": HAS_MATCH_AT}
    found["shapes"] = {name: list(shape) for name, shape in (QUICK if quick else SHAPES).items()}
    for dtype in DTYPES[: 1 if quick else None]:
        found[dtype] = {}
        for name, shape in (QUICK if quick else SHAPES).items():
            made = contestants(shape, dtype, GROUPS[: 1 if quick else None])
            calls = {key: call for key, (call, _) in made.items()}
            times = harness.interleaved(calls, rounds, f"{name}, {dtype}", 0.0 if quick else ALL)
            per = {key: number * (5 if key == FIVE else 1) for key, (_, number) in made.items()}
            found[dtype][name] = harness.compared(times, PEER if PEER in made else COPY, per)
    return found


def bounds(rows: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """What no mix of this shape goes below, and why, by the kind of mix: each reads partners apart from samples."""
    empty, copy, read, product = (rows[name]["ratio"] for name in (EMPTY, COPY, READ, PRODUCT))
    read, product = max(0.0, read - empty), max(0.0, product - empty)
    parts = {
        "any": {"a copy": copy, "a read of the partners": read},
        "exact": {"a copy": copy, "a read of the partners": read, "the products": product},
        "pooled": {"a copy": copy, "a read of the partners": read, "a read to pool": read},
        "cut": {"a copy": copy},
        "five": {"a copy": max(0.0, copy - empty), "a fifth of an empty map": empty / 5},
    }
    return {
        kind: (sum(costs.values()), " + ".join(f"{name} {cost:.2f}" for name, cost in costs.items()))
        for kind, costs in parts.items()
    }


def wanted(shape: str) -> dict[str, tuple[float, str]]:
    """The goals of one shape: at most which ratio for whom, and which bound there is."""
    if shape.startswith("table"):
        return {"KMixupLayer(32)": (4.0, "exact")}
    is_small, is_large = shape.startswith("128 images"), "224" in shape
    goals = {
        "KMixupLayer(1)": (0.8 if is_small else 0.55, "any"),
        "KMixupLayer(32)": (1.0 if is_large else 1.2, "exact"),
        "LocalMixupLayer()": (1.0, "any"),
        "CutMixLayer()": (0.8 if is_small else 0.5, "cut"),
    }
    if "32x32" in shape:
        goals[FIVE] = (0.37 if is_small else 0.4, "five")
    else:
        goals["KMixupLayer(32), pooled"] = (0.6 if is_large else 1.0, "pooled")
    return goals


def goals(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The goals of the table of costs: ratios to Keras' MixUp, for float32; of the table, to a copy."""
    found = []
    for shape, rows in results["float32"].items():
        beside = PEER if PEER in rows else COPY
        for name, (at_most, kind) in wanted(shape).items():
            if name in rows and (beside == PEER or shape.startswith("table")):
                bound, because = bounds(rows)[kind]
                unit = f"of {beside}" if beside == PEER else "copies"
                found.append(harness.goal(f"{name}, {shape}", rows[name]["ratio"], at_most, unit, bound, because))
    return found


def markdown(results: dict[str, Any]) -> str:
    peer = f"`{PEER}`" if hasattr(keras.layers, "MixUp") else "the copy"
    by = "`match_at=Pooled(8)`" if results["match_at"] else "averages of 8 x 8, by an embedding"
    lines = [
        f"Time per batch in ms (median), and its ratio to {peer} in the same round (median, quartiles in brackets), "
        f"of the table to a copy. alpha = 1, up to {results['rounds']} rounds. Pooled: matched on {by}. "
        f"{peers.told(results['peers'])} torchvision's and timm's mixups are called on a tensor of torch, without a "
        "pipeline. Figure 5: the paper's, of SciPy, group by group. The authors' scheme: that of their published "
        "code, one assignment of the whole batch, padded outside the groups. A batch of `MultiMixLayer(5)` is five "
        "times as long; what is shown is a fifth of it.",
        "",
        "`KMixupLayer(1)` is mixup. An empty map, a copy and a read of the batch, and the products of k = 32 (which "
        "matching compares samples by) are no mixes: they are what a mix cannot leave out. 1.30 [1.28, 1.42] means: "
        "1.30 times as long in the median round, and 1.28 to 1.42 times in the middle half of all rounds.",
    ]
    for shape in results["float32"]:
        lines += ["", f"## {shape}", "", _table({"float32": results["float32"][shape]})]
        others = {dtype: results[dtype][shape] for dtype in DTYPES[1:] if dtype in results}
        lines += ["", _table(others)] if others else []
    return "\n".join(lines)


def _table(dtypes: dict[str, Any]) -> str:
    header = ["", *(f"{dtype}: {what}" for dtype in dtypes for what in ("ms", "ratio"))]
    rows = []
    for name in dict.fromkeys(name for rows in dtypes.values() for name in rows):
        there = [rows.get(name) for rows in dtypes.values()]
        rows.append([name, *(each for row in there for each in (_ms(row), harness.cell(row or {})))])
    return harness.table(header, rows)


def _ms(row: dict[str, Any] | None) -> str:
    return f"{row['ms']:.2f}" if row else ""


harness.main(__name__, __doc__)
