"""Random batches: features, targets and weights of all kinds that a mix takes, with what the layer must be told."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

CLASSES = 4
FLOATS = ("float16", "bfloat16", "float32", "float32", "float64")
DTYPES = (*FLOATS, "uint8", "int8", "int32", "uint16", "int64", "bool")
# Shapes of images by how many axes they have: with channels, without, and of odd sizes.
IMAGES = {
    1: [(7,), (5, 3), (12, 1), (4, 2, 2)],
    2: [(5, 7), (4, 6, 3), (8, 8, 1), (3, 5, 2, 2), (6, 6)],
    3: [(3, 4, 5), (2, 4, 3, 2)],
}
TABLES = [(), (1,), (3,), (17,), (4, 5), (2, 3, 2), (2, 2, 2, 3)]


@dataclasses.dataclass
class Batch:
    """A batch and what its layer must be told: `options`. places: sizes of the axes that a blend cuts."""

    x: Any
    y: Any
    weight: Any
    options: dict[str, Any]
    places: tuple[int, ...] = ()


def one_of(rng: np.random.Generator, among: Any) -> Any:
    """One of several values, as it is: NumPy would make arrays of tuples."""
    return among[int(rng.integers(len(among)))]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Random numbers of a dtype, of a random scale, far from the origin now and then."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype not in FLOATS:
        return rng.integers(0, 128, shape).astype(dtype)
    scale, offset = one_of(rng, [1.0, 1.0, 1e-3, 100.0]), one_of(rng, [0.0, 0.0, 10.0])
    values = rng.normal(size=shape) * scale + offset
    return tf.cast(values, dtype) if dtype == "bfloat16" else values.astype(dtype)


def batch(rng: np.random.Generator, size: int, axes: int, told: dict[str, Any]) -> Batch:
    """A random batch for a layer that cuts so many axes, 0 for none.

    Args:
        told: what is asked of the batch: "of_classes" that targets say one class of each sample, "packed", "host"
            that there may be strings and ragged tensors, "plain" that there is one image and nothing else.
    """
    shape = one_of(rng, IMAGES[axes] if axes else TABLES)
    x, options = _features(rng, size, shape, axes, told)
    places = shape[:axes]
    kind = _kind(rng, places, told)
    y, classes = TARGETS[kind](rng, size, places)
    if classes and not (told.get("packed") and kind == "classes" and rng.random() < 0.5):
        options["num_classes"] = classes
    weight = _weight(rng, size, y) if rng.random() < 0.35 and not told.get("weightless") else None
    if kind in OF_CLASSES and rng.random() < 0.25 and not told.get("weightless"):
        options["class_weight"] = [1.0, 0.0, 2.5, 0.3] if rng.random() < 0.5 else {0: 3.0, 2: 0.5}
    return Batch(x, y, weight, options, places)


def _features(
    rng: np.random.Generator, size: int, shape: tuple[int, ...], axes: int, told: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Features in some structure, and the options that go with it."""
    image = numbers(rng, (size, *shape), one_of(rng, DTYPES))
    form = "one" if told.get("plain") else one_of(rng, ["one", "one", "one", "dict", "tuple", "nest", "kept", "mask"])
    other = numbers(rng, (size, *one_of(rng, TABLES[: 4 if axes else None])), one_of(rng, DTYPES))
    if form == "dict":
        return {"image": image, "other": other}, {"match_on": "other"} if rng.random() < 0.4 else {}
    if form == "tuple":
        return (image, other), {}
    if form == "nest":
        return {"a": [image, {"deep": other}], "b": (numbers(rng, (size, 2), "float32"),)}, {}
    if form == "kept":
        return {"image": image, "ids": _riding(rng, size, told)}, {"passthrough": "ids"}
    if form == "mask" and shape:
        there = rng.random((size, shape[0])) < 0.7
        return {"image": image, "there": there}, {"masks": "there"}
    return image, {}


def _riding(rng: np.random.Generator, size: int, told: dict[str, Any]) -> Any:
    ids = rng.integers(0, 9, size)
    kind = one_of(rng, ["integers", "strings", "ragged"]) if told.get("host") else "integers"
    if kind == "strings":
        return ids.astype(str)
    return tf.RaggedTensor.from_row_lengths(np.arange(ids.sum()), ids) if kind == "ragged" else ids


def _labels(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(0, CLASSES, shape).astype(one_of(rng, ["int32", "int64", "uint8", "int8", "int16", "uint32"]))


def _one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(CLASSES, dtype=one_of(rng, ["float32", "float64"]))[rng.integers(0, CLASSES, shape)]


def _soft(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.dirichlet(np.ones(CLASSES), shape).astype("float32")


def _nest(rng: np.random.Generator, size: int, places: tuple[int, ...]) -> tuple[Any, Any]:
    y = {"kind": _labels(rng, (size,)), "number": rng.normal(size=(size, 2)).astype("float32")}
    return y, {"kind": CLASSES, "number": None}


# Makes targets of a kind, and the number of classes that the layer must be told.
TARGETS: dict[str, Any] = {
    "classes": lambda rng, size, places: (_labels(rng, (size,)), CLASSES),
    "column": lambda rng, size, places: (_labels(rng, (size, 1)), CLASSES),
    "one-hot": lambda rng, size, places: (_one_hot(rng, (size,)), None),
    "soft": lambda rng, size, places: (_soft(rng, (size,)), one_of(rng, [None, CLASSES])),
    "several at once": lambda rng, size, places: ((rng.random((size, 5)) < 0.4).astype("float32"), None),
    "regression": lambda rng, size, places: (rng.normal(size=size).astype(one_of(rng, ["float32", "float64"])), None),
    "vectors": lambda rng, size, places: (rng.normal(size=(size, 3)).astype(one_of(rng, FLOATS[::2])), None),
    "steps": lambda rng, size, places: (_soft(rng, (size, 9)), None),
    "nest": _nest,
    "map": lambda rng, size, places: (_labels(rng, (size, *places)), CLASSES),
    "soft map": lambda rng, size, places: (_one_hot(rng, (size, *places)), None),
}
OF_CLASSES = ("classes", "column", "one-hot", "soft")


def _kind(rng: np.random.Generator, places: tuple[int, ...], told: dict[str, Any]) -> str:
    """A kind of targets: of a class each where that is asked for; maps only of what has places."""
    kinds = OF_CLASSES if told.get("of_classes") else list(TARGETS)[: None if len(places) > 1 else -2]
    if told.get("packed"):
        kinds = [kind for kind in kinds if kind not in ("nest", "map", "soft map", "steps")]
    return one_of(rng, kinds)


def _weight(rng: np.random.Generator, size: int, y: Any) -> Any:
    """Weights of samples, some of them 0; of places now and then, where targets have an axis more than these."""
    if isinstance(y, dict):
        return one_of(rng, [lambda: _weights(rng, (size,)), lambda: {key: _weights(rng, (size,)) for key in y}])()
    is_of_places = y.ndim > 2 and y.dtype.kind == "f" and rng.random() < 0.5
    return _weights(rng, y.shape[:-1] if is_of_places else (size,))


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = rng.random(shape) * (rng.random(shape) < 0.9)
    return values.astype(one_of(rng, ["float32", "float64"]))
