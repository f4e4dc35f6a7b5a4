"""One random call of one random layer, which follows from a number, and whether what comes back is right."""

import contextlib
import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
from fuzzing import batches, decided, mixes, oracle

import kmix_tf
from kmix_tf.mixing.watch import watching

# The module, of which the package has a function of the same name.
draw = importlib.import_module("kmix_tf.mixing.draw")


@dataclasses.dataclass
class Case:
    """A call: a layer and one batch, or two of two loaders; seed: of the mix."""

    kind: str
    layer: Any
    batch: batches.Batch
    second: batches.Batch | None
    seed: int

    def call(self, layer: Any = None, training: bool | None = None) -> Any:
        """What the layer gives."""
        layer = self.layer if layer is None else layer
        sides = [_parts(side) for side in (self.batch, self.second) if side is not None]
        if self.second is not None:
            return layer.between(*sides, training=training, seed=self.seed)
        return layer(*sides[0], training=training, seed=self.seed)

    def __str__(self) -> str:
        shown = tf.nest.map_structure(_shown, _parts(self.batch))
        loaders = "" if self.second is None else ", and as much of another loader"
        return f"{type(self.layer).__name__} {self.layer.get_config()} of {shown}{loaders}"


def _shown(leaf: Any) -> str:
    return "None" if leaf is None else f"{leaf.dtype}{tuple(leaf.shape)}"


def _parts(batch: batches.Batch) -> tuple[Any, ...]:
    return batch.x, batch.y, batch.weight


def case(number: int, is_compiled: bool = False) -> Case:
    """The case of a number.

    Args:
        is_compiled: whether it is to be one that XLA can compile.
    """
    rng = np.random.default_rng(number)
    # Of the layers that take long, few.
    kind = batches.one_of(rng, [*mixes.KINDS * 4, *mixes.RARE])
    while is_compiled and kind in ("CoMixupLayer", "PuzzleMixLayer"):
        kind = batches.one_of(rng, mixes.KINDS)
    told = mixes.asked(rng, kind, is_compiled)
    most = 8 if kind in mixes.RARE or is_compiled else 40
    batch = batches.batch(rng, int(rng.integers(1, most + 1)), told["axes"], told)
    layer = mixes.layer(rng, kind, told, batch)
    second = _another(rng, batch) if rng.random() < 0.15 and _takes_two(layer) else None
    return Case(kind, layer, batch, second, int(rng.integers(2**31)))


def _takes_two(layer: Any) -> bool:
    """Whether it mixes two loaders: not by class, nor of any number of samples."""
    of_one = (kmix_tf.SameClassPairing, kmix_tf.OtherClassPairing, kmix_tf.LabelDistancePairing)
    return isinstance(layer, kmix_tf.MixLayer) and not (layer.blend.gathers or isinstance(layer.pairing, of_one))


def _another(rng: np.random.Generator, batch: batches.Batch) -> batches.Batch:
    """A batch of another loader, of the same shapes: the rows in another order, floats half as large again."""
    order = rng.permutation(len(tf.nest.flatten(batch.y)[0]))

    def other(leaf: Any, factor: float = 1.0) -> Any:
        leaf = tf.gather(leaf, order) if not isinstance(leaf, np.ndarray) else leaf[order]
        is_float = getattr(leaf.dtype, "is_floating", getattr(leaf.dtype, "kind", "") == "f")
        return leaf * tf.cast(factor, leaf.dtype).numpy() if is_float and factor != 1 else leaf

    x = tf.nest.map_structure(lambda leaf: other(leaf, 1.5), batch.x)
    rest = [None if part is None else tf.nest.map_structure(other, part) for part in (batch.y, batch.weight)]
    return batches.Batch(x, *rest, batch.options, batch.places)


