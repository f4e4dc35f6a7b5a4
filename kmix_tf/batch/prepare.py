"""From what a dataset hands over to a batch that can be mixed."""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.batch.leaves import (
    after,
    as_tensor,
    at_least_float32,
    named_leaves,
    require_equal_length,
    require_finite,
    same_structure,
)
from kmix_tf.batch.targets import soft_targets


class Batch(NamedTuple):
    """Flat lists of leaves `(batch, ...)`, checked. `structure` is `(x, y, sample_weight)` as it came in."""

    x: list[tf.Tensor]
    y: list[tf.Tensor]
    sample_weight: list[tf.Tensor]
    structure: tuple[Any, Any, Any]

    def unflatten(self) -> tuple[Any, Any, Any]:
        """The three parts in the structure in which they came; parts that were None stay None."""
        parts = zip(self.structure, self[:3], strict=True)
        return tuple(None if shape is None else tf.nest.pack_sequence_as(shape, part) for shape, part in parts)


def prepare(owner: str, x: Any, y: Any, sample_weight: Any, num_classes: Any) -> Batch:
    """Checks a batch and makes its targets and weights float. Features keep their dtype until they are mixed.

    Raises:
        TypeError: for ragged, sparse or non-numeric leaves.
        ValueError: for a missing batch axis, unequal lengths, or labels that contradict `num_classes`.
        InvalidArgumentError: on the batch, for NaN, infinite or out-of-range values, and for unequal lengths
            that the static shapes do not show.
    """
    features = _tensors(owner, "features", x)
    targets = _tensors(owner, "targets", y)
    weights = _tensors(owner, "sample_weight", sample_weight)
    if not features:
        raise ValueError(f"{owner}: features must hold at least one tensor. Received: x={x!r}.")
    checks = require_equal_length(owner, [*features, *targets, *weights])
    targets = soft_targets(owner, y, targets, num_classes)
    weights = [(name, at_least_float32(leaf)) for name, leaf in weights]
    for name, leaf in (*features, *targets, *weights):
        checks += require_finite(owner, name, leaf)
    parts = (after(checks, [leaf for _, leaf in part]) for part in (features, targets, weights))
    return Batch(*parts, structure=(x, y, sample_weight))


def _tensors(owner: str, name: str, part: Any) -> list[tuple[str, tf.Tensor]]:
    if part is None:
        return []
    return [(leaf_name, as_tensor(owner, leaf_name, leaf)) for leaf_name, leaf in named_leaves(name, part)]


def require_alike(owner: str, first: Batch, second: Batch) -> Batch:
    """Checks that two batches have the same structure, dtypes and shapes, so that they can be mixed.

    Returns:
        The second batch, available only once the check has passed.

    Raises:
        ValueError: if they do not.
        InvalidArgumentError: on the batch, if their lengths differ and the static shapes did not show it.
    """
    leaves = [(*batch.x, *batch.y, *batch.sample_weight) for batch in (first, second)]
    is_alike = len(leaves[0]) == len(leaves[1]) and same_structure(first.structure, second.structure)
    if not is_alike or not all(map(_same_kind, *leaves)):
        specs = [[f"{leaf.dtype.name}{leaf.shape}" for leaf in side] for side in leaves]
        raise ValueError(
            f"{owner}: between(first, second) needs two batches with equal structure, dtypes and lengths. "
            f"Received: {specs[0]} and {specs[1]}."
        )
    checks = require_equal_length(owner, [("first batch", first.x[0]), ("second batch", second.x[0])])
    parts = (after(checks, part) for part in (second.x, second.y, second.sample_weight))
    return Batch(*parts, structure=second.structure)


def _same_kind(first: tf.Tensor, second: tf.Tensor) -> bool:
    return first.dtype == second.dtype and first.shape.is_compatible_with(second.shape)
