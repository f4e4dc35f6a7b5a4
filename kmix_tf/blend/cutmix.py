"""CutMix: a box of the partner is pasted into the sample; several nested boxes for several interpolations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import have_axes, image_of, joined, those
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.linear import has_interpolations, interpolate_leaf, interpolate_leaves
from kmix_tf.blend.shared import SCOPES, shared_by_pairs
from kmix_tf.seeding import as_seed, random_uniform

# In units of the whole: more than rounding moves an edge by, less than a place is wide where an axis has a million.
_ON_EDGE = 2.0**-21


class Boxes(NamedTuple):
    """Boxes in units of the whole: centre, float32 `(batch, axes)` in [0, 1), shared by all interpolations, or
    `(interpolations, batch, axes)`; and side, float32 `(batch,)` or `(interpolations, batch)`, the share of each axis
    that a box takes before clipping."""

    centre: tf.Tensor
    side: tf.Tensor


def draw_boxes(ratio: tf.Tensor, seed: tf.Tensor, *, axes: int) -> Boxes:
    """Draws a uniform centre for each sample, and a box round it whose volume, unclipped, is 1 - ratio.

    Source: multi-mix, Section III-A2; for two axes the sides are sqrt(1 - ratio) of the whole.
    """
    centre = random_uniform(tf.stack([tf.unstack(tf.shape(ratio), ratio.shape.rank)[-1], axes]), seed)
    return boxes_round(centre, ratio)


def boxes_round(centre: tf.Tensor, ratio: tf.Tensor) -> Boxes:
    """Boxes round given centres, `(..., axes)`, whose volume, before it is clipped, is 1 - ratio."""
    return Boxes(centre, tf.pow(tf.maximum(1 - ratio, 0), 1 / centre.shape[-1]))


def inside_box(boxes: Boxes, sizes: Sequence[Any]) -> list[tf.Tensor]:
    """For each axis, of so many elements, which of them have their middle in the box: bool, side's shape x elements.

    What lies beyond the edge is cut off: boxes are clipped. A middle on the lower edge is inside, on the upper one
    not, so that boxes round middles have whole sizes, and rounding decides nothing.
    """
    half = boxes.side[..., tf.newaxis] / 2
    centres = tf.split(boxes.centre - _ON_EDGE, len(sizes), axis=-1)
    return [tf.abs(middles(size) - centre) < half for size, centre in zip(sizes, centres, strict=True)]


def middles(size: Any) -> Any:
    """The middles of so many places side by side, in units of the whole."""
    if isinstance(size, int):
        return ((np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(max(size, 1))).astype(np.float32)
    return (tf.range(tf.cast(size, tf.float32)) + 0.5) / tf.cast(size, tf.float32)


def realised_ratio(inside: Sequence[tf.Tensor]) -> tf.Tensor:
    """The share of elements outside a box, of what `inside_box` says: clipped and in whole elements."""
    area: Any = 1.0
    for of_axis in inside:
        size = of_axis.shape[-1] or tf.maximum(tf.shape(of_axis)[-1], 1)
        area *= tf.reduce_sum(tf.cast(of_axis, tf.float32), axis=-1) / tf.cast(size, tf.float32)
    return 1 - area


def box_mask(inside: Sequence[tf.Tensor]) -> tf.Tensor:
    """The sample's share at each place, 0 in the box, 1 outside: float32, side's shape, then the axes."""
    in_box, lead = inside[0], inside[0].shape.rank - 1
    for axis, of_axis in enumerate(inside[1:], start=1):
        for _ in range(axis):
            of_axis = tf.expand_dims(of_axis, lead)
        in_box = in_box[..., tf.newaxis] & of_axis
    return tf.where(in_box, 0.0, 1.0)


def paste_boxes(first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, boxes: Boxes) -> Blended:
    """Pastes boxes into the leaves that have so many axes, and mixes the others with the ratio realised in the first
    of them."""
    axes = boxes.centre.shape[-1]
    are_cut = have_axes(first, axes)
    several = has_interpolations(partner, boxes.side)
    shape = list(boxes.side.shape)
    images, others = those(are_cut, first, second)
    ranks = len(shape), boxes.centre.shape.rank
    pasted, realised, mask = _paste(images, others, partner, boxes, axes=axes, ranks=ranks, several=several)
    realised.set_shape(shape)
    mask.set_shape([*shape, *images[0].shape[1 : 1 + axes]])
    ours, theirs = those([not cut for cut in are_cut], first, second)
    linear = interpolate_leaves(ours, theirs, partner, realised)
    return Blended(joined(are_cut, pasted, linear), realised, mask)


@fused(features=2)
def _paste(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    boxes: Boxes,
    *,
    axes: int,
    ranks: tuple[int, int],
    several: bool,
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """The pasted leaves, each with a box of its own size; the ratio realised in the first, and its mask."""
    # Shapes that have varied once are unknown in a compiled function; the ranks must not be.
    side = tf.ensure_shape(boxes.side, [None] * ranks[0])
    centre = tf.ensure_shape(boxes.centre, [None] * (ranks[1] - 1) + [axes])
    insides = [inside_box(Boxes(centre, side), _sizes(leaf, axes)) for leaf in first]
    masks = [box_mask(inside) for inside in insides]
    leaves = [
        interpolate_leaf(ours, theirs, partner, mask, spatial=axes, several=several)
        for ours, theirs, mask in zip(first, second, masks, strict=True)
    ]
    return leaves, realised_ratio(insides[0]), masks[0]


def _sizes(leaf: tf.Tensor, axes: int) -> list[Any]:
    known = leaf.shape[1 : 1 + axes]
    # Of ranks that have varied once, a compiled function knows nothing either.
    return list(known) if known.is_fully_defined() else [tf.shape(leaf)[1 + axis] for axis in range(axes)]


@register
class CutMixBlend(BlendStrategy):
    """Pastes a box of the partner into the sample. Targets follow the area pasted, clipped and in whole pixels.

    With several interpolations, the boxes of one pair share their centre, so the smaller lie in the larger. The
    expected share of the partner is less than the one drawn, because boxes are clipped at the edge: for 1 - ratio = l
    and two axes its mean is l (1 - sqrt(l) / 4)^2.

    Args:
        axes: how many axes after the batch's the box spans: 2 (default) for images `(batch, height, width, ...)` and
            spectrograms `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
            Leaves of features with fewer axes are mixed linearly with the ratio realised. Of several leaves with
            these axes, all get the same box, and targets follow the area in the first.
        scope: "sample" (default), a box for each sample; or "pair", one for both samples of a pair, of mutual
            pairings: with a ratio for each pair, both swap what is in it, as in timm's mode "pair".

    Raises:
        ValueError: for other arguments; on a call, if no leaf has these axes.

    Source: multi-mix, Section III-A2, after Yun et al. 2019.

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = CutMixBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> pasted = tf.reduce_mean(blended.x[0], axis=[1, 2])  # of ones into zeros, and of zeros into ones
        >>> bool(tf.reduce_all(pasted == [1 - blended.ratio[0], blended.ratio[1]]))
        True
    """

    axes: int
    pastes = True

    @_checks.speaks
    def __init__(self, axes: int = 2, scope: str = "sample"):
        self.axes = _checks.axes(axes)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image_of(first, self.axes)
        boxes = draw_boxes(ratio, as_seed(seed), axes=self.axes)
        # Of two loaders, a sample's partner is in no pair of its own.
        if self.by_pair and second is first:
            boxes = boxes._replace(centre=shared_by_pairs(boxes.centre, partner))
        return paste_boxes(first, second, partner, boxes)
