"""The roles of leaves: each says how such a leaf is read, what an unmixed batch makes of it, and how it is mixed.

A new role is a class here and its name in `ROLES`; `role_of` says which leaves have it.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require_valid
from kmix_tf._paths import is_selected
from kmix_tf.batch.box_mixing import joined_boxes
from kmix_tf.batch.boxes import boxes_among
from kmix_tf.batch.geometry import require_no_geometry
from kmix_tf.batch.leaf import BOXES, FEATURES, KEPT, MASK, MIXED, TARGETS, WEIGHTS, Leaf, Rules
from kmix_tf.batch.mixture import Mixture
from kmix_tf.batch.packing import pack_targets
from kmix_tf.batch.shares import joined_mask, mixed_targets
from kmix_tf.batch.targets import WHERE_LABELS_ARE_MISSING, soft_labels
from kmix_tf.blend.linear import interpolate_leaves


class Role:
    """How leaves of one role are treated. any_kind: whether they may be ragged, sparse or no numbers."""

    any_kind = False

    def read(self, leaf: Leaf, rules: Rules) -> Any:
        """The tensor of a leaf as it is to be mixed, checked."""
        return leaf.tensor

    def unmixed(self, leaf: Leaf, packed: bool) -> Any:
        """The tensor of a leaf as it comes back where nothing is mixed."""
        return leaf.tensor

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[Any]:
        """The tensors of all leaves of this role in the mixture, in their order."""
        raise NotImplementedError


class Mixed(Role):
    """What is mixed: numbers. Features by the blend, targets and weights by the shares that it realised."""

    def read(self, leaf: Leaf, rules: Rules) -> tf.Tensor:
        if leaf.part == TARGETS:
            return self._target(leaf, rules)
        is_as_it_is = leaf.part == FEATURES or leaf.tensor.dtype == tf.float64
        return leaf.tensor if is_as_it_is else tf.cast(leaf.tensor, tf.float32)

    def _target(self, leaf: Leaf, rules: Rules) -> tf.Tensor:
        count = rules.num_classes[leaf.path] if isinstance(rules.num_classes, dict) else rules.num_classes
        dtype = leaf.tensor.dtype
        if rules.packed and count is None and dtype.is_integer:
            return leaf.tensor
        if count is not None or not dtype.is_floating:
            return soft_labels(leaf.name, leaf.tensor, count)
        return _known_labels(leaf.name, leaf.tensor if dtype == tf.float64 else tf.cast(leaf.tensor, tf.float32))

    def unmixed(self, leaf: Leaf, packed: bool) -> tf.Tensor:
        if leaf.part == FEATURES:
            return leaf.tensor if leaf.tensor.dtype.is_floating else tf.cast(leaf.tensor, tf.float32)
        return pack_targets(leaf.tensor, leaf.tensor, 1.0) if packed and leaf.part == TARGETS else leaf.tensor

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[tf.Tensor]:
        ours, theirs = ([leaf for leaf in side if leaf.part != FEATURES] for side in (ours, theirs))
        blended = mixture.blended
        is_plain = blended.mask is None and blended.shares is None
        is_plain = is_plain and not (packed or mixture.masks[0] or mixture.label_ratios)
        if is_plain and all(leaf.part == TARGETS for leaf in ours):
            first, second = ([leaf.tensor for leaf in side] for side in (ours, theirs))
            return [*blended.x, *interpolate_leaves(first, second, mixture.partner, mixture.label_ratio)]
        return [*blended.x, *mixed_targets(ours, theirs, mixture, packed)]


class Mask(Role):
    """A boolean feature that says which elements are there, as in padded sequences: those of both samples are."""

    def read(self, leaf: Leaf, rules: Rules) -> tf.Tensor:
        if leaf.tensor.dtype != tf.bool:
            raise _checks.problem(
                f"masks must be boolean, True where an element is there. Received: {leaf.name} of dtype "
                f"{leaf.tensor.dtype.name}. Cast it with tf.cast({leaf.name}, tf.bool).",
                TypeError,
            )
        return leaf.tensor

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[tf.Tensor]:
        return [joined_mask(one.tensor, other.tensor, mixture) for one, other in zip(ours, theirs, strict=True)]


class Kept(Role):
    """What rides along: of any dtype, ragged or sparse; it comes back as it is, once for each mixture of a sample."""

    any_kind = True

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[Any]:
        return [mixture.repeated(leaf.tensor) for leaf in ours]


class Boxes(Role):
    """Boxes, their classes and what else objects have: a mixture has those of both samples."""

    any_kind = True

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[Any]:
        return joined_boxes(ours, theirs, mixture)


ROLES: dict[str, Role] = {MIXED: Mixed(), MASK: Mask(), KEPT: Kept(), BOXES: Boxes()}


def roles_of(leaves: Sequence[tuple[str, tuple, str, Any]], rules: Rules) -> list[str]:
    """The role of each leaf, of which part, path and name are known.

    Raises:
        ValueError: for what is named like bounding boxes or key points, unless it rides along, or is in a layout
            that can be mixed.
    """
    are_named = any(path and part != WEIGHTS for part, path, *_ in leaves)
    boxes = boxes_among([leaf[:2] for leaf in leaves if leaf[0] != WEIGHTS], rules.passthrough) if are_named else ()
    # Weights come last.
    roles = [
        BOXES if at in boxes else _role_of(part, path, leaf, rules) for at, (part, path, _, leaf) in enumerate(leaves)
    ]
    targets = [role for (part, *_), role in zip(leaves, roles, strict=True) if part == TARGETS]
    if KEPT in targets and set(targets) == {KEPT}:  # Then so do their weights.
        roles = [KEPT if part == WEIGHTS else role for (part, *_), role in zip(leaves, roles, strict=True)]
    return roles


def _role_of(part: str, path: tuple, leaf: Any, rules: Rules) -> str:
    if rules.passthrough and path and is_selected(rules.passthrough, path):
        return KEPT
    if part == WEIGHTS:
        return MIXED
    if rules.masks and part == FEATURES and is_selected(rules.masks, path):
        return MASK
    if path:
        require_no_geometry(path, leaf, can_be_joined=True)
    return MIXED


def _known_labels(name: str, leaf: tf.Tensor) -> tf.Tensor:
    """Float targets, unless they are several labels at once of which some are missing: marked by -1 beside 0 and 1.

    A single column of -1, 0 and 1 may well be a number to predict, and so may -1 beside 1 alone.

    Raises:
        InvalidArgumentError: on the batch, where labels are missing. Under XLA, which drops such checks, the whole
            leaf becomes NaN.
    """
    if leaf.shape.rank != 2 or leaf.shape[-1] == 1:
        return leaf
    # NaN and infinity are told elsewhere, and are none of these.
    are_whole = tf.reduce_all(tf.equal(leaf, tf.round(leaf)))
    is_marked = tf.equal(tf.reduce_min(leaf), -1) & tf.equal(tf.reduce_max(leaf), 1)
    is_missing = are_whole & is_marked & tf.reduce_any(tf.equal(leaf, 0))
    message = (
        f"{name} must be known labels. Received: -1 beside 0 and 1, which stands for a missing label and would be "
        f"averaged like any number. {WHERE_LABELS_ARE_MISSING} If -1 is a number like others, "
        "targets[..., tf.newaxis] says so, too."
    )
    (leaf,) = after(require_valid([(~is_missing, message)]), [leaf])
    return tf.where(is_missing, tf.cast(float("nan"), leaf.dtype), leaf)
