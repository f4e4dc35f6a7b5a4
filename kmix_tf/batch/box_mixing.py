"""The boxes of a mixture: those of both samples, as far as they are seen."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch.box_options import BoxOptions, from_corners, to_corners
from kmix_tf.batch.boxes import CLASSES, CORNERS, OTHER, SHARE, BoxLeaf, are_there
from kmix_tf.batch.leaf import Leaf
from kmix_tf.batch.mixture import Mixture, pairs_of
from kmix_tf.batch.weights import weight_of
from kmix_tf.blend.linear import join_interpolations, with_axes

# What is of an object's place, and would be wrong of one that is seen in part.
_OF_PLACES = ("area", "keypoints")


class Side(NamedTuple):
    """What a mixture has of one of its two samples.

    row: int32 `(mixtures,)`, the sample's. share: float32 `(mixtures,)`, of it in the image. in_label: the same, in
    the label. mask: None, or the share at each place, `(mixtures, height, width)`. window: None, or the box in which
    all of it is seen, as in `Blended`.
    """

    row: tf.Tensor
    share: tf.Tensor
    in_label: tf.Tensor
    mask: tf.Tensor | None
    window: tf.Tensor | None = None


class Seen(NamedTuple):
    """What is seen of boxes: part, of the area of each, `(mixtures, n)`; corners of what is seen, `(mixtures, n, 4)`;
    is_whole, whether all of it is."""

    part: tf.Tensor
    corners: tf.Tensor
    is_whole: tf.Tensor


def joined_boxes(ours: Sequence[Leaf], theirs: Sequence[Leaf], mixture: Mixture) -> list[tf.Tensor]:
    """All leaves of groups of boxes, in their order: `(mixtures, 2 n, ...)`, the sample's and then its partner's."""
    sides = _sides(mixture, is_one=ours[0] is theirs[0])
    groups: dict[Any, list[int]] = {}
    for at, leaf in enumerate(ours):
        groups.setdefault(leaf.about.group, []).append(at)
    made: dict[int, tf.Tensor] = {}
    for members in groups.values():
        _require_movable([ours[at] for at in members], mixture)
        counts = _counts(ours[members[0]], mixture)
        halves = [
            _half([leaves[at] for at in members], side, count)
            for leaves, side, count in zip((ours, theirs), sides, counts, strict=True)
        ]
        made.update(zip(members, (tf.concat(pair, axis=1) for pair in zip(*halves, strict=True)), strict=True))
    return [made[at] for at in range(len(ours))]


def _sides(mixture: Mixture, is_one: bool) -> tuple[Side, Side]:
    """Both samples of all mixtures. Of one that is mixed with itself, all is the sample's."""
    blended = mixture.blended
    if blended.shares is not None or (blended.places and blended.window is None):
        what = "more than two samples" if blended.shares is not None else "samples whose places are moved"
        raise _checks.problem(
            f"bounding boxes are of mixtures of two samples that stay where they are. Received: a blend of {what}. "
            "Use another blend (of PuzzleMixLayer, transport=False), or name the boxes in passthrough=."
        )
    pairs = pairs_of(mixture, mixture.label_ratio, by_place=False)
    share, mask = pairs_of(mixture, blended.ratio, by_place=False).share, blended.mask
    if mask is not None:
        spatial = mask.shape.rank - blended.ratio.shape.rank
        if spatial != 2:
            raise _checks.problem(f"bounding boxes need images of two axes. Received: a blend with axes={spatial}.")
        mask = join_interpolations(mask) if mask.shape.rank == 4 else mask
    row = tf.range(tf.shape(pairs.second)[0]) if pairs.first is None else pairs.first
    in_label = pairs.share
    if is_one:
        is_own = tf.equal(row, pairs.second)
        share, in_label = (tf.where(is_own, tf.ones([], each.dtype), each) for each in (share, in_label))
        mask = None if mask is None else tf.where(with_axes(is_own, 2), tf.ones([], mask.dtype), mask)
    other = Side(pairs.second, 1 - share, 1 - in_label, None if mask is None else 1 - mask, blended.window)
    return Side(row, share, in_label, mask), other


