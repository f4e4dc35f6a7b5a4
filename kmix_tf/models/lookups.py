"""What of a model's inputs is looked up by number: token ids and categories, whose averages are other ones, or none.

The model is traced once, and its graph followed from the inputs to embeddings, vocabularies, hashes and one-hot
encodings, through what leaves numbers what they are. So it does not matter how the model is built: functional,
nested, subclassed, or of layers of one's own.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import is_selected, leaf_paths
from kmix_tf.batch.categories import is_pasted
from kmix_tf.batch.geometry import set_of
from kmix_tf.layers import Stage

# What to do instead of mixing what an embedding looks up; a model's own layer is named in it.
HIDDEN_INSTEAD = (
    "Mix what that layer, or one after it, makes of them: ManifoldMixModel(model, [{layer!r}], ...); or name them in "
    "the mix's passthrough=."
)

# Operations that look up by number, each with the place of the input that is the number.
_LOOKUPS = {
    **dict.fromkeys(("Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd"), 1),
    **dict.fromkeys(("LookupTableFind", "LookupTableFindV2", "UnsortedSegmentSum", "UnsortedSegmentMean"), 1),
    **dict.fromkeys(("OneHot", "ScatterNd", "Bincount", "DenseBincount", "DenseCountSparseOutput"), 0),
    **dict.fromkeys(("StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong"), 0),
}
# Operations that hand numbers on as they are. Scaled or put in bins they are quantities, which can be averaged.
_TRANSPARENT = set_of(
    "Identity IdentityN StopGradient PreventGradient CheckNumerics EnsureShape Cast Round Rint Floor Ceil "
    "Reshape Squeeze ExpandDims Transpose StridedSlice Slice Gather GatherV2 GatherNd Pack Unpack Concat "
    "ConcatV2 Split SplitV Tile BroadcastTo Pad PadV2 MirrorPad ReverseV2 Add AddV2 AddN BiasAdd Sub Maximum Minimum "
    "ClipByValue FloorMod Mod Select SelectV2 AsString StringJoin StringStrip StringToNumber Unique UniqueV2 "
    "DynamicPartition DynamicStitch"
)
# Operations whose result says nothing of values.
_OF_SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))
_CALLS = {"PartitionedCall": ("f",), "StatefulPartitionedCall": ("f",)}
_BRANCHES = {"If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch")}
_LOOPS = {"While": ("cond", "body"), "StatelessWhile": ("cond", "body")}

_LOOKUP_LAYERS = tuple(
    getattr(keras.layers, name)
    for name in ("Embedding", "IntegerLookup", "StringLookup", "Hashing", "HashedCrossing", "CategoryEncoding")
)


class Flow(NamedTuple):
    """What a tensor holds.

    leaves: the numbers of the inputs that it hands on. is_learnt: whether weights are in it.
    """

    leaves: frozenset[int] = frozenset()
    is_learnt: bool = False


def require_no_lookups(model: Any, specs: Any, averaged: Sequence[bool], done: str, remedy: str) -> None:
    """Refuses inputs that would be averaged and are looked up by number in the model.

    Args:
        model: a Keras model or layer. specs: of its inputs, structured as it takes them.
        averaged: for each of them, whether it would be. done: what is done to them, such as "mixed".
        remedy: what to do, in which {layer} stands for the layer's name.

    Raises:
        ValueError: naming the input and the layer.

    Warns:
        UserWarning: if there are layers that look up, and the model cannot be traced.
    """
    if not any(averaged) or not _may_look_up(model):
        return
    found = looked_up(model, specs)
    if found is None:
        _warn_of_the_untraced(model, done)
        return
    names = [_shown(path) for path, _ in leaf_paths(specs)]
    for number, layer in found.items():
        if averaged[number]:
            raise _checks.problem(
                f"token ids and categories, which are looked up by number, cannot be {done}: the average of two is "
                f"another one, or none. Received: a model whose {names[number]} reaches {layer!r} as it is. "
                + remedy.format(layer=layer)
            )


def input_specs(model: Any) -> Any:
    """The specs of a model's inputs, in their structure; None of a model that knows them only when it is called."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    structure = inputs[0] if isinstance(model, keras.Sequential) else model.input
    return tf.nest.map_structure(_spec, structure)


