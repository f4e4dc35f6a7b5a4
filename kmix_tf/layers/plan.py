"""What is random in one mix, and applying it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf.batch import Batch, pack_targets
from kmix_tf.batch.leaves import after, require
from kmix_tf.blend import Blended, interpolate_leaves
from kmix_tf.blend.linear import has_interpolations, join_interpolations
from kmix_tf.blend.places import interpolate_places
from kmix_tf.ratio import BetaRatio, DistributionRatio
from kmix_tf.weight import normalized


class MixPlan(NamedTuple):
    """What is random in one mix, drawn before anything is mixed.

    partner: int32 `(batch,)`, the row each sample is mixed with, or `(interpolations, batch)`. ratio: float32, the
    weight of the sample itself, `(batch,)` or `(interpolations, batch)`. blend_seed: int32 `(2,)`, for blends that
    draw more.
    """

    partner: tf.Tensor
    ratio: tf.Tensor
    blend_seed: tf.Tensor


def drawn_ratio(owner: str, ratio: Callable, group: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """What a ratio strategy gives, float32 `(batch,)` or `(times, batch)`; checked if it is not one of ours.

    Raises:
        ValueError: for other shapes. InvalidArgumentError: for ratios outside [0, 1].
    """
    values = ratio(group, seed)
    if isinstance(ratio, (BetaRatio, DistributionRatio)):
        return values
    values, size = tf.cast(values, tf.float32), group.shape[-1]
    if values.shape.rank not in (1, 2) or not values.shape[-1:].is_compatible_with([size]):
        _checks.complain(
            owner,
            f"ratio must give ratios ({size},) or (interpolations, {size}). Received: some of shape {values.shape}."
            + (" See tf.ensure_shape." if values.shape.rank is None else ""),
        )
    in_range = tf.reduce_all((values >= 0) & (values <= 1))
    message = f"{owner}: ratio must give ratios in [0, 1]. Received: ratios outside, or NaN."
    return after(require(in_range, message), [values])[0]


def apply_plan(
    first: Batch, second: Batch, plan: MixPlan, blend: Callable, weight: tf.Tensor | None, packed: bool
) -> Batch:
    """Mixes two prepared batches as a plan says: a deterministic function of its arguments.

    Args:
        first, second: prepared batches, equal for one batch.
        blend: what gives `Blended`, or mixed leaves and the ratio realised.
        weight: float `(mixtures,)` or None: goes into packed targets, and is left to the caller otherwise.
        packed: whether targets are packed instead of mixed.
    """
    blended = Blended(*blend(first.x, second.x, plan.partner, plan.ratio, plan.blend_seed))
    repeat = _repeater(plan)
    if packed:
        sample_weight = _mixed_leaves(first.sample_weight, second.sample_weight, plan, blended)
        shares = _shares(first.y, blended)
        if blended.places and any(share is blended.mask for share in shares):
            _checks.complain(
                "MixLayer",
                "maps cannot be packed where a blend moves places. Received: targets of shapes "
                f"{[str(leaf.shape) for leaf in first.y]}. Set transport=False, or targets='mixed'.",
            )
        y = [
            _packed(*sides, plan, share, weight, repeat)
            for *sides, share in zip(first.y, second.y, shares, strict=True)
        ]
    else:
        mixed = _mixed_leaves(first.y + first.sample_weight, second.y + second.sample_weight, plan, blended)
        y, sample_weight = mixed[: len(first.y)], mixed[len(first.y) :]
    masks = [_joined_mask(ours, theirs, plan) for ours, theirs in zip(first.masks, second.masks, strict=True)]
    kept = [repeat(leaf) for leaf in first.kept]
    return first._replace(x=blended.x, y=y, sample_weight=sample_weight, masks=masks, kept=kept)


def pair_weights(
    weight: Callable, first: list[tf.Tensor], second: list[tf.Tensor], plan: MixPlan, mixed: tf.Tensor | None
) -> tf.Tensor | None:
    """What each mixture counts: float32 `(mixtures,)` with mean 1, or None where all count alike.

    Args:
        first, second: the features that distances are measured on; the same list for one batch.
        mixed: whether the batch is mixed at all: if not, all count alike. None: it is.

    Raises:
        InvalidArgumentError: on the batch, for negative or infinite weights, or NaN.
    """
    weights = weight(first, second, plan.partner)
    if weights is None:
        return None
    weights = tf.broadcast_to(weights, tf.shape(plan.ratio))
    weights = join_interpolations(weights) if plan.ratio.shape.rank == 2 else weights
    if mixed is not None:
        weights = tf.where(mixed, weights, tf.ones_like(weights))
    message = f"{type(weight).__name__}: weights must be >= 0 and finite. Received: others, or NaN."
    sound = tf.reduce_all((weights >= 0) & tf.math.is_finite(weights))
    return normalized(*after(require(sound, message), [weights]))


def unmixed(batch: Batch, packed: bool) -> Batch:
    """A batch converted as mixing does, but not mixed."""
    x = [leaf if leaf.dtype.is_floating else tf.cast(leaf, tf.float32) for leaf in batch.x]
    return batch._replace(x=x, y=[pack_targets(leaf, leaf, 1.0) for leaf in batch.y] if packed else batch.y)


def _mixed_leaves(
    first: list[tf.Tensor], second: list[tf.Tensor], plan: MixPlan, blended: Blended
) -> list[tf.Tensor]:
    """Targets and sample weights mixed with the ratio realised; maps of them, place by place."""
    is_map = [share is blended.mask for share in _shares(first, blended)]
    if blended.mask is None or not any(is_map):
        return interpolate_leaves(first, second, plan.partner, blended.ratio)
    spatial = blended.mask.shape.rank - blended.ratio.shape.rank
    maps, rest = (
        [[leaf for leaf, use in zip(side, is_map, strict=True) if use is wanted] for side in (first, second)]
        for wanted in (True, False)
    )
    if blended.places:
        mixed_maps = iter(interpolate_places(*maps, plan.partner, blended.mask, blended.places))
    else:
        mixed_maps = iter(interpolate_leaves(*maps, plan.partner, blended.mask, spatial))
    mixed_rest = iter(interpolate_leaves(*rest, plan.partner, blended.ratio))
    return [next(mixed_maps if use else mixed_rest) for use in is_map]


def _shares(leaves: list[tf.Tensor], blended: Blended) -> list[tf.Tensor]:
    """For each leaf, the share of the sample itself: the ratio, or the mask for maps of the mask's size."""
    if blended.mask is None:
        return [blended.ratio] * len(leaves)
    places = blended.mask.shape[blended.ratio.shape.rank :]
    return [blended.mask if _is_map(leaf.shape, places) else blended.ratio for leaf in leaves]


