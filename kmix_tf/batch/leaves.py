"""Nested structures of tensors, their leaves and the leaves' names in messages."""

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf


def named_leaves(name: str, structure: Any) -> Iterator[tuple[str, Any]]:
    """Leaves in the order of `tf.nest.flatten`, each with a name such as `features['left'][0]`."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from named_leaves(f"{name}[{key!r}]", structure[key])
    elif isinstance(structure, (list, tuple)):
        for index, part in enumerate(structure):
            yield from named_leaves(f"{name}[{index}]", part)
    else:
        yield name, structure


def same_structure(first: Any, second: Any) -> bool:
    """Whether leaves have the same names; lists and tuples count alike, since JSON makes lists of tuples."""
    names = [[name for name, _ in named_leaves("", structure)] for structure in (first, second)]
    return names[0] == names[1]


def as_tensor(owner: str, name: str, leaf: Any) -> tf.Tensor:
    """Converts a leaf, and refuses what cannot be mixed.

    Raises:
        TypeError: for ragged, sparse, string and other non-numeric tensors.
        ValueError: for a scalar, which has no batch axis.
    """
    for kind, remedy in ((tf.RaggedTensor, "to_tensor()"), (tf.SparseTensor, "tf.sparse.to_dense()")):
        if isinstance(leaf, kind):
            raise TypeError(
                f"{owner}: {name} must be a dense tensor. Received: a {kind.__name__}. "
                f"Pad or densify it first with {remedy}."
            )
    if leaf is None:
        raise TypeError(f"{owner}: {name} must be a tensor. Received: None.")
    leaf = tf.convert_to_tensor(leaf)
    if not (leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool):
        raise TypeError(
            f"{owner}: {name} must be numeric to be mixed. Received: {name} of dtype {leaf.dtype.name}. "
            "Encode it as numbers first, or leave it out of the batch."
        )
    if leaf.shape.rank == 0:
        raise ValueError(
            f"{owner}: {name} must have a batch axis. Received: {name} of shape (), a single sample. "
            "Mixing takes batches: call dataset.batch(...) before mixing."
        )
    return leaf


def require_equal_length(owner: str, leaves: list[tuple[str, tf.Tensor]]) -> list[tf.Operation]:
    """Checks that all leaves have as many rows as the first one: now where known, otherwise when the graph runs."""
    first_name, first = leaves[0]
    checks = []
    for name, leaf in leaves[1:]:
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
    return require(is_finite, f"{owner}: {name} must be finite. Received: {name} with NaN or infinite values.")


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