def specs_of(x: Any, averaged: Sequence[bool]) -> Any:
    """The specs of a batch of any size, as a model is given it: what is averaged are floats then."""
    specs = []
    for leaf, use in zip(tf.nest.flatten(x), averaged, strict=True):
        dtype = tf.float32 if use and not leaf.dtype.is_floating else leaf.dtype
        is_dense = isinstance(leaf, (tf.Tensor, tf.TensorSpec))
        specs.append(tf.TensorSpec([None, *leaf.shape[1:]], dtype) if is_dense else tf.type_spec_from_value(leaf))
    return tf.nest.pack_sequence_as(x, specs)


def averaged_inputs(mixer: Stage, x: Any) -> list[bool]:
    """For each input, of a batch or of `input_specs`, whether a mix averages it, or any that it chooses from."""
    axes = [member.blend.pasted_axes for member in mixer.members() if member.mixes]
    return [
        is_free and any(not is_pasted(tf.TensorShape(leaf.shape), each) for each in axes)
        for is_free, leaf in zip(not_selected((*mixer.passthrough, *mixer.masks), x), tf.nest.flatten(x), strict=True)
    ]


def not_selected(names: Sequence[str], x: Any) -> list[bool]:
    """For each input, whether none of the names means it: by its path, its position or its own name."""
    return [
        not any(is_selected(names, each) for each in (path, (number,), (getattr(leaf, "name", None),)))
        for number, (path, leaf) in enumerate(leaf_paths(x))
    ]


def looked_up(model: Any, specs: Any) -> dict[int, str] | None:
    """The inputs that a model looks up by number, each with the name of the layer that does; None if nobody knows.

    Args:
        specs: a structure of `tf.TensorSpec`; inputs are counted in the order of `tf.nest.flatten`.
    """
    inputs: dict[str, Flow] = {}

    @tf.autograph.experimental.do_not_convert
    def ask(x: Any) -> Any:
        leaves = enumerate(tf.nest.flatten(x))
        inputs.update((leaf.op.name, Flow(frozenset([at]))) for at, leaf in leaves if isinstance(leaf, tf.Tensor))
        return model(x, training=False)

    try:
        with tf.init_scope():
            concrete = tf.function(ask).get_concrete_function(specs)
    except Exception:  # Whatever a model's own code may raise where it is asked for a graph.
        return None
    graph = concrete.graph.as_graph_def()
    walk = _Walk({function.signature.name: function for function in graph.library.function})
    walk.through(graph.node, inputs)
    layers = [layer.name for layer in _layers(model)]
    return {number: _layer_of(path, layers) for number, path in walk.found.items()}