def _is_map(shape: tf.TensorShape, places: tf.TensorShape) -> bool:
    """Whether a target has a value at each place: `(batch, *places, ...)`.

    Without a last axis of its own it must be seen to have them, and more than one: soft labels `(batch, classes)` may
    well have as many classes as a signal has steps.
    """
    if shape.rank is None or shape.rank <= places.rank or not shape[1 : 1 + places.rank].is_compatible_with(places):
        return False
    is_seen = shape[1 : 1 + places.rank].is_fully_defined() and places.is_fully_defined()
    return shape.rank > places.rank + 1 or (is_seen and places.rank > 1)


def _packed(
    ours: tf.Tensor, theirs: tf.Tensor, plan: MixPlan, share: tf.Tensor, weight: tf.Tensor | None, repeat: Callable
) -> tf.Tensor:
    theirs = tf.gather(theirs, plan.partner)
    if plan.ratio.shape.rank == 2:
        theirs = join_interpolations(theirs) if plan.partner.shape.rank == 2 else repeat(theirs)
        share = join_interpolations(share)
    return pack_targets(repeat(ours), theirs, share, 1.0 if weight is None else weight)


def _joined_mask(ours: tf.Tensor, theirs: tf.Tensor, plan: MixPlan) -> tf.Tensor:
    """What is there in either sample is there in the mixture, if there is anything of that sample in it."""
    shape = tf.concat([tf.shape(plan.ratio), tf.ones([tf.rank(ours) - 1], tf.int32)], 0)
    of_ours, of_theirs = (tf.reshape(share, shape) > 0 for share in (plan.ratio, 1 - plan.ratio))
    joined = (of_ours & ours) | (of_theirs & tf.gather(theirs, plan.partner))
    return join_interpolations(joined) if plan.ratio.shape.rank == 2 else joined


def _repeater(plan: MixPlan) -> Callable[[Any], Any]:
    """Repeats a leaf of the batch once for each interpolation, which may be ragged or of strings."""
    if not has_interpolations(plan.partner, plan.ratio):
        return lambda leaf: leaf
    count = plan.ratio.shape[0]

    def repeat(leaf: Any) -> Any:
        if isinstance(leaf, tf.SparseTensor):
            return tf.sparse.concat(0, [leaf] * count)
        return tf.concat([leaf] * count, axis=0)

    return repeat
