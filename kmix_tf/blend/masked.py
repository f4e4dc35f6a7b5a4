"""What blends by a mask have in common, whether it cuts or fades: leaves of any size, shares realised."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf._graph import fused
from kmix_tf._images import have_axes, joined, those
from kmix_tf._shapes import Size
from kmix_tf.blend.base import Blended
from kmix_tf.blend.linear import has_interpolations, interpolate_leaf, interpolate_leaves
from kmix_tf.blend.puzzle.blocks import sizes_of

# Of tensors and the numbers of places, the sample's share at each of these: float32, a mixture's axes first.
MaskOf = Callable[..., tf.Tensor]


def blend_by_mask(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    ratio: tf.Tensor,
    told: Sequence[tf.Tensor],
    *,
    mask_of: MaskOf,
    axes: int,
) -> Blended:
    """Mixes leaves that have so many axes place by place, and the others by the mean over the first one's places.

    Args:
        first, second, partner, ratio: as blends get them. The share realised has the ratio's shape.
        told: what was drawn. mask_of: a function of a module, not one made anew in each call, which would be compiled
            anew: `mask_of(*told, sizes=...)` is the mask for leaves of these sizes, of the ratio's shape and then
            these. Where it says 1, the sample's values come back exactly.
    """
    are_masked, shape = have_axes(first, axes), ratio.shape
    ours, theirs = those(are_masked, first, second)
    static = {"axes": axes, "lead": shape.rank, "several": has_interpolations(partner, ratio)}
    mixed, realised, mask = _masked(ours, theirs, partner, list(told), mask_of=mask_of, **static)
    realised.set_shape(shape)
    mask.set_shape([*shape, *ours[0].shape[1 : 1 + axes]])
    ours, theirs = those([not is_masked for is_masked in are_masked], first, second)
    return Blended(joined(are_masked, mixed, interpolate_leaves(ours, theirs, partner, realised)), realised, mask)


def for_each_partner(partner: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
    """The ratios, one for each of several partners of a sample."""
    return tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 > ratio.shape.rank else ratio


@fused(features=2)
def _masked(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    told: Sequence[tf.Tensor],
    *,
    mask_of: MaskOf,
    axes: int,
    lead: int,
    several: bool,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """The mixed leaves, each by a mask of its own sizes; the mean of the first one's, and this mask."""
    # Ranks that have varied once are unknown in a compiled function.
    masks = [tf.ensure_shape(mask_of(*told, sizes=sizes_of(leaf, axes)), [None] * (lead + axes)) for leaf in first]
    leaves = [
        interpolate_leaf(ours, theirs, partner, mask, spatial=axes, several=several)
        for ours, theirs, mask in zip(first, second, masks, strict=True)
    ]
    return leaves, _mean(masks[0], sizes_of(first[0], axes), lead), masks[0]


def _mean(mask: tf.Tensor, sizes: Sequence[Size], lead: int) -> tf.Tensor:
    """The mean over the places; 1 of a mask of ones, and of no places at all.

    Divided in float64: XLA multiplies with the inverse, after which n / n may not be 1 in float32. Sums along the
    last axis need no more than float32, and are the most.
    """
    count: Any = 1
    for size in sizes:
        count *= size
    rows = tf.cast(tf.reduce_sum(mask, axis=-1), tf.float64)
    total = tf.reduce_sum(rows, axis=range(lead, lead + len(sizes) - 1))
    share = total / tf.cast(tf.maximum(count, 1), tf.float64)
    return tf.cast(tf.where(tf.equal(count, 0), tf.ones_like(share), share), tf.float32)
