"""ResizeMix: the whole partner, made smaller, is pasted into a box of the sample."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import have_axes, image_of, joined, those
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.linear import has_interpolations, interpolate_leaves, take_places, with_axes
from kmix_tf.blend.shared import SCOPES, shared_by_pairs
from kmix_tf.seeding import as_seed, random_uniform

RESIZES = ("nearest", "area")


class WholeBoxes(NamedTuple):
    """Boxes in whole places, all of them within the image: for each axis, the first place and how many there are,
    int64 of the ratio's shape. A box that has no place along one axis has none along any."""

    start: list[tf.Tensor]
    side: list[tf.Tensor]


def whole_boxes(ratio: tf.Tensor, corner: tf.Tensor, sizes: Sequence[tf.Tensor]) -> WholeBoxes:
    """Boxes of about the volume 1 - ratio, with sides of one share of each axis, rounded to whole places.

    Args:
        ratio: float32 `(batch,)` or `(interpolations, batch)`. corner: float32 `(batch, axes)` in [0, 1), or of the
            ratio's shape before the axes: where the box lies between both ends of each axis. With one corner, boxes
            of a larger ratio lie in those of a smaller one. sizes: int64 scalars, of the axes.
    """
    scale = tf.pow(tf.maximum(1 - ratio, 0), 1 / len(sizes))
    sides = [tf.cast(tf.round(scale * tf.cast(size, tf.float32)), tf.int64) for size in sizes]
    exists = tf.reduce_all(tf.stack([side > 0 for side in sides]), axis=0)
    sides = [tf.where(exists, tf.minimum(side, size), 0) for side, size in zip(sides, sizes, strict=True)]
    # In float64 the product of a multiple of 2^-23 with so many places is exact: boxes are nested to the place.
    starts = [
        tf.cast(tf.cast(at, tf.float64) * tf.cast(size - side + 1, tf.float64), tf.int64)
        for at, side, size in zip(tf.unstack(corner, len(sizes), axis=-1), sides, sizes, strict=True)
    ]
    return WholeBoxes([start + tf.zeros_like(side) for start, side in zip(starts, sides, strict=True)], sides)


