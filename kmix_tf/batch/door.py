"""What a user hands to a layer, looked at before Keras and TensorFlow refuse it in words of their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import IS_KERAS_3
from kmix_tf._paths import leaf_name
from kmix_tf.batch.leaf import PARTS

# Structures of batches are a few levels deep; one that holds itself has no end.
_DEEPEST = 50
# Kinds of NumPy's dtypes that TensorFlow has as well, of up to so many bytes: booleans, integers, floats, complex.
_KINDS = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16}

_RULE = "must be tensors or arrays (batch, ...), or dicts, lists and tuples of them"


def require_arrays(*parts: Any, symbolic: bool = False) -> None:
    """Refuses features, targets and sample weights that hold anything but tensors and arrays, or None.

    Args:
        symbolic: whether they may be tensors of a functional model that is being made, all of them.

    Raises:
        TypeError: for lists of Python's own numbers, for arrays of objects, dates or records, for datasets,
            generators and whatever else is no array, and for dictionaries whose keys have no order.
        ValueError: for a single number, for arrays of which values are masked, for structures without end, and for
            a part of a functional model beside arrays.
    """
    found: list[bool] = []
    for name, part in zip(PARTS, parts, strict=False):
        _look_at(name, (), part, found)
    if any(found) and not (symbolic and all(found)):
        raise _checks.problem(
            "features and targets must be arrays. Received: inputs of a model that is being made"
            f"{' beside arrays' if symbolic else ''}. Mix the data, by dataset.map(layer), or train MixModel(model, "
            "layer)."
        )


def require_arrays_to_fit(arguments: Mapping[str, Any]) -> None:
    """`require_arrays`, of what was given to `fit`, where features are arrays; datasets and the like say more later.

    Keras 2 takes lists of Python's numbers for arrays.
    """
    x = arguments.get("x")
    if not (isinstance(x, (Mapping, list, tuple)) or hasattr(x, "__array__")) or (not IS_KERAS_3 and _is_column(x)):
        return
    require_arrays(x, arguments.get("y"), arguments.get("sample_weight"))


def _is_column(x: Any) -> bool:
    """Whether it is a list of Python's numbers, or of such lists."""
    return isinstance(x, (bool, int, float, str)) or (
        isinstance(x, (list, tuple)) and len(x) > 0 and _is_column(x[0])
    )


def _look_at(name: str, path: tuple, part: Any, found: list[bool]) -> None:
    """Looks at all leaves of a part; `found` has of each whether it is symbolic."""
    if part is None:
        return
    is_known = is_symbolic(part)
    if is_known or tf.is_tensor(part):
        found.append(is_known)
        if not is_known and (part.dtype in (tf.variant, tf.resource) or part.dtype.is_quantized):
            _refuse_kind(name, leaf_name(name, path), part)
        return
    if len(path) > _DEEPEST:
        raise _checks.problem(f"{name} {_RULE}. Received: a structure more than {_DEEPEST} levels deep.")
    if isinstance(part, Mapping):
        _require_order(leaf_name(name, path), part)
        for key, each in part.items():
            _look_at(name, (*path, key), each, found)
    elif isinstance(part, (list, tuple)):
        for at, each in enumerate(part):
            _look_at(name, (*path, at), each, found)
    else:
        found.append(False)
        _require_array(name, path, part)


def require_order(name: str, structure: Any) -> None:
    """Refuses a structure in which a dictionary has keys without an order.

    Raises:
        TypeError: naming its keys.
    """
    if isinstance(structure, Mapping):
        _require_order(name, structure)
    if isinstance(structure, (Mapping, list, tuple)):
        for each in structure.values() if isinstance(structure, Mapping) else structure:
            require_order(name, each)


def _require_order(name: str, part: Mapping) -> None:
    try:
        sorted(part)
    except TypeError:
        raise _checks.problem(
            f"keys of a dictionary must be of one kind, to be sorted. Received: {name} with keys {list(part)}. "
            "Make all of them strings.",
            TypeError,
        ) from None


def _require_array(name: str, path: tuple, leaf: Any) -> None:
    shown = leaf_name(name, path)
    if isinstance(leaf, (bool, int, float, complex, str, bytes)):
        _refuse_scalar(name, shown, path, leaf)
    if not hasattr(leaf, "__array__"):
        _refuse_kind(name, shown, leaf)
    dtype = getattr(leaf, "dtype", None)
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        raise _checks.problem(
            f"{shown} must have no masked values: they would be averaged like any other. Received: a masked array. "
            "Fill them in with .filled(value), or drop their rows."
        )
    if isinstance(dtype, np.dtype) and dtype.itemsize <= _KINDS.get(dtype.kind, 0):
        return
    _require_readable(shown, leaf)


def _require_readable(shown: str, leaf: Any) -> None:
    """Refuses an array that TensorFlow cannot read: of objects, unless all are strings; of dates; of records."""
    try:
        tf.convert_to_tensor(leaf)
    except Exception as error:  # What other libraries raise is theirs to choose.
        raise _checks.problem(
            f"{shown} must be an array of numbers that TensorFlow can read. Received: {shown} {_kind(leaf)}. Make "
            f"numbers of it first, such as np.asarray({shown}, np.float32); of dates, days since one; of records "
            "and frames, one array for each column.",
            TypeError,
        ) from error


def _refuse_scalar(name: str, shown: str, path: tuple, leaf: Any) -> None:
    if path and isinstance(path[-1], int):
        raise _checks.problem(
            f"{name} {_RULE}. Received: {shown}, a Python {type(leaf).__name__}, in a list. Lists stand for several "
            f"inputs: make an array of this one, by np.asarray({name}).",
            TypeError,
        )
    raise _checks.problem(
        f"{shown} must have a batch axis. Received: {shown}={leaf!r}, a single {type(leaf).__name__}. "
        "Mixing takes batches, arrays (batch, ...)."
    )


def _refuse_kind(name: str, shown: str, leaf: Any) -> None:
    remedy = " Map the layer over it: dataset.map(layer)." if isinstance(leaf, tf.data.Dataset) else ""
    remedy = remedy or " Make an array of what it holds."
    raise _checks.problem(f"{name} {_RULE}. Received: {shown} {_kind(leaf)}.{remedy}", TypeError)


def _kind(leaf: Any) -> str:
    dtype = getattr(leaf, "dtype", None)
    return f"of type {type(leaf).__name__}" + ("" if dtype is None else f" and dtype {getattr(dtype, 'name', dtype)}")


def is_symbolic(leaf: Any) -> bool:
    """Whether it is a tensor of a functional model that is being made."""
    return type(leaf).__name__ == "KerasTensor"
