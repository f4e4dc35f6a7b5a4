"""CutMix: a box of the partner is pasted into the sample; several nested boxes for several interpolations."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._fusion import compiled, fused
from kmix_tf.batch.leaves import have_axes, image_of, those
from kmix_tf.blend.blended import Blended
from kmix_tf.blend.linear import has_interpolations, interpolate_leaf, interpolate_leaves
from kmix_tf.seeding import as_seed, random_uniform


class Boxes(NamedTuple):
    """Boxes in units of the whole: centre, float32 `(batch, axes)` in [0, 1), shared by all interpolations, or
    `(interpolations, batch, axes)`; and side, float32 `(batch,)` or `(interpolations, batch)`, the share of each axis
    that a box takes before clipping."""

    centre: tf.Tensor
    side: tf.Tensor


@compiled
def draw_boxes(ratio: tf.Tensor, seed: tf.Tensor, *, axes: int) -> Boxes:
    """Draws a uniform centre for each sample, and a box round it whose volume, unclipped, is 1 - ratio.

    Source: multi-mix, Section III-A2; for two axes the sides are sqrt(1 - ratio) of the whole.
    """
    centre = random_uniform(tf.stack([tf.shape(ratio)[-1], axes]), seed)
    return Boxes(centre, tf.pow(tf.maximum(1 - ratio, 0), 1 / axes))


def inside_box(boxes: Boxes, sizes: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """For each axis, of so many elements, which of them have their middle in the box: bool, side's shape x elements.

    What lies beyond the edge is cut off: boxes are clipped.
    """
    inside = []
    for axis, size in enumerate(sizes):
        middle = (tf.range(tf.cast(size, tf.float32)) + 0.5) / tf.cast(size, tf.float32)
        distance = tf.abs(middle - boxes.centre[..., axis, tf.newaxis])
        inside.append(distance < boxes.side[..., tf.newaxis] / 2)
    return inside


@compiled
def realised_ratio(boxes: Boxes, sizes: tf.Tensor, *, axes: int) -> tf.Tensor:
    """The share of elements outside the box, clipped and in whole elements: float32, of side's shape."""
    area = 1.0
    for size, inside in zip(tf.unstack(sizes, axes), inside_box(boxes, tf.unstack(sizes, axes)), strict=True):
        area *= tf.reduce_sum(tf.cast(inside, tf.float32), axis=-1) / tf.cast(tf.maximum(size, 1), tf.float32)
    return 1 - area


def paste(
    first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, boxes: Boxes, axes: int
) -> list[tf.Tensor]:
    """Pastes each partner's box into each row: leaves `(batch, *axes, ...)`, mixed as `interpolate_leaves` says."""
    lead = boxes.side.shape.rank
    return _paste(
        first, second, partner, boxes, axes=axes, lead=lead, several=has_interpolations(partner, boxes.side)
    )


def paste_boxes(
    first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, boxes: Boxes, axes: int
) -> Blended:
    """Pastes boxes into the leaves that have so many axes, and mixes the others with the ratio realised in the first
    of them."""
    has_axes = have_axes(first, axes)
    image = first[has_axes.index(True)]
    realised = realised_ratio(boxes, tf.shape(image)[1 : 1 + axes], axes=axes)
    pasted = iter(paste(*those(has_axes, first, second), partner, boxes, axes))
    linear = iter(interpolate_leaves(*those([not has for has in has_axes], first, second), partner, realised))
    x = [next(pasted if has else linear) for has in has_axes]
    return Blended(x, realised, box_mask(boxes, image, axes))


@fused(features=2)
def _paste(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    boxes: Boxes,
    *,
    axes: int,
    lead: int,
    several: bool,
) -> list[tf.Tensor]:
    return [
        interpolate_leaf(ours, theirs, partner, _mask(boxes, ours, axes, lead), spatial=axes, several=several)
        for ours, theirs in zip(first, second, strict=True)
    ]


def box_mask(boxes: Boxes, leaf: tf.Tensor, axes: int) -> tf.Tensor:
    """The sample's share at each place of a leaf, 0 in the box, 1 outside: float32, side's shape, then the axes."""
    mask = _mask(boxes, leaf, axes, boxes.side.shape.rank)
    mask.set_shape([*boxes.side.shape, *leaf.shape[1 : 1 + axes]])
    return mask


def _mask(boxes: Boxes, leaf: tf.Tensor, axes: int, lead: int) -> tf.Tensor:
    """`lead`: the rank of the boxes' sides, 1, or 2 with interpolations."""
    sizes = [tf.shape(leaf)[1 + axis] for axis in range(axes)]
    in_box = True
    for axis, inside in enumerate(inside_box(boxes, sizes)):
        for _ in range(axis):
            inside = tf.expand_dims(inside, lead)
        for _ in range(axes - 1 - axis):
            inside = inside[..., tf.newaxis]
        in_box = inside & in_box
    return tf.where(in_box, 0.0, 1.0)


@register
class CutMixBlend:
    """Pastes a box of the partner into the sample. Targets follow the area pasted, clipped and in whole pixels.

    With several interpolations, the boxes of one pair share their centre, so the smaller lie in the larger. The
    expected share of the partner is less than the one drawn, because boxes are clipped at the edge: for 1 - ratio = l
    and two axes its mean is l (1 - sqrt(l) / 4)^2.

    Args:
        axes: how many axes after the batch's the box spans: 2 (default) for images `(batch, height, width, ...)` and
            spectrograms `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
            Leaves of features with fewer axes are mixed linearly with the ratio realised. Of several leaves with
            these axes, all get the same box, and targets follow the area in the first.

    Raises:
        ValueError: for other numbers; on a call, if no leaf has these axes.

    Source: multi-mix, Section III-A2, after Yun et al. 2019.

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = CutMixBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> pasted = tf.reduce_mean(blended.x[0], axis=[1, 2])  # of ones into zeros, and of zeros into ones
        >>> bool(tf.reduce_all(pasted == [1 - blended.ratio[0], blended.ratio[1]]))
        True
    """

    def __init__(self, axes: int = 2):
        self.axes = _checks.integer("CutMixBlend", "axes", axes, minimum=1)
        if self.axes > 3:
            _checks.refuse("CutMixBlend", "axes", "1, 2 or 3", axes)

    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image_of(type(self).__name__, first, self.axes)
        return paste_boxes(first, second, partner, draw_boxes(ratio, as_seed(seed), axes=self.axes), self.axes)

    def get_config(self) -> dict[str, Any]:
        return {"axes": self.axes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CutMixBlend":
        return cls(**config)
