"""What matching on pooled images loses, by kind of image, and what it saves.

    python benchmarks/match_at.py            # the tables on the terminal
    python benchmarks/match_at.py --write    # also into benchmarks/match_at.md and .json

Pairs are matched by exact distances and by those of pooled images, in the same groups; the excess is by how much the
latter pairs are farther apart, in exact squared distances. Faces, textures, micrographs and printed text are files of
scikit-image's package: `pip install --no-deps scikit-image`; without it these kinds are left out.
"""

import numpy as np
import tensorflow as tf
from harness import batches, cell, compared, interleaved, main, sequential, table
from match_at_images import KINDS
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from kmix_tf import KMixupLayer, LocalMixupLayer, Pooled

TITLE = "Matching on less"
WINDOWS = (2, 4, 8, 16, 32)
SIDES, GROUPS, BATCH, ORDERS = (64, 128, 224), (16, 32, 64), 128, 4
HALVES = ("first", "second")


def squared_distances(x):
    x = np.reshape(x, (len(x), -1)).astype(np.float64)
    x = x - x.mean(axis=0)
    squares = np.square(x).sum(axis=1)
    return np.maximum(squares[:, np.newaxis] + squares - 2 * x @ x.T, 0)


def facing(orders, k):
    """Rows of each group, and of the one that it faces."""
    for order in orders:
        for start in range(0, len(order) - k + 1, k):
            yield order[start : start + k], np.take(order, range(start + k, start + 2 * k), mode="wrap")


def lost(exact, pooled, orders, k):
    """Of each pooled distance: the excess, and the share of exact partners kept; and what random pairs cost."""
    total, random, seen = 0.0, 0.0, 0
    costs, kept = np.zeros(len(pooled)), np.zeros(len(pooled))
    for ours, theirs in facing(orders, k):
        block = exact[np.ix_(ours, theirs)]
        rows, best = linear_sum_assignment(block)
        total, random, seen = total + block[rows, best].sum(), random + block.mean() * k, seen + k
        for number, each in enumerate(pooled):
            _, found = linear_sum_assignment(each[np.ix_(ours, theirs)])
            costs[number] += block[rows, found].sum()
            kept[number] += (found == best).sum()
    return costs / total - 1, kept / seen, random / total


def measured(kind, side, half, size, orders):
    generator = np.random.default_rng([half, side])
    x = KINDS[kind](generator, side, size, half)
    if x is None:
        return None
    pooled = [squared_distances(Pooled(window)([x])[0].numpy()) for window in WINDOWS]
    exact = squared_distances(x)
    shuffles = [generator.permutation(size) for _ in range(orders)]
    row = {"random": {}, "excess": {}, "kept": {}}
    for k in GROUPS:
        excess, kept, row["random"][k] = lost(exact, pooled, shuffles, min(k, size // 2))
        row["excess"][k] = dict(zip(map(str, WINDOWS), excess.tolist(), strict=True))
        row["kept"][k] = dict(zip(map(str, WINDOWS), kept.tolist(), strict=True))
    return row


def speed(size, shape, rounds, quick):
    """Milliseconds of a batch through a sequential map: of photographs and 1/f noise."""
    import keras

    generator = np.random.default_rng(0)
    kind = "photographs" if shape[2:] == (3,) else "1/f noise"
    images = KINDS[kind](generator, shape[0], size, 0).reshape(size, *shape).astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[generator.integers(0, 10, size)]
    k = 8 if quick else 32
    maps = {"copy": lambda x, y: (tf.raw_ops.DeepCopy(x=x), tf.raw_ops.DeepCopy(x=y)), "k = 1": KMixupLayer(1)}
    maps |= {f"k = {k}": KMixupLayer(k), f"k = {k}, Pooled(4)": KMixupLayer(k, match_at=Pooled(4))}
    maps |= {f"k = {k}, Pooled(8)": KMixupLayer(k, match_at=Pooled(8))}
    maps |= {"Local Mixup": LocalMixupLayer(), "Local Mixup, Pooled(8)": LocalMixupLayer(match_at=Pooled(8))}
    peer = keras.layers.MixUp() if hasattr(keras.layers, "MixUp") and len(shape) == 3 else None
    if peer is not None:
        maps["keras.layers.MixUp"] = lambda x, y: peer({"images": x, "labels": y}, training=True)
    runs = {}
    for name, function in maps.items():
        function = tf.autograph.experimental.do_not_convert(function)
        dataset = tf.data.Dataset.from_tensors((images, labels)).repeat().map(function)
        runs[name] = batches(iter(sequential(dataset)), 1)
        runs[name]()
        runs[name]()
    beside = "keras.layers.MixUp" if peer is not None else "copy"
    return {"beside": beside, "rows": compared(interleaved(runs, rounds, f"{size} x {shape}"), beside)}


def measure(quick, rounds):
    size, orders = (64, 1) if quick else (BATCH, ORDERS)
    sides = SIDES[:1] if quick else SIDES
    todo = [(kind, side, half) for kind in KINDS for side in sides for half in (0, 1)]
    rows = []
    for kind, side, half in tqdm(todo, desc="kinds of images", disable=None):
        row = measured(kind, side, half, size, orders)
        rows += [] if row is None else [{"kind": kind, "side": side, "half": half, **row}]
    shapes = [(64, (64, 64, 3))] if quick else [(256, (224, 224, 3)), (128, (128, 128, 1))]
    times = {
        f"{size} x {'x'.join(map(str, shape))}": speed(size, shape, rounds or 9, quick) for size, shape in shapes
    }
    return {"rows": rows, "times": times}


def markdown(results):
    header = ["kind, side", "half", "random", *(f"{window}" for window in WINDOWS), "8, k=16", "8, k=64", "kept at 8"]
    rows = []
    for each in results["rows"]:
        line = [f"{each['kind']}, {each['side']}", HALVES[each["half"]], f"{each['random'][32]:.2f}"]
        line += [f"{100 * value:.3f}" for value in each["excess"][32].values()]
        line += [f"{100 * each['excess'][k]['8']:.3f}" for k in (16, 64)]
        rows.append([*line, f"{100 * each['kept'][32]['8']:.0f} %"])
    text = [
        "What pairs cost beyond the least, in per cent of their squared distances. `random`: what random pairs cost,",
        "of the least cost at k = 32. Then the excess for each window of `Pooled`, at k = 32 unless another k is",
        "named, and the share of exact partners kept for windows of 8. The halves are of different pictures.",
        "",
        table(header, rows),
    ]
    for name, each in results["times"].items():
        lines = [[row, f"{value['ms']:.1f}", cell(value)] for row, value in each["rows"].items()]
        text += ["", table([name, "ms", f"of {each['beside']}"], lines)]
    return "\n".join(text)


main(__name__, __doc__)
