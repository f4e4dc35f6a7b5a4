"""How large the graphs of mixed pipelines are, and what they move: counted, not timed, so that any machine can tell.

    python benchmarks/footprint.py            # compared with what benchmarks/footprint.json says: what grew is shown
    python benchmarks/footprint.py --write    # counted anew, into benchmarks/footprint.md and .json
    python benchmarks/footprint.py --json     # for machines

It never fails: a growth may be worth its price, but is to be seen. For each layer, as `dataset.apply(mix(layer,
seed=0))`, and as `dataset.map(layer)`:

nodes, functions: of the graph that each iterator makes anew, once an epoch, which takes about so long.
compiled: the functions among them that XLA compiles when they are first called.
callbacks: the nodes that call back to Python.
moved: bytes that are read and written for a batch. The function of the map is run once, and each node that ran counts
its inputs and outputs; those that only give a tensor another shape or name count nothing. A compiled function counts
what the instructions of its optimised program read and write, so that what is fused counts once; a loop in it whose
number of rounds is not known beforehand counts one. A callback counts its inputs and outputs alone. Caches are not
asked: this is an upper bound of what passes through memory, and grows with each pass over the batch.
"""

import argparse
import json
import math
import os
import pathlib

import harness
import numpy as np
import tensorflow as tf
from tensorflow.compiler.xla import xla_data_pb2
from tensorflow.compiler.xla.service import hlo_pb2
from tensorflow.python.eager import context
from tensorflow.python.eager.wrap_function import function_from_graph_def
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

import kmix_tf as km

TITLE = "What mixed pipelines are made of"
BATCH, SHAPE, CLASSES = 64, (28, 28, 1), 10

LAYERS = {
    "KMixupLayer(1)": lambda: km.KMixupLayer(1),
    "KMixupLayer(16)": lambda: km.KMixupLayer(16),
    "KMixupLayer(16, solver='graph')": lambda: km.KMixupLayer(16, solver="graph"),
    "LocalMixupLayer()": lambda: km.LocalMixupLayer(),
    "MultiMixLayer(5)": lambda: km.MultiMixLayer(5),
    "CutMixLayer()": lambda: km.CutMixLayer(),
    "FMixLayer()": lambda: km.FMixLayer(),
    "ResizeMixLayer()": lambda: km.ResizeMixLayer(),
    "GridMixLayer()": lambda: km.GridMixLayer(),
    "SmoothMixLayer()": lambda: km.SmoothMixLayer(),
    "AttentiveMixLayer()": lambda: km.AttentiveMixLayer(),
    "SaliencyMixLayer()": lambda: km.SaliencyMixLayer(),
    "PuzzleMixLayer(blocks=4)": lambda: km.PuzzleMixLayer(blocks=4),
    "CoMixupLayer()": lambda: km.CoMixupLayer(),
    "RecursiveMixLayer()": lambda: km.RecursiveMixLayer(),
    "MixLayer(blend=AlignMixBlend())": lambda: km.MixLayer(blend=km.AlignMixBlend()),
    "ChoiceLayer([KMixupLayer(16), CutMixLayer()])": lambda: km.ChoiceLayer([km.KMixupLayer(16), km.CutMixLayer()]),
}

# What a table made by another release, or on a processor for which XLA fuses otherwise, may differ by.
TOLERANCE = {"moved": 0.01}

# They give a tensor another name or shape.
_FREE = {"Assert", "Const", "ExpandDims", "Identity", "NoOp", "Placeholder", "Reshape", "Shape", "Size", "Squeeze"}
_FREE_IN_XLA = {"bitcast", "constant", "get-tuple-element", "parameter", "tuple"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_CHOOSES = {"If", "StatelessIf"}
_LOOPS = {"StatelessWhile", "While"}
_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


def batches() -> tf.data.Dataset:
    images = np.random.default_rng(0).uniform(size=(2 * BATCH, *SHAPE)).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(2 * BATCH) % CLASSES]
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


def measure(quick: bool = False, rounds: int | None = None) -> dict:
    """{layer: {"mix" or "map": {count: number}}}; nothing is repeated, for nothing is timed."""
    results = {}
    for name, make in list(LAYERS.items())[: 3 if quick else None]:
        layer = make()
        dataset = batches().apply(km.mix(layer, seed=0))
        results[name] = {"mix": parts(dataset) | {"moved": moved(dataset)}}
        if not layer.carries:
            results[name]["map"] = parts(batches().map(make()))
    return results


def parts(dataset: tf.data.Dataset) -> dict[str, int]:
    """What the graph of a dataset is made of."""
    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    return {
        "nodes": len(nodes),
        "functions": len(functions),
        "compiled": sum(function.attr["_XlaMustCompile"].b for function in functions),
        "callbacks": sum("PyFunc" in node.op for node in nodes),
    }


def moved(dataset: tf.data.Dataset) -> int:
    """The bytes that the function of a dataset moves for one batch, its input's first."""
    function = dataset.function if hasattr(dataset, "function") else dataset._functions()[0].function
    element = next(iter(dataset._input_dataset))
    given = [*tf.nest.flatten(getattr(dataset, "_initial_state", [])), *tf.nest.flatten(element)]
    return _moved_by(function.graph, [*given, *function.captured_inputs])


def _moved_by(graph, arguments) -> int:
    tensors = _run(graph, arguments)
    total = 0
    for operation in graph.get_operations():
        inputs = [tensors[each.name] for each in operation.inputs if each.name in tensors]
        outputs = [tensors[each.name] for each in operation.outputs if each.name in tensors]
        if operation.type in _CALLS | _CHOOSES | _LOOPS:
            total += _moved_by_calls(operation, inputs)
        elif operation.type not in _FREE:
            total += sum(map(_size, [*inputs, *outputs]))
    return total


