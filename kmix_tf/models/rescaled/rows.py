"""Batches of a dataset that is measured or scored, checked: features, targets in the outputs' form, and weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._paths import is_selected, leaf_name, leaf_paths, same_structure
from kmix_tf.batch.geometry import require_no_geometry
from kmix_tf.models.rescaled.outputs import targets_like_outputs


def batches(task: str, data: Any, untouched: tuple[str, ...] = ()) -> tf.data.Dataset:
    """The dataset, if it is a finite one of batches that can be measured.

    Raises:
        TypeError: for features or targets that are ragged, sparse or no numbers.
        ValueError: for other elements, unbatched ones, or a dataset that repeats for ever.
    """
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise _checks.problem(
            f"{task} needs a dataset of batches (x, y) or (x, y, sample_weight), or x and y. "
            f"Received: {type(data).__name__} with elements {spec}."
        )
    if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise _checks.problem(
            f"{task} needs a finite dataset. Received: one that repeats for ever. Leave out repeat(), or take(n)."
        )
    for name, part in zip(("features", "targets", "sample_weight"), spec, strict=False):
        for path, leaf in leaf_paths(part):
            is_kept = is_selected(untouched, path)
            _require_dense(leaf_name(name, path), leaf, name == "features" and is_kept)
            if not is_kept and name != "sample_weight":
                require_no_geometry(path, leaf)
    return data


def like_outputs(number: int, y: Any, answer: Any, kinds: list[str], size: int) -> Iterator[np.ndarray]:
    """Each leaf of the targets in the form of the model's output that it is for.

    Raises:
        ValueError: if structures or shapes differ, or targets are not finite.
    """
    if not same_structure(y, answer):
        names = [[leaf_name("", path) for path, _ in leaf_paths(part)] for part in (y, answer)]
        raise _checks.problem(
            f"targets must be structured as the model's outputs. Received: "
            f"{_described('targets', names[0])} for {_described('outputs', names[1])}."
        )
    for (path, target), output, kind in zip(leaf_paths(y), tf.nest.flatten(answer), kinds, strict=True):
        name = leaf_name("targets", path)
        target = np.asarray(target)
        require_finite(number, name, target)
        if len(target) != size:
            raise _checks.problem(
                f"features and targets of a batch must be equally long. Received: {size} and {len(target)}."
            )
        yield targets_like_outputs(target, tuple(output.shape[1:]), kind, name)


def _described(name: str, leaves: list[str]) -> str:
    return f"one of the {name}" if leaves == [""] else f"{name} {', '.join(leaves)}"


def _require_dense(name: str, spec: Any, any_dtype: bool) -> None:
    is_dense = isinstance(spec, tf.TensorSpec)
    if not is_dense or not (any_dtype or spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype.is_bool):
        kind = spec.dtype.name if is_dense else type(spec).__name__
        raise _checks.problem(
            f"{name} must be a dense tensor of numbers. Received: {kind}. "
            "If it only rides along, name it in passthrough=.",
            TypeError,
        )
    if spec.shape.rank == 0:
        raise _checks.problem(
            f"{name} must have a batch axis. Received: {name} of shape (), a single sample. "
            "Call dataset.batch(...) first."
        )


def require_finite(number: int, name: str, values: np.ndarray) -> None:
    """Refuses NaN and infinity. number: of the batch. name: of the leaf."""
    is_exact = np.issubdtype(values.dtype, np.integer) or values.dtype == bool
    if not is_exact and not np.isfinite(values.astype(np.float64)).all():
        raise _checks.problem(
            f"data must have finite features and targets. Received: {name} with NaN or infinity in batch {number}."
        )


def sample_count(x: Any) -> int:
    """How many samples a batch of features has.

    Raises:
        ValueError: if features are not equally many.
    """
    sizes = {int(leaf.shape[0]) for leaf in tf.nest.flatten(x)}
    if len(sizes) != 1:
        raise _checks.problem(f"all features of a batch must be equally long. Received: lengths {sorted(sizes)}.")
    return sizes.pop()


def require_weights(number: int, size: int, weights: list[Any], answer: Any) -> np.ndarray:
    """The weights of samples, float64 `(batch,)`, or of the places of an output, `(batch, *places)`; ones by default.

    Args:
        number: of the batch. size: how many samples it has. weights: none, or one. answer: the model's.

    Raises:
        ValueError: for weights of another shape, negative or not finite.
    """
    if not weights:
        return np.ones(size)
    if tf.nest.is_nested(weights[0]):
        raise _checks.problem(
            f"sample_weight must be one tensor (batch,), for the features have one mean. Received: a "
            f"{type(weights[0]).__name__}. Map the dataset to the weights that samples should count with."
        )
    weight = np.asarray(weights[0], dtype=np.float64)
    found = _at_places(weight, size, answer)
    if found is None:
        raise _checks.problem(
            f"sample_weight must have the shape ({size},), or that of the places of an output. "
            f"Received: shape {weight.shape}."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise _checks.problem(
            f"sample_weight must be >= 0 and finite. Received: other weights, or NaN, in batch {number}."
        )
    return found


def _at_places(weight: np.ndarray, size: int, answer: Any) -> np.ndarray | None:
    """Weights without last axes of 1: `(batch,)`, or `(batch, *places)` of an output `(batch, *places, units)`."""
    places = [tuple(leaf.shape[:-1]) for leaf in tf.nest.flatten(answer)]
    shapes = [(size,), *(shape for shape in places if len(shape) > 1)]
    for shape in shapes:
        rest = weight.shape[len(shape) :]
        if weight.shape[: len(shape)] == shape and all(each == 1 for each in rest):
            return weight.reshape(shape)
    return None
