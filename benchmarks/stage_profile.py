"""Where a stage's time goes: every step of it, timed by TensorFlow, beside what the machine needs for as many bytes.

    python benchmarks/stage_profile.py             # the tables on the terminal
    python benchmarks/stage_profile.py --write     # also into benchmarks/stage_profile.md and .json

One profile for each layer and shape that has a goal. A step is a node of the graph, or a function that XLA compiled;
nodes of the same kind are one step. Steps run side by side where they can: their sum is not the whole's time.
"""

import collections
import re
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import harness
import mix_cost
import numpy as np
import tensorflow as tf
from tqdm import tqdm

TITLE = "Where a stage's time goes"
v1 = tf.compat.v1
# Steps below this share of all are one line.
LEAST = 0.03
EMPTY = {"ms": 0.0, "megabytes": 0.0, "gigaflops": 0.0}
# Ops that hand on, or ask the shape of, what they are given; and those that read no more of it than they give.
FREE = (
    *("Identity", "Shape", "Arg", "Retval", "Reshape", "Assert", "Switch", "Merge", "ExpandDims"),
    *("StridedSlice", "Squeeze", "Unpack"),
)
PICKS = ("GatherV2", "Slice")
CALLED = ("PartitionedCall", "StatefulPartitionedCall")


def profile(layer: Callable, x: np.ndarray, y: np.ndarray, calls: int) -> dict[str, Any]:
    """Medians of some calls: milliseconds of a whole one; of each step, also what it reads, writes and multiplies."""
    with tf.Graph().as_default() as graph:
        inputs = [v1.placeholder(each.dtype, [None, *each.shape[1:]]) for each in (x, y)]
        # Operations, not tensors: results are not to be copied out of the session.
        mixed = [each.op for each in tf.nest.flatten(layer(*inputs, seed=(1, 2)))]
        names = _called(graph.as_graph_def())
        with v1.Session(graph=graph) as session:
            feed = dict(zip(inputs, (x, y), strict=True))
            session.run(mixed, feed)
            measured = [_traced(session, mixed, feed, names) for _ in range(calls)]
    steps: dict[str, list[Any]] = collections.defaultdict(list)
    for _, found in measured:
        for name, step in found.items():
            steps[name].append(step)
    return {
        "ms": statistics.median(whole for whole, _ in measured),
        "steps": {
            name: {key: statistics.median(each[key] for each in rows) for key in EMPTY}
            for name, rows in steps.items()
        },
    }


def _called(definition: Any) -> dict[str, str]:
    """The function that each node calls which calls one, by its name; within functions, by the last part of that."""
    found = {node.name: node.attr["f"].func.name for node in definition.node if node.op in CALLED}
    for function in definition.library.function:
        for node in function.node_def:
            if node.op in CALLED:
                found.setdefault(_last(node.name), node.attr["f"].func.name)
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _traced(
    session: Any, mixed: Any, feed: Any, names: Mapping[str, str]
) -> tuple[float, dict[str, dict[str, float]]]:
    """One call: how long it took, and how long its steps did."""
    options, metadata = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE), v1.RunMetadata()
    session.run(mixed, feed, options, metadata)
    nodes = [node for device in metadata.step_stats.dev_stats for node in device.node_stats]
    outputs = {node.node_name: [output.tensor_description for output in node.output] for node in nodes}
    steps: dict[str, dict[str, float]] = {}
    for node in nodes:
        reads, writes = _operands(node.timeline_label, outputs), outputs[node.node_name]
        kind = _kind(node, names)
        row = steps.setdefault(kind, dict(EMPTY))
        row["ms"] += (node.op_end_rel_micros - node.op_start_rel_micros) / 1e3
        moved = [] if kind in FREE else [*writes, *writes] if kind in PICKS else [*reads, *writes]
        row["megabytes"] += sum(_bytes(each) for each in moved) / 1e6
        if "MatMul" in node.timeline_label and reads:
            row["gigaflops"] += 2 * _numbers(writes[0]) * reads[0].shape.dim[-1].size / 1e9
    starts = [node.all_start_micros for node in nodes]
    ends = [node.all_start_micros + node.all_end_rel_micros for node in nodes]
    return (max(ends) - min(starts)) / 1e3, steps


def _kind(node: Any, names: Mapping[str, str]) -> str:
    """What a step is called: the function that was compiled, or the kind of op."""
    found = re.search(r"= (\w+)\(", node.timeline_label)
    kind = found.group(1) if found else re.sub(r"^_?(arg|retval)_.*", r"\1", _last(node.node_name)).capitalize()
    if kind not in CALLED:
        return kind.removeprefix("_")
    called = names.get(node.node_name) or names.get(_last(node.node_name), "function")
    return "compiled " + re.sub(r"^(__inference|__forward)?_*|_\d+$", "", called)


