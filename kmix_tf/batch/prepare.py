"""From what a dataset hands over to a batch that can be mixed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf.batch.leaves import (
    after,
    as_tensor,
    at_least_float32,
    leaf_name,
    leaf_paths,
    require_equal_length,
    require_finite,
    same_structure,
)
from kmix_tf.batch.selection import is_selected, require_no_boxes, require_used
from kmix_tf.batch.targets import soft_targets

MIXED, MASK, KEPT = "mixed", "mask", "kept"


class Rules(NamedTuple):
    """How the leaves of a batch are to be treated.

    num_classes: an integer, None, or a structure like the targets'. passthrough: names of leaves that ride along.
    masks: names of features that say which elements are there. sparse: whether integer targets stay integers.
    """

    num_classes: Any = None
    passthrough: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    sparse: bool = False


class Batch(NamedTuple):
    """Flat lists of leaves `(batch, ...)`, checked.

    x, y, sample_weight: the leaves that are mixed. masks: boolean features, joined with the partner's. kept: leaves
    that ride along, first those of the features, then those of the targets. structure: `(x, y, sample_weight)` as it
    came in. roles: what became of each leaf of x and of y.
    """

    x: list[tf.Tensor]
    y: list[tf.Tensor]
    sample_weight: list[tf.Tensor]
    masks: list[tf.Tensor]
    kept: list[Any]
    structure: tuple[Any, Any, Any]
    roles: tuple[list[str], list[str]]

    def unflatten(self) -> tuple[Any, Any, Any]:
        """The three parts in the structure in which they came; parts that were None stay None."""
        masks, kept = iter(self.masks), iter(self.kept)
        flat = [
            _in_order(roles, {MIXED: iter(leaves), MASK: masks, KEPT: kept})
            for roles, leaves in zip(self.roles, (self.x, self.y), strict=True)
        ]
        parts = zip(self.structure, [*flat, self.sample_weight], strict=True)
        return tuple(None if shape is None else tf.nest.pack_sequence_as(shape, part) for shape, part in parts)


def _in_order(roles: list[str], leaves: dict[str, Iterator[Any]]) -> list[Any]:
    return [next(leaves[role]) for role in roles]


def prepare(owner: str, x: Any, y: Any, sample_weight: Any, rules: Rules) -> Batch:
    """Checks a batch and makes its targets and weights float. Features keep their dtype until they are mixed.

    Raises:
        TypeError: for ragged, sparse or non-numeric leaves that do not ride along.
        ValueError: for a missing batch axis, unequal lengths, labels that contradict `num_classes`, names that mean
            no leaf, or bounding boxes.
        InvalidArgumentError: on the batch, for NaN, infinite or out-of-range values, and for unequal lengths
            that the static shapes do not show.
    """
    _require_names(owner, x, y, rules)
    x_roles, y_roles = _roles(x, rules.passthrough, rules.masks), _roles(y, rules.passthrough, ())
    features = _tensors(owner, "features", x, x_roles)
    targets = _tensors(owner, "targets", y, y_roles)
    weights = _tensors(owner, "sample_weight", sample_weight, _roles(sample_weight, (), ()))
    if MIXED not in x_roles:
        raise ValueError(f"{owner}: features must hold at least one tensor to be mixed. Received: x={x!r}.")
    checks = require_equal_length(owner, [*features, *targets, *weights])
    mixed, labels = _of(MIXED, features, x_roles), _of(MIXED, targets, y_roles)
    labels = soft_targets(owner, y, labels, rules.num_classes, [role == MIXED for role in y_roles], rules.sparse)
    weights = [(name, at_least_float32(leaf)) for name, leaf in weights]
    for name, leaf in (*mixed, *labels, *weights):
        checks += require_finite(owner, name, leaf)
    parts = (after(checks, [leaf for _, leaf in part]) for part in (mixed, labels, weights))
    masks = [_as_mask(owner, name, leaf) for name, leaf in _of(MASK, features, x_roles)]
    kept = [leaf for _, leaf in (*_of(KEPT, features, x_roles), *_of(KEPT, targets, y_roles))]
    return Batch(*parts, masks, kept, structure=(x, y, sample_weight), roles=(x_roles, y_roles))


def _require_names(owner: str, x: Any, y: Any, rules: Rules) -> None:
    require_used(owner, "passthrough", rules.passthrough, x, y)
    require_used(owner, "masks", rules.masks, x)
    for part in (x, y):
        if part is not None:
            require_no_boxes(owner, part, rules.passthrough)


def _roles(part: Any, passthrough: tuple[str, ...], masks: tuple[str, ...]) -> list[str]:
    def role(path: tuple) -> str:
        if is_selected(passthrough, path):
            return KEPT
        return MASK if is_selected(masks, path) else MIXED

    return [] if part is None else [role(path) for path, _ in leaf_paths(part)]


def _tensors(owner: str, name: str, part: Any, roles: list[str]) -> list[tuple[str, Any]]:
    if part is None:
        return []
    leaves = zip(leaf_paths(part), roles, strict=True)
    return [
        (leaf_name(name, path), as_tensor(owner, leaf_name(name, path), leaf, any_kind=role == KEPT))
        for (path, leaf), role in leaves
    ]


def _of(kind: str, leaves: list[tuple[str, Any]], roles: list[str]) -> list[tuple[str, Any]]:
    return [leaf for leaf, role in zip(leaves, roles, strict=True) if role == kind]


def _as_mask(owner: str, name: str, leaf: tf.Tensor) -> tf.Tensor:
    if leaf.dtype != tf.bool:
        raise TypeError(
            f"{owner}: masks must be boolean, True where an element is there. Received: {name} of dtype "
            f"{leaf.dtype.name}. Cast it with tf.cast({name}, tf.bool)."
        )
    return leaf


def require_alike(owner: str, first: Batch, second: Batch) -> Batch:
    """Checks that two batches have the same structure, dtypes and shapes, so that they can be mixed.

    Returns:
        The second batch, available only once the check has passed.

    Raises:
        ValueError: if they do not.
        InvalidArgumentError: on the batch, if their lengths differ and the static shapes did not show it.
    """
    leaves = [(*batch.x, *batch.y, *batch.sample_weight, *batch.masks) for batch in (first, second)]
    is_alike = len(leaves[0]) == len(leaves[1]) and same_structure(first.structure, second.structure)
    if not is_alike or not all(map(_same_kind, *leaves)):
        specs = [[f"{leaf.dtype.name}{leaf.shape}" for leaf in side] for side in leaves]
        raise ValueError(
            f"{owner}: between(first, second) needs two batches with equal structure, dtypes and lengths. "
            f"Received: {specs[0]} and {specs[1]}."
        )
    checks = require_equal_length(owner, [("first batch", first.x[0]), ("second batch", second.x[0])])
    x, y, sample_weight = (after(checks, part) for part in (second.x, second.y, second.sample_weight))
    return second._replace(x=x, y=y, sample_weight=sample_weight)


def _same_kind(first: tf.Tensor, second: tf.Tensor) -> bool:
    return first.dtype == second.dtype and first.shape.is_compatible_with(second.shape)
