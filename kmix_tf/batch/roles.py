"""The roles of leaves: each says how such a leaf is read, what an unmixed batch makes of it, and how it is mixed.

A new role is a class here and its name in `ROLES`; `role_of` says which leaves have it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf._images import joined, those
from kmix_tf._paths import is_selected
from kmix_tf.batch.packing import pack_targets
from kmix_tf.batch.targets import WHERE_LABELS_ARE_MISSING, soft_labels
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import (
    has_interpolations,
    interpolate_leaves,
    interpolate_places,
    join_interpolations,
    with_axes,
)

FEATURES, TARGETS, WEIGHTS = PARTS = ("features", "targets", "sample_weight")
MIXED, MASK, KEPT = "mixed", "mask", "kept"

# Their corners would be averaged as if they were pixels: no box of any object in the mixture.
_BOX_NAMES = {"bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes"}


class Leaf(NamedTuple):
    """One tensor of a batch.

    part: "features", "targets" or "sample_weight". path: the keys and positions that lead to it. role: how it is read
    and mixed. name: in messages, such as `features['left'][0]`. tensor: `(batch, ...)`.
    """

    part: str
    path: tuple
    role: str
    name: str
    tensor: Any


class Rules(NamedTuple):
    """How the leaves of a batch are to be treated.

    num_classes: an integer, None, or a structure like the targets'. passthrough: names of leaves that ride along.
    masks: names of features that say which elements are there. packed: whether both targets of a mixture are kept.
    features_only: whether there may be no targets.
    """

    num_classes: Any = None
    passthrough: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    packed: bool = False
    features_only: bool = False


class Mixture(NamedTuple):
    """What was drawn for a batch, and what the blend made of its features.

    partner: int32 `(batch,)` or `(mixtures, batch)`. ratio: of the same shape or of several mixtures, as drawn.
    blended: what the blend gave. weight: what each mixture counts, for packed targets, float32 `(mixtures,)` or None.
    """

    partner: tf.Tensor
    ratio: tf.Tensor
    blended: Blended
    weight: tf.Tensor | None

    @property
    def label_ratio(self) -> tf.Tensor:
        """The share of the sample itself in the label."""
        return self.blended.ratio if self.blended.label_ratio is None else self.blended.label_ratio

    def repeated(self, leaf: Any) -> Any:
        """A leaf of the batch once for each of several mixtures; it may be ragged or of strings."""
        if not has_interpolations(self.partner, self.ratio):
            return leaf
        join = tf.sparse.concat if isinstance(leaf, tf.SparseTensor) else lambda axis, leaves: tf.concat(leaves, axis)
        return join(0, [leaf] * self.ratio.shape[0])


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
        count = sum(leaf.part == FEATURES for leaf in ours)
        first, second = ([leaf.tensor for leaf in side[count:]] for side in (ours, theirs))
        are_packed = [packed and leaf.part == TARGETS for leaf in ours[count:]]
        if mixture.blended.shares is not None:
            rest = [_combined(leaf, mixture.blended.shares, packed) for leaf in first]
        elif any(are_packed):
            rest = [
                (_packed if is_packed else _interpolated)([one], [other], mixture)[0]
                for one, other, is_packed in zip(first, second, are_packed, strict=True)
            ]
        else:
            rest = _interpolated(first, second, mixture)
        return [*mixture.blended.x, *rest]


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
        return [_joined(one.tensor, other.tensor, mixture) for one, other in zip(ours, theirs, strict=True)]


class Kept(Role):
    """What rides along: of any dtype, ragged or sparse; it comes back as it is, once for each mixture of a sample."""

    any_kind = True

    def mix(self, ours: list[Leaf], theirs: list[Leaf], mixture: Mixture, packed: bool) -> list[Any]:
        return [mixture.repeated(leaf.tensor) for leaf in ours]


ROLES: dict[str, Role] = {MIXED: Mixed(), MASK: Mask(), KEPT: Kept()}


def roles_of(leaves: Sequence[tuple[str, tuple, str, Any]], rules: Rules) -> list[str]:
    """The role of each leaf, of which part, path and name are known.

    Raises:
        ValueError: for what is named like bounding boxes, unless it rides along.
    """
    return [_role_of(part, path, rules) for part, path, *_ in leaves]


def _role_of(part: str, path: tuple, rules: Rules) -> str:
    if part == WEIGHTS:
        return MIXED
    if rules.passthrough and is_selected(rules.passthrough, path):
        return KEPT
    if not _BOX_NAMES.isdisjoint(map(str.lower, map(str, path))):
        raise _checks.problem(
            "bounding boxes cannot be mixed, for their average bounds no object. Received: "
            f"{'/'.join(map(str, path))!r}. Leave them out of the batch; or, if they should ride along unmixed "
            "although the image does not, name them in passthrough=."
        )
    return MASK if rules.masks and part == FEATURES and is_selected(rules.masks, path) else MIXED


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
    checks = require(
        ~is_missing,
        f"{name} must be known labels. Received: -1 beside 0 and 1, which stands for a missing label and would be "
        f"averaged like any number. {WHERE_LABELS_ARE_MISSING} If -1 is a number like others, "
        "targets[..., tf.newaxis] says so, too.",
    )
    (leaf,) = after(checks, [leaf])
    return tf.where(is_missing, tf.cast(float("nan"), leaf.dtype), leaf)


def _interpolated(first: list[tf.Tensor], second: list[tf.Tensor], mixture: Mixture) -> list[tf.Tensor]:
    """Targets and weights mixed with the ratio realised; maps of them, place by place."""
    partner, blended = mixture.partner, mixture.blended
    are_maps = [is_map(leaf.shape, blended) for leaf in first]
    if blended.mask is None or not any(are_maps):
        return interpolate_leaves(first, second, partner, mixture.label_ratio)
    ours, theirs = those(are_maps, first, second)
    if blended.places:
        maps = interpolate_places(ours, theirs, partner, blended.mask, blended.places)
    else:
        spatial = blended.mask.shape.rank - blended.ratio.shape.rank
        maps = interpolate_leaves(ours, theirs, partner, blended.mask, spatial)
    ours, theirs = those([not use for use in are_maps], first, second)
    return joined(are_maps, maps, interpolate_leaves(ours, theirs, partner, mixture.label_ratio))


def is_map(shape: tf.TensorShape, blended: Blended) -> bool:
    """Whether a target has a value at each place of the blend's mask: `(batch, *places, ...)`.

    Without a last axis of its own it must be seen to have them, and more than one: soft labels `(batch, classes)` may
    well have as many classes as a signal has steps.
    """
    if blended.mask is None:
        return False
    places = blended.mask.shape[blended.ratio.shape.rank :]
    if shape.rank is None or shape.rank <= places.rank or not shape[1 : 1 + places.rank].is_compatible_with(places):
        return False
    is_seen = shape[1 : 1 + places.rank].is_fully_defined() and places.is_fully_defined()
    return shape.rank > places.rank + 1 or (is_seen and places.rank > 1)


def _packed(first: list[tf.Tensor], second: list[tf.Tensor], mixture: Mixture) -> list[tf.Tensor]:
    (ours,), (theirs,) = first, second
    is_place = is_map(ours.shape, mixture.blended)
    if mixture.blended.places and is_place:
        raise _checks.problem(
            "maps cannot be packed where a blend moves places. Received: targets of shape "
            f"{ours.shape}. Set transport=False, or targets='mixed'."
        )
    share = mixture.blended.mask if is_place else mixture.label_ratio
    theirs = tf.gather(theirs, mixture.partner)
    if mixture.ratio.shape.rank == 2:
        theirs = join_interpolations(theirs) if mixture.partner.shape.rank == 2 else mixture.repeated(theirs)
        share = join_interpolations(share)
    return [pack_targets(mixture.repeated(ours), theirs, share, 1.0 if mixture.weight is None else mixture.weight)]


def _combined(leaf: tf.Tensor, shares: tf.Tensor, packed: bool) -> tf.Tensor:
    """Targets or weights of mixtures of more than two samples: the same sums as the inputs."""
    if packed:
        raise _checks.problem("mixtures of more than two samples have no two targets to pack. Set targets='mixed'.")
    mixed = tf.tensordot(tf.cast(shares, leaf.dtype), leaf, axes=1)
    return tf.ensure_shape(mixed, [None, *leaf.shape[1:]])


def _joined(ours: tf.Tensor, theirs: tf.Tensor, mixture: Mixture) -> tf.Tensor:
    """What is there in either sample is there in the mixture, if there is anything of that sample in it."""
    if mixture.blended.shares is not None:
        there = tf.cast(mixture.blended.shares > 0, tf.float32)
        return tf.tensordot(there, tf.cast(ours, tf.float32), axes=1) > 0
    ratio, axes = mixture.ratio, tf.rank(ours) - 1 if ours.shape.rank is None else ours.shape.rank - 1
    of_ours, of_theirs = (with_axes(share > 0, axes) for share in (ratio, 1 - ratio))
    joined = (of_ours & ours) | (of_theirs & tf.gather(theirs, mixture.partner))
    return join_interpolations(joined) if ratio.shape.rank == 2 else joined
