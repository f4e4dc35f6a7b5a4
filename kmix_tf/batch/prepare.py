"""From what a dataset hands over to a batch that can be mixed."""

from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.batch.leaves import (
    as_tensor,
    at_least_float32,
    named_leaves,
    require_equal_length,
    require_finite,
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
    require_equal_length(owner, [*features, *targets, *weights])
    targets = soft_targets(owner, y, targets, num_classes)
    weights = [(name, at_least_float32(leaf)) for name, leaf in weights]
    for name, leaf in (*features, *targets, *weights):
        require_finite(owner, name, leaf)
    parts = ([leaf for _, leaf in part] for part in (features, targets, weights))
    return Batch(*parts, structure=(x, y, sample_weight))


def _tensors(owner: str, name: str, part: Any) -> list[tuple[str, tf.Tensor]]:
    if part is None:
        return []
    return [(leaf_name, as_tensor(owner, leaf_name, leaf)) for leaf_name, leaf in named_leaves(name, part)]


def require_alike(owner: str, first: Batch, second: Batch) -> None:
    """Checks that two batches have the same structure, dtypes and shapes, so that they can be mixed.

    Raises:
        ValueError: if they do not.
        InvalidArgumentError: on the batch, if their lengths differ and the static shapes did not show it.
    """
    specs = [[(leaf.dtype.name, leaf.shape) for leaf in (*b.x, *b.y, *b.sample_weight)] for b in (first, second)]
    alike = len(specs[0]) == len(specs[1]) and all(
        ours[0] == theirs[0] and ours[1].is_compatible_with(theirs[1]) for ours, theirs in zip(*specs, strict=True)
    )
    if not alike:
        raise ValueError(
            f"{owner}: between(first, second) needs two batches with equal structure, dtypes and lengths. "
            f"Received: {specs[0]} and {specs[1]}."
        )
    require_equal_length(owner, [("first batch", first.x[0]), ("second batch", second.x[0])])
