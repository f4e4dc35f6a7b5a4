"""Calls that must not go through: one leaf, part or option of a valid case is spoilt, and someone must say so."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from fuzzing import batches, cases, oracle

import kmix_tf

# Errors are ours if they begin with a name of ours, and say what was received.
OURS = re.compile(r"^(<?\w+>?): .*Received", re.DOTALL)
NAMES = {name for name in dir(kmix_tf) if not name.startswith("_")} | {"<lambda>"}
KINDS = (ValueError, TypeError, tf.errors.InvalidArgumentError)


class Frame:
    """What a table of another library is: columns, and a way to make an array of them, which may fail."""

    dtype = object

    def __array__(self, *told: Any, **named: Any) -> np.ndarray:
        raise RuntimeError("columns of different kinds")


def _numpy(leaf: Any) -> np.ndarray:
    return np.asarray(leaf if tf.is_tensor(leaf) is False else tf.convert_to_tensor(leaf))


def _with(leaf: Any, value: Any) -> Any:
    """A leaf with one number changed; only floats have such numbers."""
    leaf = oracle.wide(leaf).astype(np.float32).copy()
    leaf.reshape(-1)[leaf.size // 2] = value
    return leaf


def _endless(leaf: Any) -> Any:
    structure = [leaf]
    structure.append(structure)
    return structure


# What is made of a leaf, whatever part it is in: none of it may come back.
SPOILS: dict[str, Callable[[Any], Any]] = {
    "objects": lambda leaf: _numpy(leaf).astype(object),
    "objects of several kinds": lambda leaf: np.array([None, "a", 1.5, {}] * len(leaf), object)[: len(leaf)],
    "dates": lambda leaf: np.zeros(leaf.shape, "datetime64[s]"),
    "durations": lambda leaf: np.zeros(leaf.shape, "timedelta64[D]"),
    "records": lambda leaf: np.zeros(leaf.shape, [("a", "f4"), ("b", "i4")]),
    "wide floats": lambda leaf: np.zeros(leaf.shape, np.longdouble),
    "Python lists": lambda leaf: _numpy(tf.cast(leaf, tf.float32)).tolist(),
    "text": lambda leaf: np.full(leaf.shape, "a"),
    "bytes": lambda leaf: np.full(leaf.shape, b"a"),
    "a word": lambda leaf: "abc",
    "a number": lambda leaf: 1.0,
    "a scalar": lambda leaf: np.float32(1),
    "complex numbers": lambda leaf: np.zeros(leaf.shape, np.complex64),
    "quantised numbers": lambda leaf: tf.zeros(leaf.shape, tf.qint8),
    "nothing": lambda leaf: [leaf, None],
    "one row more": lambda leaf: np.concatenate([_numpy(leaf), _numpy(leaf)[:1]]),
    "twice the rows": lambda leaf: np.concatenate([_numpy(leaf)] * 2),
    "NaN": lambda leaf: _with(leaf, np.nan),
    "infinity": lambda leaf: _with(leaf, -np.inf),
    "sparse": lambda leaf: tf.sparse.from_dense(oracle.wide(leaf)),
    "ragged": lambda leaf: tf.RaggedTensor.from_row_lengths(np.arange(len(leaf)), [1] * len(leaf)),
    "a generator": lambda leaf: (each for each in [leaf]),
    "a set": lambda leaf: {1, 2},
    "a range": lambda leaf: range(len(leaf)),
    "a function": lambda leaf: lambda: leaf,
    "a class": lambda leaf: dict,
    "a dataset": lambda leaf: tf.data.Dataset.from_tensors(leaf),
    "a variant": lambda leaf: tf.data.experimental.to_variant(tf.data.Dataset.range(3)),
    "a table that is none": lambda leaf: Frame(),
    "masked": lambda leaf: np.ma.masked_array(oracle.wide(leaf), np.ones(leaf.shape, bool)),
    "keys of two kinds": lambda leaf: {"a": leaf, 1: leaf},
    "keys of no kind": lambda leaf: {None: leaf, "a": leaf},
    "itself": _endless,
    "an input of a model": lambda leaf: keras.Input(leaf.shape[1:]),
}


@dataclasses.dataclass
class Spoilt:
    """A case of which a leaf is spoilt."""

    case: cases.Case
    how: str


def spoilt(number: int) -> Spoilt:
    """The spoilt case of a number: of every third, a part of the batch of another loader."""
    rng = np.random.default_rng(number)
    while True:
        case = cases.case(int(rng.integers(2**31)))
        side = case.batch if case.second is None or rng.random() < 0.5 else case.second
        parts = [name for name in ("x", "y", "weight") if getattr(side, name) is not None]
        part = batches.one_of(rng, parts)
        how = batches.one_of(rng, list(SPOILS))
        new = _spoil(rng, getattr(side, part), SPOILS[how], _aside(case))
        if new is not None:
            setattr(side, part, new)
            return Spoilt(case, f"{how} in {part}")


def _aside(case: cases.Case) -> set[Any]:
    return {case.batch.options.get("passthrough"), case.batch.options.get("masks")}


def _spoil(rng: np.random.Generator, structure: Any, spoil: Callable[[Any], Any], aside: set[Any]) -> Any:
    """The structure with one of its leaves spoilt; None if none can be."""
    if isinstance(structure, dict):
        key = batches.one_of(rng, sorted(structure))
        new = None if key in aside else _spoil(rng, structure[key], spoil, aside)
        return None if new is None else {**structure, key: new}
    if isinstance(structure, (list, tuple)):
        at = int(rng.integers(len(structure)))
        new = _spoil(rng, structure[at], spoil, aside)
        return None if new is None else type(structure)([*structure[:at], new, *structure[at + 1 :]])
    if structure.dtype == tf.string or isinstance(structure, tf.RaggedTensor) or not oracle.wide(structure).size:
        return None
    return spoil(structure)


def is_ours(error: BaseException) -> bool:
    """Whether an error is one of ours, in words."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    found = OURS.match(text)
    return isinstance(error, KINDS) and found is not None and found[1] in NAMES