@contextlib.contextmanager
def overheard() -> Iterator[tuple[list[dict[str, Any]], list[Any]]]:
    """What mixes within it tell, and whom their pairings paired, before weights had a say in it."""
    found: list[Any] = []

    def paired(*arguments: Any, ask: Any = draw.paired) -> Any:
        found.append(ask(*arguments))
        return found[-1]

    with watching() as seen, mock.patch.object(draw, "paired", paired):
        yield seen, found


def check(case: Case) -> None:
    """Calls the layer, and again.

    Raises:
        AssertionError: for a mixture that does not follow from what the layer tells, or another the second time.
    """
    with overheard() as (seen, found):
        result = case.call()
    same(result, case.call(), 0, "the second time")
    if case.kind == "ChoiceLayer" and case.layer.per == "sample":
        _is_of_one(result, seen)
        return
    told = oracle.told_of(seen[0])
    _is_mixture(case, result, told)
    if case.kind != "ChoiceLayer":
        _is_decided(case, told, found)


# How many seeds share what was compiled.
SEEDS = 4
# AlignMix' plans are of costs over epsilon, 10^5 for integers up to 127: half of features' last bit moves mixtures
# by a thousandth, in plain ops alone.
ROUNDING = {"AlignMixBlend": 1e-2}


def check_traced(case: Case, is_compiled: bool) -> int:
    """Calls the layer in a graph and in plain ops, for several seeds; gives how often.

    Raises:
        AssertionError: where they differ by more than rounding.
    """
    sides = [_parts(side) for side in (case.batch, case.second) if side is not None]
    leaves = [tf.nest.map_structure(_tensor, leaf) for leaf in tf.nest.flatten(sides) if leaf is not None]
    trains = None if is_compiled or case.seed % 4 else False

    def call(seed: tf.Tensor, *tensors: Any) -> Any:
        each = iter(tensors)
        given = [None if leaf is None else next(each) for leaf in tf.nest.flatten(sides)]
        parts = tf.nest.pack_sequence_as(sides, given)
        if case.second is not None:
            return case.layer.between(*parts, training=trains, seed=seed)
        return case.layer(*parts[0], training=trains, seed=seed)

    signature = [tf.TensorSpec([2], tf.int32), *(_spec(leaf, is_compiled) for leaf in leaves)]
    traced = tf.function(call, input_signature=signature, jit_compile=is_compiled or None, autograph=False)
    for number in range(SEEDS):
        seed = tf.constant([case.seed, number], tf.int32)
        tf.config.run_functions_eagerly(False)
        result = traced(seed, *leaves)
        tf.config.run_functions_eagerly(True)
        rounding = ROUNDING.get(case.kind, 1e-4)
        same(result, call(seed, *leaves), rounding, "under XLA" if is_compiled else "in a graph")
    return SEEDS


def _spec(leaf: Any, is_compiled: bool) -> Any:
    """What a graph is told of a leaf; of the batch size nothing, unless XLA compiles it."""
    if isinstance(leaf, tf.RaggedTensor):
        return tf.RaggedTensorSpec([None, None], leaf.dtype, row_splits_dtype=leaf.row_splits.dtype)
    return tf.TensorSpec(leaf.shape if is_compiled else [None, *leaf.shape[1:]], leaf.dtype)


def same(result: Any, other: Any, rounding: float, when: str) -> None:
    """Whether two results are alike."""
    tf.nest.assert_same_structure(result, other)
    for one, two in zip(tf.nest.flatten(result), tf.nest.flatten(other), strict=True):
        oracle.require(one.dtype == two.dtype, f"another dtype {when}")
        if isinstance(one, tf.Tensor) and one.dtype != tf.string:
            atol = max(rounding, oracle.ROUNDING.get(one.dtype.name, 0.0)) if rounding else 0.0
            oracle.close(one, oracle.wide(two), atol, f"another mixture {when}")