def _require_movable(leaves: Sequence[Leaf], mixture: Mixture) -> None:
    """Refuses what cannot be cut as boxes can, where a blend pastes."""
    if mixture.blended.mask is None:
        return
    about: BoxLeaf = leaves[0].about
    if about.options.bounding_box_format is None:
        raise _checks.problem(
            "bounding_box_format must say how boxes are written, where a blend pastes, so that they can be cut. "
            "Received: bounding_box_format=None. Give 'xyxy', or what it is; see MixLayer."
        )
    for leaf in leaves:
        if leaf.about.kind == OTHER and leaf.about.key in _OF_PLACES:
            raise _checks.problem(
                f"{leaf.about.key!r} of objects cannot be mixed by a blend that pastes: where an object is covered "
                f"in part, it would be wrong. Received: {leaf.name}. Leave it out; or use a linear blend."
            )


def _counts(leaf: Leaf, mixture: Mixture) -> list[Any]:
    """What each side's samples count beside the mixture's own weight, `(mixtures,)`; 1 without sample weights."""
    weights = [weight for side in mixture.weights if (weight := weight_of(leaf, side)) is not None]
    if not weights or not leaf.about.options.box_weights:
        return [1.0, 1.0]
    pairs = pairs_of(mixture, mixture.label_ratio, by_place=False)
    own, other = (tf.cast(tf.reshape(each.tensor, [-1]), tf.float32) for each in weights)
    own, other = pairs.own(own), pairs.other(other)
    total = pairs.share * own + (1 - pairs.share) * other
    return [tf.where(total > 0, tf.math.divide_no_nan(each, total), 1.0) for each in (own, other)]


def _half(leaves: Sequence[Leaf], side: Side, count: Any) -> list[tf.Tensor]:
    """One side's boxes in all mixtures, and what belongs to them; what is not seen becomes padding."""
    kinds = [leaf.about.kind for leaf in leaves]
    tensors = [tf.gather(leaf.tensor, side.row) for leaf in leaves]
    options: BoxOptions = leaves[0].about.options
    came, is_padding = tensors[kinds.index(CORNERS)], ~are_there(tensors[kinds.index(CLASSES)])
    if side.mask is None:
        part, boxes = with_axes(side.in_label, 1), came
        is_kept = with_axes(side.share > 0, 1)
    else:
        part, boxes = _cut(came, side, options)
        is_kept = (part > 0) & (part >= options.box_visibility)
    # Padding stays as it came.
    is_kept, boxes = is_kept | is_padding, tf.where(is_padding[..., tf.newaxis], came, boxes)
    made = []
    for tensor, kind in zip(tensors, kinds, strict=True):
        if kind == SHARE and options.box_weights:
            factor = part * (with_axes(count, 1) if isinstance(count, tf.Tensor) else count)
            tensor = tensor * tf.cast(with_axes(factor, tensor.shape.rank - 2), tensor.dtype)
        made.append(_where(is_kept, boxes if kind == CORNERS else tensor, -1 if kind == CLASSES else 0))
    return made


def _where(is_kept: tf.Tensor, tensor: tf.Tensor, otherwise: int) -> tf.Tensor:
    blank = tf.fill(tf.shape(tensor), "") if tensor.dtype == tf.string else tf.cast(otherwise, tensor.dtype)
    return tf.where(with_axes(is_kept, tensor.shape.rank - 2), tensor, blank)