def _run(graph, arguments) -> dict:
    """The value of every tensor of a graph, by name."""
    names = [
        tensor.name
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.dtype not in (tf.resource, tf.variant)
    ]
    function = function_from_graph_def(graph.as_graph_def(), [each.name for each in graph.inputs], names)
    return dict(zip(names, function(*arguments), strict=True))


def _moved_by_calls(operation, inputs) -> int:
    """What the functions move that a node called, as often as it called them."""
    if operation.type in _CALLS:
        return _moved_by_function(operation.get_attr("f").name, inputs)
    if operation.type in _CHOOSES:
        branch = "then_branch" if bool(inputs[0]) else "else_branch"
        return _moved_by_function(operation.get_attr(branch).name, inputs[1:])
    ask, go_on = (_graph_of(operation.get_attr(name).name) for name in ("cond", "body"))
    total = 0
    while bool(_outputs(ask, inputs)[0]):
        total += _moved_by(ask, inputs) + _moved_by(go_on, inputs)
        inputs = _outputs(go_on, inputs)
    return total


def _outputs(graph, arguments) -> list:
    tensors = _run(graph, arguments)
    return [tensors[each.name] for each in graph.outputs]


def _moved_by_function(name, arguments) -> int:
    if not _definition(name).attr["_XlaMustCompile"].b:
        return _moved_by(_graph_of(name), arguments)
    program = context.context().get_compiler_ir(
        _CPU, "CPU", name, arguments, [], stage="optimized_hlo_proto_serialized"
    )
    return _moved_by_program(hlo_pb2.HloProto.FromString(program).hlo_module)


def _definition(name):
    return context.context().get_function_def(name)


def _graph_of(name):
    return function_def_to_graph(_definition(name))


def _moved_by_program(module) -> int:
    computations = {each.id: each for each in module.computations}

    def total(identity) -> int:
        instructions = computations[identity].instructions
        sizes = {each.id: _size_in_xla(each.shape) for each in instructions}
        return sum(cost(each, sizes) for each in instructions if each.opcode not in _FREE_IN_XLA)

    def cost(instruction, sizes) -> int:
        if instruction.opcode in ("call", "conditional", "while"):
            return sum(map(total, instruction.called_computation_ids)) * _rounds(instruction)
        return sizes[instruction.id] + sum(sizes[each] for each in instruction.operand_ids)

    return total(module.entry_computation_id)


def _rounds(instruction) -> int:
    known = json.loads(instruction.backend_config or "{}").get("known_trip_count", {})
    return int(known.get("n", 1))


def _size(tensor) -> int:
    return 0 if tensor.dtype == tf.string else int(tf.size(tensor)) * tensor.dtype.size


def _size_in_xla(shape) -> int:
    if shape.tuple_shapes:
        return sum(map(_size_in_xla, shape.tuple_shapes))
    kind = xla_data_pb2.PrimitiveType.Name(shape.element_type)
    bits = [int(part) for part in "".join(each if each.isdigit() else " " for each in kind).split()]
    return math.prod(shape.dimensions) * max(1, bits[0] // 8 if bits else 1)


def grown(before: dict, after: dict) -> list[str]:
    """A sentence for each count that grew, and for each layer that was not counted before."""
    lines = []
    for name, kinds in after.items():
        if name not in before:
            lines.append(f"{name}: new")
            continue
        for kind, counts in kinds.items():
            for count, now in counts.items():
                then = before[name].get(kind, {}).get(count, 0)
                if now > then * (1 + TOLERANCE.get(count, 0)):
                    lines.append(f"{name}, {kind}: {count} {then:,} -> {now:,}")
    return lines


def markdown(results: dict) -> str:
    batch = BATCH * (math.prod(SHAPE) + CLASSES) * 4
    header = ["", "nodes", "functions", "compiled", "callbacks", "nodes of a map", "KB a batch", "batches"]
    return (
        f"{BATCH} images of {'x'.join(map(str, SHAPE))} a batch, {batch / 1000:,.0f} KB with their labels. "
        "`dataset.apply(mix(layer, seed=0))`, and the nodes of `dataset.map(layer)`; KB that are read and written "
        "for a batch, and how many times the batch that is. What counts is said in the file.\n\n"
        + harness.table(header, [[name, *_row(kinds, batch)] for name, kinds in results.items()])
    )


def _row(kinds, batch) -> list[str]:
    counts, of_map = kinds["mix"], kinds.get("map", {})
    plain = [counts["nodes"], counts["functions"], counts["compiled"], counts["callbacks"], of_map.get("nodes", "")]
    cells = [f"{each:,}" if each != "" else "" for each in [*plain, counts["moved"] // 1000]]
    return [*cells, f"{counts['moved'] / batch:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="of the first layers alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/footprint.md and .json")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick leaves layers out. Leave out --quick, or --write.")
    # Programs are looked at, and run once: their machine code need not be good.
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
    results, of = measure(arguments.quick), harness.machine()
    stored = pathlib.Path(__file__).with_suffix(".json")
    before = json.loads(stored.read_text())["results"] if stored.exists() else {}
    lines = grown(before, results)
    print(json.dumps({"machine": of, "results": results}) if arguments.json else "\n".join(lines or ["nothing grew"]))
    if arguments.write:
        harness.report("footprint", TITLE, of, results, markdown(results))


if __name__ == "__main__":
    main()