def refused(number: int) -> None:
    """Calls a spoilt case.

    Raises:
        AssertionError: unless it is refused, in our words.
    """
    each = spoilt(number)
    try:
        each.case.call()
    except Exception as error:
        oracle.require(is_ours(error), f"{each.how}, of {each.case.kind}: {type(error).__name__}: {str(error)[:300]}")
        return
    raise AssertionError(f"{each.how} came back, of {each.case}")


# What may come: it comes back in bounds, or is refused in words.
EXTREMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "near the largest": lambda leaf: np.sign(leaf - leaf.mean()) * np.float32(3.4e38),
    "large": lambda leaf: leaf * np.float32(1e30),
    "tiny": lambda leaf: leaf * np.float32(1e-40),
    "all alike": lambda leaf: np.full_like(leaf, 0.1),
    "zeros": np.zeros_like,
    "negative zeros": lambda leaf: -np.zeros_like(leaf),
    "one outlier": lambda leaf: np.where(np.arange(leaf.size).reshape(leaf.shape) == 0, np.float32(1e20), leaf),
    "no columns": lambda leaf: leaf[..., :0],
    "one column": lambda leaf: leaf[..., :1],
    "wide integers": lambda leaf: np.full(leaf.shape, 2**64 - 1, np.uint64),
    "not in order": np.asfortranarray,
    "backwards": lambda leaf: leaf[::-1],
    "read only": lambda leaf: np.broadcast_to(leaf[:1], leaf.shape),
}


def bounded(number: int) -> None:
    """Gives a layer extreme features, or no samples, or one.

    Raises:
        AssertionError: unless mixtures are within the range of the features, or refused in our words.
    """
    rng = np.random.default_rng(number)
    case = cases.case(int(rng.integers(2**31)))
    case.second = None
    size, how = len(tf.nest.flatten(case.batch.y)[0]), batches.one_of(rng, list(EXTREMES))
    keep = batches.one_of(rng, [0, 1, size, size, size])

    def extreme(leaf: Any) -> Any:
        if (
            leaf.dtype == tf.string
            or isinstance(leaf, tf.RaggedTensor)
            or not np.issubdtype(_numpy(leaf).dtype, np.floating)
        ):
            return leaf[:keep]
        return EXTREMES[how](oracle.wide(leaf).astype(np.float32))[:keep]

    case.batch.x = tf.nest.map_structure(extreme, case.batch.x)
    case.batch.y = tf.nest.map_structure(lambda leaf: leaf[:keep], case.batch.y)
    if case.batch.weight is not None:
        case.batch.weight = tf.nest.map_structure(lambda leaf: leaf[:keep], case.batch.weight)
    what = f"{keep} samples {how}, of {case}"
    try:
        result = case.call()
    except Exception as error:
        oracle.require(is_ours(error), f"{what}: {type(error).__name__}: {str(error)[:300]}")
        return
    for got, came in zip(tf.nest.flatten(result[0]), tf.nest.flatten(case.batch.x), strict=True):
        if isinstance(got, tf.Tensor) and got.dtype.is_floating and not case.kind.endswith("Blend"):
            _is_between(oracle.wide(got), oracle.wide(came), what)


def _is_between(got: np.ndarray, came: np.ndarray, what: str) -> None:
    """Whether no number is beyond those that came, but for rounding."""
    oracle.require(np.isfinite(got).all(), f"NaN or infinity of {what}")
    if got.size:
        slack = 1e-2 * (np.abs(came).max() + 1e-30)
        oracle.require(came.min() - slack <= got.min() and got.max() <= came.max() + slack, f"out of bounds: {what}")