def _cut(boxes: tf.Tensor, side: Side, options: BoxOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """What part of each box is seen, and the boxes round what is; exactly as they came where all is."""
    wide = tf.float64 if boxes.dtype == tf.float64 else tf.float32
    mask, box_format = tf.cast(side.mask, wide), str(options.bounding_box_format)
    sizes = tf.cast(tf.shape(mask)[1:], wide)
    corners = to_corners(tf.cast(boxes, wide), box_format, sizes)
    if side.window is not None:
        corners = _within(corners, tf.cast(side.window, wide), sizes)
        boxes = tf.cast(from_corners(corners, box_format, sizes), boxes.dtype)
    seen = seen_of(corners, mask, with_axes(side.share >= 1, 1))
    cut = tf.cast(from_corners(seen.corners, box_format, sizes), boxes.dtype)
    return seen.part, tf.where(seen.is_whole[..., tf.newaxis], boxes, cut)


def _within(corners: tf.Tensor, window: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Corners of what shrinks into a window: `(mixtures, n, 4)`. What lies beyond the image's edge is not seen."""
    starts, ends = (tf.tile(part[:, tf.newaxis, ::-1], [1, 1, 2]) for part in tf.unstack(window, axis=-1))
    limits = tf.tile(sizes[::-1], [2])
    inside = tf.clip_by_value(corners, tf.zeros([], corners.dtype), limits)
    is_all = tf.reduce_all(tf.equal(ends - starts, limits), axis=-1, keepdims=True)
    return tf.where(is_all, corners, starts + inside * ((ends - starts) / limits))


def seen_of(corners: tf.Tensor, mask: tf.Tensor, is_alone: tf.Tensor) -> Seen:
    """What a mask lets see of boxes, of what of them is within the image.

    Args:
        corners: left, top, right, bottom in places, `(mixtures, n, 4)`: place i reaches from i to i + 1.
        mask: how much is seen at each place, in [0, 1], `(mixtures, height, width)`.
        is_alone: whether nothing of another sample is seen, bool `(mixtures, 1)`.
    """
    height, width = tf.unstack(tf.shape(mask))[1:]
    of_x, of_y = _covered(corners[..., 0::2], width), _covered(corners[..., 1::2], height)
    area = tf.reduce_sum(of_x, -1) * tf.reduce_sum(of_y, -1)
    columns, rows = tf.matmul(of_y, mask), tf.matmul(of_x, mask, transpose_b=True)
    visible = tf.reduce_sum(columns * of_x, -1)
    # Of what is seen whole, it is 0 to the bit.
    hidden = tf.reduce_sum(tf.matmul(of_y, 1 - mask) * of_x, -1)
    # Of what has no area, or lies beyond the edge, it cannot be said how much is seen.
    is_whole = tf.where(area > 0, hidden <= 0, is_alone)
    part = tf.where(is_whole, tf.ones([], mask.dtype), tf.math.divide_no_nan(visible, area))
    ends_x = _ends((columns > 0) & (of_x > 0), corners[..., 0::2])
    ends_y = _ends((rows > 0) & (of_y > 0), corners[..., 1::2])
    cut = tf.stack([ends_x[0], ends_y[0], ends_x[1], ends_y[1]], axis=-1)
    return Seen(part, cut, is_whole)


def _covered(ends: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """How much of each place, along one axis, is between two ends `(..., 2)`: `(..., size)`, in [0, 1]."""
    place = tf.range(tf.cast(size, ends.dtype))
    return tf.maximum(tf.minimum(ends[..., 1:], place + 1) - tf.maximum(ends[..., :1], place), 0)


def _ends(is_seen: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The ends of a box along one axis, cut to the first and the last place that is seen."""
    place = tf.cast(tf.range(tf.shape(is_seen)[-1]), ends.dtype)
    first = tf.reduce_min(tf.where(is_seen, place, tf.cast(tf.shape(is_seen)[-1], ends.dtype)), axis=-1)
    last = tf.reduce_max(tf.where(is_seen, place + 1, tf.zeros([], ends.dtype)), axis=-1)
    return tf.maximum(ends[..., 0], first), tf.minimum(ends[..., 1], last)