def share_outside(boxes: WholeBoxes, sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    """The share of places outside the boxes: float32, 1 and 0 exactly where a box has none or all."""
    inside, total = tf.reduce_prod(tf.stack(boxes.side), axis=0), tf.reduce_prod(tf.stack(list(sizes)))
    # Of whole numbers, and the difference first: XLA divides by multiplying with the inverse.
    share = tf.cast(total - inside, tf.float64) / tf.cast(tf.maximum(total, 1), tf.float64)
    return tf.where(total > 0, tf.cast(share, tf.float32), tf.ones_like(share, tf.float32))


@register
class ResizeMixBlend(BlendStrategy):
    """Pastes the whole partner, made smaller, into a box of the sample. Targets follow the area pasted.

    CutMix may paste a piece of sky and call it half a bird; here all of the partner is seen. The box lies anywhere
    within the sample, each place as likely as any other, and is of whole pixels: its sides are (1 - ratio)^(1/axes)
    of the image's, rounded. With several interpolations the boxes of one pair are nested. At ratio 0 the mixture is
    the partner as it is, at ratio 1 the sample.

    Targets of the image's height and width, such as segmentation masks made one-hot, shrink with it: each place has
    the target of the nearest place of the partner. So do bounding boxes.

    Args:
        axes: how many axes after the batch's the box spans: 2 (default) for images `(batch, height, width, ...)` and
            spectrograms, 1 for signals `(batch, time, ...)`, 3 for volumes and videos. Leaves of features with fewer
            axes are mixed linearly with the ratio realised. Of several leaves with these axes, each gets the box at
            the same share of its own size, and targets follow the area in the first.
        resize: "nearest" (default, as in the published code), which makes no new values; or "area", the mean of what
            comes to lie in a place, without the patterns that leaving out places makes of fine textures. It costs a
            product of matrices for each axis.
        scope: "sample" (default), a place for each sample; or "pair", one for both samples of a pair, of mutual
            pairings.

    Call:
        `blend(first, second, partner, ratio, seed)`, see `BlendStrategy`. Features are of any dtype; integers come
        back in float32. Returns `Blended`, whose ratio, float32 in [0, 1], is the area that stays the sample's.

    Raises:
        ValueError: for other arguments; on a call, if no leaf has these axes.

    Source: Qin et al. 2020, *ResizeMix: Mixing Data with Preserved Object Information and True Labels*. Benchmarks'
    code (OpenMixup) draws a centre anywhere and squeezes the partner into what the image's edge leaves of the box,
    one box for the batch; here the box keeps its size, and each sample has its own place. (Nearest is by the middles
    of places, as in PIL, not by their first corners, as in PyTorch.)

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = ResizeMixBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> tf.reduce_mean(blended.x[0], axis=[1, 2]).numpy().tolist()  # of ones into zeros, and of zeros into ones
        [0.25, 0.75]
    """

    axes: int

    @_checks.speaks
    def __init__(self, axes: int = 2, resize: str = "nearest", scope: str = "sample"):
        self.axes = _checks.axes(axes)
        self.resize = _checks.choice("resize", resize, RESIZES)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"
        self.pastes = self.resize == "nearest"

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image, axes = image_of(first, self.axes), self.axes
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        corner = random_uniform(tf.stack([tf.shape(first[0])[0], axes]), as_seed(seed))
        # Of two loaders, a sample's partner is in no pair of its own.
        if self.by_pair and second is first:
            corner = shared_by_pairs(corner, partner)
        are_images = have_axes(first, axes)
        images, partners = those(are_images, first, second)
        ranks = (partner.shape.rank, ratio.shape.rank, corner.shape.rank)
        pasted, realised, mask, places, window = _paste(
            images, partners, partner, ratio, corner, axes=axes, resize=self.resize, ranks=ranks
        )
        sizes = image.shape[1 : 1 + axes]
        realised.set_shape(ratio.shape)
        mask.set_shape([*ratio.shape, *sizes])
        for each in places:
            each.set_shape([None, *sizes])
        ours, theirs = those([not use for use in are_images], first, second)
        linear = interpolate_leaves(ours, theirs, partner, realised)
        return Blended(joined(are_images, pasted, linear), realised, mask, tuple(places), window=window)


@fused(features=2)
def _paste(
    first: Sequence[tf.Tensor],
    second: Sequence[tf.Tensor],
    partner: tf.Tensor,
    ratio: tf.Tensor,
    corner: tf.Tensor,
    *,
    axes: int,
    resize: str,
    ranks: tuple[int, int, int],
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor, list[tf.Tensor], tf.Tensor]:
    """The pasted leaves, each with a box of its own size; of the first, the ratio realised, the mask, where what
    stands at its places comes from, and the box."""
    # Shapes that have varied once are unknown in a compiled function; the ranks must not be.
    partner, ratio = (
        tf.ensure_shape(each, [None] * rank) for each, rank in zip((partner, ratio), ranks, strict=False)
    )
    corner = tf.ensure_shape(corner, [None] * (ranks[2] - 1) + [axes])
    several = has_interpolations(partner, ratio)
    rows, partners = _rows(partner, ratio, several)
    leaves = []
    for ours, theirs in zip(first, second, strict=True):
        sizes = _sizes(ours, axes)
        boxes = whole_boxes(ratio, corner, sizes)
        flat = WholeBoxes(*([tf.reshape(each, [-1]) for each in part] for part in boxes))
        inside = _inside(flat, sizes)
        small = _shrunk(theirs, partners, flat, sizes, resize)
        own = ours if not several else tf.gather(ours, rows)
        wide = ours.dtype if ours.dtype.is_floating else tf.dtypes.float32
        extra = ours.shape.rank - 1 - axes
        leaves.append(tf.where(with_axes(inside, extra), tf.cast(small, wide), tf.cast(own, wide)))
        if len(leaves) == 1:
            mask = tf.where(inside, 0.0, 1.0)
            mask = tf.reshape(mask, tf.concat([tf.shape(ratio), tf.shape(mask)[1:]], 0))
            realised, places = share_outside(boxes, sizes), [_itself(inside, sizes), _moved(flat, sizes)]
            window = _window(flat)
    return leaves, realised, mask, places, window


def _window(boxes: WholeBoxes) -> tf.Tensor:
    """The first place and the end of boxes, float32 `(mixtures, axes, 2)`."""
    ends = [[start, start + side] for start, side in zip(boxes.start, boxes.side, strict=True)]
    return tf.cast(tf.stack([tf.stack(pair, axis=-1) for pair in ends], axis=1), tf.float32)


def _rows(partner: tf.Tensor, ratio: tf.Tensor, several: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """The rows of all mixtures' samples and partners, int32 `(mixtures,)` both."""
    if not several:
        return tf.range(tf.shape(partner)[0]), partner
    shape = tf.shape(ratio)
    rows = tf.range(shape[1])
    partner = tf.broadcast_to(partner, shape)
    return tf.reshape(tf.broadcast_to(rows, shape), [-1]), tf.reshape(partner, [-1])


def _sizes(leaf: tf.Tensor, axes: int) -> list[tf.Tensor]:
    return tf.unstack(tf.shape(leaf, tf.int64)[1 : 1 + axes], axes)


def _along(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Values `(mixtures, size)` of each axis, with axes of length 1 in the places of the others."""
    made = []
    for axis, of_axis in enumerate(values):
        shape = tf.shape(of_axis)
        ones = [1] * axis, [1] * (len(values) - 1 - axis)
        made.append(tf.reshape(of_axis, tf.stack([shape[0], *ones[0], shape[1], *ones[1]])))
    return made


def _inside(boxes: WholeBoxes, sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    """Which places are in the box, bool `(mixtures, *sizes)`."""
    in_axes = []
    for start, side, size in zip(*boxes, sizes, strict=True):
        steps = tf.range(size) - start[:, tf.newaxis]
        in_axes.append((steps >= 0) & (steps < side[:, tf.newaxis]))
    inside, *others = _along(in_axes)
    for of_axis in others:
        inside = inside & of_axis
    return inside


def _itself(inside: tf.Tensor, sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    """Each place's own number, int32 `(mixtures, *sizes)`."""
    numbers = tf.reshape(tf.range(tf.reduce_prod(tf.stack(list(sizes)))), tf.stack(list(sizes)))
    return tf.cast(numbers, tf.int32) + tf.zeros_like(inside, tf.int32)


def _moved(boxes: WholeBoxes, sizes: Sequence[tf.Tensor]) -> tf.Tensor:
    """Which place of the partner is seen at each place of the box: the one that the middle of it falls in. int32
    `(mixtures, *sizes)`, counted row by row; outside the box, any."""
    number: Any = 0
    sources = []
    for start, side, size in zip(*boxes, sizes, strict=True):
        start, side = start[:, tf.newaxis], tf.maximum(side[:, tf.newaxis], 1)
        steps = tf.clip_by_value(tf.range(size) - start, 0, side - 1)
        sources.append((2 * steps + 1) * size // (2 * side))
    for source, size in zip(_along(sources), sizes, strict=True):
        number = number * size + source
    return tf.cast(number, tf.int32)


def _shrunk(
    leaf: tf.Tensor, partners: tf.Tensor, boxes: WholeBoxes, sizes: Sequence[tf.Tensor], resize: str
) -> tf.Tensor:
    """Whole partners in boxes, `(mixtures, *sizes, ...)`; outside the boxes, anything finite."""
    if resize == "nearest":
        return take_places(leaf, partners, _moved(boxes, sizes))
    wide = tf.float64 if leaf.dtype == tf.float64 else tf.float32
    taken, shape = tf.cast(tf.gather(leaf, partners), wide), tf.unstack(tf.shape(leaf), leaf.shape.rank)
    count = tf.size(partners)
    result = taken
    for axis, (start, side, size) in enumerate(zip(*boxes, sizes, strict=True)):
        before, after = shape[1 : 1 + axis], shape[2 + axis :]
        lead, rest = (tf.reduce_prod(tf.stack([1, *part])) for part in (before, after))
        flat = tf.reshape(result, tf.stack([count, lead, tf.cast(size, tf.int32), rest]))
        result = tf.matmul(_means(start, side, size, wide)[:, tf.newaxis], flat)
    return tf.reshape(result, tf.stack([count, *shape[1:]]))


def _means(start: tf.Tensor, side: tf.Tensor, size: tf.Tensor, wide: tf.DType) -> tf.Tensor:
    """Along one axis, the share of each place of the partner in what each place of the box shows: rows of sum 1,
    `(mixtures, size, size)`; all 0 outside the box."""
    # In units in which places of the partner have the length `side`, and those of the box `size`: in integers.
    start, side = start[:, tf.newaxis, tf.newaxis], side[:, tf.newaxis, tf.newaxis]
    steps = tf.range(size)[:, tf.newaxis] - start
    place = tf.range(size) * side
    overlap = tf.minimum((steps + 1) * size, place + side) - tf.maximum(steps * size, place)
    inside = (steps >= 0) & (steps < side)
    shown = tf.where(inside, tf.maximum(overlap, 0), 0)
    # XLA divides by multiplying with the inverse, after which n / n may not be 1.
    return tf.where(shown < size, tf.cast(shown, wide) / tf.cast(tf.maximum(size, 1), wide), tf.ones([], wide))