def unfit(number: int) -> None:
    """Gives a spoilt batch to `fit`.

    Raises:
        AssertionError: unless it is refused, in our words.
    """
    rng = np.random.default_rng(number)
    x, y = rng.random((6, 3), np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 6)]
    # What Keras takes for data of other kinds, or refuses for its length, it does before any step.
    theirs = (
        "a generator",
        "a dataset",
        "a function",
        "a class",
        "a word",
        "a number",
        "a scalar",
        "a set",
        "a range",
        "a variant",
        "one row more",
        "twice the rows",
        "an input of a model",
        "text",
        "bytes",
        "nothing",
        "itself",
        "quantised numbers",
        "complex numbers",
        "sparse",
        "ragged",
        "a table that is none",
    )
    how = batches.one_of(rng, [name for name in SPOILS if name not in theirs])
    spoils_x = rng.random() < 0.5
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    mixing = kmix_tf.MixModel(model, kmix_tf.KMixupLayer(1), seed=0)
    mixing.compile("sgd", "mse", run_eagerly=True)
    try:
        mixing.fit(SPOILS[how](x) if spoils_x else x, y if spoils_x else SPOILS[how](y), verbose=0)
    except Exception as error:
        oracle.require(is_ours(error), f"{how} in fit: {type(error).__name__}: {str(error)[:300]}")
        return
    raise AssertionError(f"{how} went through fit")


def _giving(value: Any) -> Callable[..., Any]:
    return lambda *told: value


# What an option may be given: whatever it makes of it, it must be a layer that works, or words.
VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: -1,
    lambda: 0,
    lambda: 3,
    lambda: 1.5,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: 10**30,
    lambda: True,
    lambda: "",
    lambda: "x",
    lambda: b"x",
    list,
    lambda: [None],
    lambda: [1.0, "a"],
    dict,
    lambda: {"a": 1},
    lambda: {1: 1, "a": 2},
    lambda: (),
    lambda: set(),
    lambda: object(),
    lambda: dict,
    lambda: np.array([1.0, 2.0]),
    lambda: np.array(["a", None], object),
    lambda: np.float32(0.5),
    lambda: np.int64(2),
    lambda: 1j,
    lambda: tf.constant(1.0),
    lambda: tf.ragged.constant([[1], [2, 3]]),
    lambda: (each for each in "ab"),
    lambda: lambda: None,
    lambda: _giving(None),
    lambda: _giving("x"),
    lambda: _giving({}),
    lambda: _giving((None, None)),
    lambda: _giving(float("nan")),
    lambda: _giving(7),
    lambda: _giving(np.zeros((2, 2, 2))),
    lambda: _giving(np.zeros(6, np.float32)),
    lambda: _giving(tf.constant(["a"] * 6)),
    lambda: kmix_tf.BetaRatio(),
]
LAYERS = sorted(name for name in dir(kmix_tf) if name.endswith("Layer") and name != "RecursiveMixLayer")
PARTS = [
    kmix_tf.OptimalTransportPairing,
    kmix_tf.RandomPairing,
    kmix_tf.BetaRatio,
    kmix_tf.UniformRatio,
    kmix_tf.DistanceWarpedRatio,
    kmix_tf.ThresholdWeight,
    kmix_tf.ExponentialWeight,
    kmix_tf.CutMixBlend,
    kmix_tf.NearestNeighborWeight,
    kmix_tf.RemixShares,
    kmix_tf.MixSchedule,
    kmix_tf.LabelDistancePairing,
    kmix_tf.FMixBlend,
    kmix_tf.Pooled,
    kmix_tf.Projected,
    kmix_tf.RepeatedPairing,
    kmix_tf.ScaleRatio,
]


def configured(number: int) -> None:
    """Gives one option of a layer, or of a part of it, something odd, and calls the layer.

    Raises:
        AssertionError: unless it works, or is refused in our words.
    """
    rng = np.random.default_rng(number)
    cls = batches.one_of(rng, [*(getattr(kmix_tf, name) for name in LAYERS), *PARTS])
    options = [name for name in inspect.signature(cls).parameters if name != "kwargs"]
    name, made = batches.one_of(rng, options), int(rng.integers(len(VALUES)))
    what = f"{cls.__name__}({name}=VALUES[{made}])"
    needed = {"layers": [kmix_tf.MixLayer()]} if cls is kmix_tf.ChoiceLayer else {}
    try:
        layer = cls(**{**needed, name: VALUES[made]()})
    except Exception as error:
        is_missing = isinstance(error, TypeError) and "missing" in str(error)
        oracle.require(is_ours(error) or is_missing, f"{what}: {type(error).__name__}: {str(error)[:300]}")
        return
    if isinstance(layer, keras.layers.Layer):
        _works(layer, what)


def _works(layer: Any, what: str) -> None:
    """Whether a layer of whatever options mixes a batch, or says why not."""
    x, y = np.random.default_rng(0).random((6, 8, 8, 3), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2] * 2]
    try:
        result = layer(x, y, seed=1, step=1)
    except Exception as error:
        oracle.require(is_ours(error), f"a call of {what}: {type(error).__name__}: {str(error)[:300]}")
        return
    for leaf in tf.nest.flatten(result):
        oracle.require(np.isfinite(oracle.wide(leaf)).all(), f"a call of {what} gives NaN or infinity")