def _operands(label: str, shapes: Mapping[str, Any]) -> list[Any]:
    """What a step reads, as far as the trace names it."""
    inside = re.search(r"\((.*)\)$", label)
    found = []
    for name in inside.group(1).split(", ") if inside else []:
        node, _, number = name.partition(":")
        outputs = shapes.get(node, [])
        if outputs and not name.startswith("^"):
            found.append(outputs[min(int(number or 0), len(outputs) - 1)])
    return found


def rates(quick: bool) -> dict[str, float]:
    """What the machine can do: a copy and a read in GB/s, of 154 MB, and products in Gflop/s."""
    x = tf.random.normal([256, 64 if quick else 150528])
    left, right = tf.random.normal([2, 256 if quick else 2048, 256 if quick else 2048])
    flops = 2 * left.shape[0] ** 3
    giga = int(np.prod(x.shape)) * 4 / 1e9
    return {
        "copy": 2 * giga / _seconds(lambda: tf.raw_ops.DeepCopy(x=x), quick),
        "read": giga / _seconds(lambda: tf.reduce_max(x), quick),
        "flops": flops / 1e9 / _seconds(lambda: tf.matmul(left, right), quick),
    }


def _seconds(call: Callable[[], Any], quick: bool) -> float:
    call()
    times = harness.interleaved({"it": call}, 2 if quick else 15, "the machine's rates")
    return min(times["it"]) / 1e3


def measure(quick: bool, rounds: int | None) -> dict[str, Any]:
    """The machine's rates, and a profile of each layer that has a goal, by shape."""
    calls = rounds or (2 if quick else 9)
    found: dict[str, Any] = {"rates": rates(quick), "calls": calls, "profiles": {}}
    shapes = mix_cost.QUICK if quick else mix_cost.SHAPES
    for name, shape in tqdm(shapes.items(), desc="profiles", disable=None):
        x, classes = mix_cost.batch(shape, "float32")
        y = np.eye(10, dtype="float32")[classes]
        layers = mix_cost.chief(shape)
        found["profiles"][name] = {key: profile(layers[key], x, y, calls) for key in mix_cost.wanted(name)}
    return found


def markdown(results: dict[str, Any]) -> str:
    rates = results["rates"]
    lines = [
        f"Medians of {results['calls']} calls of each layer, outside of a pipeline, float32, traced by TensorFlow. "
        "MB: what a step's operands and results hold, at least what it moves. At the machine's rates: what so many "
        f"bytes and products take at {rates['copy']:.1f} GB/s (a copy of 154 MB, read and written) and "
        f"{rates['flops']:.0f} Gflop/s (a product of matrices of 2,048); a read alone runs at {rates['read']:.1f} "
        f"GB/s. Steps under {LEAST:.0%} of all are one line. Steps run side by side where they can.",
    ]
    for shape, profiles in results["profiles"].items():
        for name, found in profiles.items():
            lines += ["", f"## {name}, {shape}: {found['ms']:.2f} ms", "", _table(found["steps"], rates)]
    return "\n".join(lines)


def _table(steps: dict[str, Any], rates: dict[str, float]) -> str:
    total = {key: sum(step[key] for step in steps.values()) for key in EMPTY}
    large = {name: step for name, step in steps.items() if step["ms"] >= LEAST * total["ms"]}
    rest = {key: total[key] - sum(step[key] for step in large.values()) for key in EMPTY}
    rows = sorted(large.items(), key=lambda item: -item[1]["ms"])
    shown = [*rows, (f"{len(steps) - len(large)} more", rest), ("all", total)]
    header = ["step", "ms", "share", "MB", "Gflop", "at the machine's rates: ms"]
    return harness.table(header, [_row(name, step, total["ms"], rates) for name, step in shown])


def _row(name: str, step: dict[str, float], total: float, rates: dict[str, float]) -> list[str]:
    least = step["megabytes"] / rates["copy"] + 1e3 * step["gigaflops"] / rates["flops"]
    share = f"{step['ms'] / total:.0%}" if total else ""
    return [
        f"`{name}`",
        f"{step['ms']:.3f}",
        share,
        f"{step['megabytes']:.2f}",
        f"{step['gigaflops']:.2f}",
        f"{least:.3f}",
    ]


def _numbers(tensor: Any) -> int:
    return int(np.prod([each.size for each in tensor.shape.dim]))


def _bytes(tensor: Any) -> int:
    return _numbers(tensor) * max(1, tf.as_dtype(tensor.dtype).size)


harness.main(__name__, __doc__)
