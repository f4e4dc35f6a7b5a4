"""Nested structures of tensors, their leaves and the leaves' names in messages."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks


def leaf_paths(structure: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Leaves in the order of `tf.nest.flatten`, each with the keys and positions that lead to it."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from leaf_paths(structure[key], (*path, key))
    elif isinstance(structure, (list, tuple)):
        for index, part in enumerate(structure):
            yield from leaf_paths(part, (*path, index))
    else:
        yield path, structure


def leaf_name(name: str, path: tuple) -> str:
    """A leaf's name in messages, such as `features['left'][0]`."""
    return name + "".join(f"[{key!r}]" for key in path)


def named_leaves(name: str, structure: Any) -> Iterator[tuple[str, Any]]:
    """Leaves in the order of `tf.nest.flatten`, each with its name."""
    for path, leaf in leaf_paths(structure):
        yield leaf_name(name, path), leaf


def same_structure(first: Any, second: Any) -> bool:
    """Whether leaves have the same names; lists and tuples count alike, since JSON makes lists of tuples."""
    names = [[name for name, _ in named_leaves("", structure)] for structure in (first, second)]
    return names[0] == names[1]


def as_tensor(owner: str, name: str, leaf: Any, any_kind: bool = False) -> Any:
    """Converts a leaf, and refuses what cannot be mixed; `any_kind` of tensor may ride along.

    Raises:
        TypeError: for ragged, sparse, string and other non-numeric tensors.
        ValueError: for a scalar, which has no batch axis.
    """
    if any_kind and isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
        return leaf
    for kind, remedy in ((tf.RaggedTensor, "to_tensor()"), (tf.SparseTensor, "tf.sparse.to_dense()")):
        if isinstance(leaf, kind):
            raise TypeError(
                f"{owner}: {name} must be a dense tensor. Received: a {kind.__name__}. "
                f"Pad or densify it first with {remedy}."
            )
    if leaf is None:
        raise TypeError(f"{owner}: {name} must be a tensor. Received: None.")
    leaf = tf.convert_to_tensor(leaf)
    if not (any_kind or leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool):
        raise TypeError(
            f"{owner}: {name} must be numeric to be mixed. Received: {name} of dtype {leaf.dtype.name}. "
            "Encode it as numbers first; or, if it only rides along, name it in passthrough=."
        )
    if leaf.shape.rank == 0:
        raise ValueError(
            f"{owner}: {name} must have a batch axis. Received: {name} of shape (), a single sample. "
            "Mixing takes batches: call dataset.batch(...) before mixing."
        )
    return leaf


def require_equal_length(owner: str, leaves: list[tuple[str, tf.Tensor]]) -> list[tf.Operation]:
    """Checks that all dense leaves are equally long: now where that is known, otherwise when the graph runs."""
    (first_name, first), *others = [(name, leaf) for name, leaf in leaves if isinstance(leaf, tf.Tensor)]
    checks = []
    for name, leaf in others:
        message = (
            f"{owner}: all parts of a batch must be equally long, and batched: call dataset.batch(...) before "
            f"mixing. Received: {first_name} of shape {first.shape} and {name} of shape {leaf.shape}."
        )
        static = first.shape[:1].concatenate(leaf.shape[:1])
        if first.shape.rank is None or leaf.shape.rank is None or not static.is_fully_defined():
            checks += require(tf.equal(tf.shape(first)[0], tf.shape(leaf)[0]), message)
        elif static[0] != static[1]:
            raise ValueError(message)
    return checks


def require_finite(owner: str, name: str, leaf: tf.Tensor) -> list[tf.Operation]:
    """Stops the batch in which a float leaf holds NaN or infinity.

    A sum is several times faster than a test of each element, and finite only if they all are; where it is not,
    for it may have overflowed, the elements decide. XLA drops the check, as it drops all assertions.
    """
    if not leaf.dtype.is_floating:
        return []
    is_finite = tf.cond(
        tf.math.is_finite(tf.reduce_sum(at_least_float32(leaf))),
        lambda: tf.constant(True),
        lambda: tf.reduce_all(tf.math.is_finite(leaf)),
    )
    message = f"{owner}: {name} must be finite. Received: {name} with NaN or infinite values."
    return require(is_finite, f"{message} Replace or drop them before mixing.")


def require(condition: tf.Tensor, message: str) -> list[tf.Operation]:
    """Raises InvalidArgumentError unless `condition`, a bool scalar: at once, or when the graph runs.

    Returns what is to run before anything that would fail in its own words: see `after`.
    """
    if not tf.executing_eagerly():
        return [tf.debugging.Assert(condition, [message])]
    if not condition:
        raise tf.errors.InvalidArgumentError(None, None, message)
    return []


def after(checks: list[tf.Operation], leaves: list[tf.Tensor]) -> list[tf.Tensor]:
    """The leaves, available only once the checks have passed."""
    with tf.control_dependencies(checks):
        return [tf.identity(leaf) for leaf in leaves] if checks else leaves


def at_least_float32(leaf: tf.Tensor) -> tf.Tensor:
    """float64 stays; every other dtype becomes float32."""
    return leaf if leaf.dtype == tf.float64 else tf.cast(leaf, tf.float32)


def image_of(owner: str, features: Sequence[tf.Tensor], axes: int) -> tf.Tensor:
    """The image among the features: the first leaf with so many axes after the batch's, 1 to 3.

    Raises:
        ValueError: if there is none.
    """
    (images,) = those(have_axes(features, axes), features)
    if not images and any(leaf.shape.rank is None for leaf in features):
        shapes = [str(leaf.shape) for leaf in features]
        _checks.complain(
            owner, f"features must have a known number of axes: see tf.ensure_shape. Received: shapes {shapes}."
        )
    if not images:
        _checks.complain(
            owner,
            f"features must have {axes} axes after the batch's, as images have; axes=1 is for signals, and tables "
            f"are for KMixupLayer. Received: features of shapes {[str(leaf.shape) for leaf in features]}.",
        )
    return images[0]


def warn_of_channels_first(owner: str, features: Sequence[tf.Tensor]) -> None:
    """An axis of 1 or 3, and then two long ones: no height, most likely."""
    for shape in (leaf.shape for leaf in features):
        if shape.rank == 4 and shape[1] in (1, 3) and min(shape[2] or 0, shape[3] or 0) > 4:
            warnings.warn(
                f"{owner}: features of shape {shape} look like images with channels first. Axes 1 and 2 are taken "
                "for height and width: transpose images to (batch, height, width, channels).",
                stacklevel=2,
            )


def have_axes(features: Sequence[tf.Tensor], axes: int) -> list[bool]:
    """Which leaves have so many axes after the batch's."""
    return [leaf.shape.rank is not None and leaf.shape.rank > axes for leaf in features]


def those(chosen: Sequence[bool], *sides: Sequence[tf.Tensor]) -> list[list[tf.Tensor]]:
    """The chosen leaves of each list."""
    return [[leaf for leaf, use in zip(side, chosen, strict=True) if use] for side in sides]