def _is_of_one(result: Any, seen: list[dict[str, Any]]) -> None:
    """Of a choice for each sample: whether each row of the features is as one of the layers made it."""
    leaves = tf.nest.flatten(result[0])
    made = [[leaf.tensor for leaf in each["mixed"].leaves if leaf.part == "features"] for each in seen]
    for at, leaf in enumerate(leaves):
        if isinstance(leaf, tf.Tensor) and leaf.dtype != tf.string:
            rows = [
                oracle.wide(leaf).reshape(len(leaf), -1) == oracle.wide(each[at]).reshape(len(leaf), -1)
                for each in made
            ]
            oracle.require(np.any([each.all(axis=1) for each in rows], axis=0).all(), "a row that no layer made")


def _is_mixture(case: Case, result: Any, told: oracle.Told) -> None:
    """Whether features, targets and weights follow from what was told."""
    oracle.is_realised(told, case.kind.startswith("Style"))
    x, y, weight = (*result, None)[:3]
    batch, second = case.batch, case.second or case.batch
    aside = {batch.options.get("passthrough"), batch.options.get("masks")}
    exact = not case.kind.endswith("Blend") and getattr(case.layer, "resize", "nearest") == "nearest"
    tf.nest.assert_same_structure(x, batch.x)
    for got, first, other in zip(*map(_by_path, (x, batch.x, second.x)), strict=True):
        if got[0] not in aside:
            oracle.features(got[1], _tensor(first[1]), _tensor(other[1]), told, batch, exact)
        elif got[0] == "ids":
            _rides_along(got[1], first[1], told)
    several = isinstance(batch.y, dict)
    for key in batch.y if several else [None]:
        mine, yours = (_target(side, key) for side in (batch, second))
        rule = case.layer.label_shares if isinstance(case.layer, kmix_tf.MixLayer) else None
        expected = oracle.target(mine, yours, told, batch, second, rule)
        got = [each[key] if isinstance(each, dict) else each for each in (y, weight)]
        _is_target(case, got, expected, told, mine[0])


def _by_path(structure: Any) -> list[tuple[Any, Any]]:
    """Leaves, those of a dictionary with their keys."""
    if isinstance(structure, dict) and not any(map(tf.nest.is_nested, structure.values())):
        return [(key, structure[key]) for key in sorted(structure)]
    return [("", leaf) for leaf in tf.nest.flatten(structure)]


def _tensor(leaf: Any) -> Any:
    return leaf if isinstance(leaf, tf.RaggedTensor) else tf.convert_to_tensor(leaf)


def _target(batch: batches.Batch, key: Any) -> tuple[Any, Any, Any]:
    """A target, its weight and its number of classes."""
    parts = batch.y, batch.weight, batch.options.get("num_classes")
    return tuple(each[key] if isinstance(each, dict) and key is not None else each for each in parts)


def _rides_along(got: Any, came: Any, told: oracle.Told) -> None:
    times = len(told.own) // max(told.own.max(initial=0) + 1, 1)
    if isinstance(got, tf.RaggedTensor):
        oracle.require(got.to_list() == came.to_list() * times, "what rides along is changed")
        return
    wanted = tf.concat([tf.convert_to_tensor(came)] * times, 0)
    oracle.require(bool(tf.reduce_all(got == wanted)), "what rides along is changed")


def _is_target(case: Case, got: list[Any], expected: tuple[Any, ...], told: oracle.Told, came: Any) -> None:
    """Whether a target and its weight are those expected."""
    y, weight = got
    own, other, share, total = expected
    packs = case.layer.targets == "packed"
    if told.shares is not None:
        oracle.close(y, told.shares @ oracle.soft(came, batches.CLASSES), 1e-5, "targets")
    elif packs:
        _is_packed(y, own, other, share, told)
    else:
        share = oracle.aligned(share, own.ndim)
        oracle.close(y, share * own + (1 - share) * other, 1e-5, "targets")
    wanted = total
    if not packs and told.weight is not None:
        wanted = told.weight if wanted is None else wanted * oracle.aligned(told.weight, wanted.ndim)
    if case.batch.weight is None and "class_weight" not in case.batch.options:
        wanted = None if packs or told.weight is None else told.weight
    if wanted is None and weight is not None and case.kind == "ChoiceLayer":
        wanted = np.ones(len(own))
    oracle.require((weight is None) == (wanted is None), f"weights {'missing' if weight is None else 'of nothing'}")
    if weight is not None:
        oracle.close(tf.broadcast_to(_trimmed(weight, wanted.ndim), wanted.shape), wanted, 1e-5, "weights")