class _Walk:
    """Follows what inputs hand on through a graph, and into the functions that it calls.

    found: for each input that is looked up, the names of the operation that does, from the outside in.
    """

    def __init__(self, functions: Mapping[str, Any]):
        self.functions = functions
        self.found: dict[int, tuple[str, ...]] = {}

    def through(self, nodes: Iterable[Any], given: Mapping[str, Flow], path: tuple[str, ...] = ()) -> dict[str, Flow]:
        """What each node holds; nodes come after those that they need."""
        flows = dict(given)
        for node in nodes:
            if node.name not in given:
                inputs = [flows.get(_node(name), Flow()) for name in node.input if not name.startswith("^")]
                flows[node.name] = self._after(node, inputs, (*path, node.name))
        return flows

    def _after(self, node: Any, inputs: list[Flow], path: tuple[str, ...]) -> Flow:
        if node.op in _OF_SHAPES:
            return Flow()
        called = [node.attr[name].func.name for name in {**_CALLS, **_BRANCHES, **_LOOPS}.get(node.op, ())]
        if node.op in ("Case", "StatelessCase"):
            called = [branch.name for branch in node.attr["branches"].list.func]
        if called:
            told = inputs if node.op in _CALLS or node.op in _LOOPS else inputs[1:]
            return _joined([self._called(name, told, path) for name in called if name in self.functions])
        at = _LOOKUPS.get(node.op)
        if at is not None and len(inputs) > at:
            for number in inputs[at].leaves:
                self.found.setdefault(number, path)
        joined = _joined(inputs)
        is_learnt = joined.is_learnt or "ReadVariable" in node.op or node.op.startswith("Resource")
        hands_on = node.op in _TRANSPARENT and not is_learnt and not (at is not None and inputs[at].leaves)
        return Flow(joined.leaves if hands_on else frozenset(), is_learnt)

    def _called(self, name: str, inputs: list[Flow], path: tuple[str, ...]) -> Flow:
        function = self.functions[name]
        arguments = [argument.name for argument in function.signature.input_arg]
        flows = self.through(function.node_def, dict(zip(arguments, inputs, strict=False)), path)
        return _joined([flows.get(_node(value), Flow()) for value in function.ret.values()])


def _joined(flows: Sequence[Flow]) -> Flow:
    leaves = frozenset().union(*(flow.leaves for flow in flows))
    return Flow(leaves, any(flow.is_learnt for flow in flows))


def _node(tensor: str) -> str:
    return tensor.partition(":")[0]


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers())


def _may_look_up(model: Any) -> bool:
    """Whether a model holds layers that look up, or such as nobody knows: of the others, tracing is saved."""
    layers = _layers(model)
    # In Keras 3, operations such as `keras.ops.take` are no layers.
    operations = [each for layer in layers for each in getattr(layer, "operations", None) or []]
    return any(isinstance(each, _LOOKUP_LAYERS) or not _is_plain(each) for each in [*layers, *operations])


def _is_plain(layer: Any) -> bool:
    """Whether it is a layer of Keras' own, and runs no code of others'."""
    is_layer = isinstance(layer, keras.layers.Layer) and type(layer).__module__.startswith("keras.")
    return is_layer and not isinstance(layer, keras.layers.Lambda) and "OpLambda" not in type(layer).__name__


def _warn_of_the_untraced(model: Any, done: str) -> None:
    if any(isinstance(layer, _LOOKUP_LAYERS) for layer in _layers(model)):
        warnings.warn(
            f"{_checks.speaker()}: the model looks up token ids or categories, and nobody knows in which of its "
            f"inputs, since it cannot be traced by itself. See to it that none of those is {done}.",
            UserWarning,
            stacklevel=2,
        )


def _layer_of(path: tuple[str, ...], layers: Sequence[str]) -> str:
    """The layer that an operation belongs to: the innermost whose name is in the operation's, which may number it."""
    scopes = [scope for name in path for scope in name.split("/")[:-1]]
    for scope in reversed(scopes):
        names = [name for name in layers if re.fullmatch(rf"{re.escape(name)}(_\d+)?", scope)]
        if names:
            return max(names, key=len)
    return scopes[-1] if scopes else path[-1]


def _shown(path: tuple) -> str:
    return f"input {'/'.join(map(str, path))!r}" if path else "input"


def _spec(leaf: Any) -> Any:
    """The spec of a Keras input, which may be sparse or ragged."""
    kind = getattr(leaf, "type_spec", None)
    if getattr(leaf, "sparse", False):
        kind = tf.SparseTensorSpec(leaf.shape, leaf.dtype)
    elif getattr(leaf, "ragged", False):
        kind = tf.RaggedTensorSpec(leaf.shape, leaf.dtype)
    if kind is None or isinstance(kind, tf.TensorSpec):
        return tf.TensorSpec(tuple(leaf.shape), leaf.dtype, str(leaf.name).partition(":")[0])
    return kind