def _trimmed(weight: Any, ndim: int) -> tf.Tensor:
    """Without axes at the end that are too many, along which all must be alike."""
    while weight.shape.rank > ndim:
        alike = bool(tf.reduce_all(weight == weight[..., :1]))
        oracle.require(alike, "weights that differ from place to place, of samples that count alike")
        weight = weight[..., 0]
    return weight


def _is_packed(y: Any, own: np.ndarray, other: np.ndarray, share: np.ndarray, told: oracle.Told) -> None:
    """Whether packed targets hold both, the share, and what the mixture counts."""
    found = oracle.wide(y)
    found = found.reshape(len(found), -1)
    size = (found.shape[1] - 2) // 2
    share = np.broadcast_to(oracle.aligned(share, 1), (len(own),))
    weight = np.ones(len(own)) if told.weight is None else told.weight
    flat = [each.reshape(len(each), -1) for each in (own, other)]
    oracle.require(flat[0].shape[1] == size, "packed targets of another size")
    oracle.close(tf.constant(found), np.column_stack([*flat, share, weight]), 1e-5, "packed targets")


def _is_decided(case: Case, told: oracle.Told, found: list[Any]) -> None:
    """Whether pairs and what they count are as the decisions say."""
    layer, within = case.layer, case.second is None
    second = case.batch if within else case.second
    sides = [decided.flat(_measured(side)) for side in (case.batch, second)]
    shape = (-1, len(sides[0])) if told.several == 2 else (len(sides[0]),)
    partner, ratio = told.other.reshape(shape), told.drawn.reshape(shape)
    if not found:  # Not mixed, as its probability is less than 1.
        oracle.require((ratio == 1).all() and (partner == np.arange(len(sides[0]))).all(), "mixed, and nobody paired")
        return
    decided.pairs(layer.pairing, found[0], *sides, _classes(case), within)
    paired = np.broadcast_to(np.asarray(found[0].partner), shape if told.several == 1 else ratio.shape)
    if within:
        oracle.require((ratio[partner == np.arange(len(sides[0]))] == 1).all(), "mixed with itself")
    if layer.weight.counts_alike:
        oracle.require((partner == paired).all() and told.weight is None, "other pairs than were paired")
        return
    counts, unclear = decided.by_distance(layer.weight, *sides, paired, within)
    if layer.weight.far == "keep":
        is_far = counts == 0
        oracle.require(((ratio == 1) | ~is_far | unclear).all(), "a pair that is too far apart is mixed")
        counts = np.ones_like(counts)
    oracle.require(unclear.any() or _mean_one(counts, told.weight), "weights of pairs are others")


def _mean_one(counts: np.ndarray, weight: np.ndarray | None) -> bool:
    counts = counts.reshape(-1)
    wanted = counts / counts.mean() if counts.any() else counts
    return weight is not None and bool(np.allclose(weight, wanted, rtol=1e-3, atol=1e-5))


def _measured(batch: batches.Batch) -> list[Any]:
    if "match_on" in batch.options:
        return [batch.x[batch.options["match_on"]]]
    aside = {batch.options.get("passthrough"), batch.options.get("masks")}
    return [leaf for key, leaf in _by_path(batch.x) if key not in aside]


def _classes(case: Case) -> Any:
    y = case.batch.y
    if isinstance(y, dict) or not (y.dtype.kind == "f" or y.ndim == 1 or y.shape[-1] == 1):
        return None
    return oracle.soft(y, batches.CLASSES).argmax(axis=-1) if y.ndim == 2 or y.dtype.kind != "f" else None
