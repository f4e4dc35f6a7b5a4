"""A mix block as the blend of one batch, whose feature maps are known."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import after, require
from kmix_tf._images import has_places_of, image_of, joined, those
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.linear import interpolate_leaves
from kmix_tf.models.automix.block import MixBlock


class MaskBlend(BlendStrategy):
    """Mixes images by the masks that a block makes of their feature maps.

    Args:
        block: the block. maps: of all samples of the batch, float `(batch, *places, channels)`.
        margin: where a ratio or 1 - ratio is no more than this, images are mixed linearly; in [0, 0.5]. A ratio of 1
            gives the sample back exactly at any margin.
        drawn: whether labels have the ratio drawn, and not the mean of the mask.
    """

    axes: int

    def __init__(self, block: MixBlock, maps: tf.Tensor, margin: float = 0.0, drawn: bool = False):
        self.block, self.maps, self.margin, self.drawn = block, maps, margin, drawn
        self.axes = maps.shape.rank - 2

    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: Any = None,
    ) -> Blended:
        """Mixes feature tensors of one batch; `ratio` float32 `(batch,)` or `(interpolations, batch)`."""
        image = image_of(first, self.axes)
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        mask, realised = self._masks(partner, ratio, sizes_of(image, self.maps))
        alike = [has_places_of(leaf, image, self.axes) for leaf in first]
        ours, theirs = those(alike, first, second)
        masked = interpolate_leaves(ours, theirs, partner, mask, self.axes)
        ours, theirs = those([not is_so for is_so in alike], first, second)
        linear = interpolate_leaves(ours, theirs, partner, realised)
        return Blended(joined(alike, masked, linear), realised, mask, label_ratio=ratio if self.drawn else None)

    def _masks(self, partner: tf.Tensor, ratio: tf.Tensor, sizes: list[Any]) -> tuple[tf.Tensor, tf.Tensor]:
        """The masks `(*ratio's shape, *sizes)`, and their means."""
        count = tf.shape(partner)[-1]
        flat = tf.reshape(ratio, [-1])
        rows = tf.range(tf.size(flat)) % tf.maximum(count, 1)
        partners = tf.reshape(tf.broadcast_to(partner, tf.shape(ratio)), [-1])
        ours, theirs = (tf.gather(self.maps, which) for which in (rows, partners))
        mask = self.block.mask(ours, theirs, flat, sizes)
        is_linear = tf.minimum(flat, 1 - flat) <= self.margin
        # Not the mean of equal numbers, which rounds.
        realised = tf.where(is_linear, flat, tf.reduce_mean(mask, axis=range(1, 1 + self.axes)))
        alike = tf.reshape(flat, [-1, *[1] * self.axes])
        mask = tf.where(tf.reshape(is_linear, tf.shape(alike)), alike, mask)
        mask = tf.reshape(mask, tf.concat([tf.shape(ratio), tf.stack(sizes)], 0))
        mask.set_shape([*ratio.shape, *(size if isinstance(size, int) else None for size in sizes)])
        return mask, tf.ensure_shape(tf.reshape(realised, tf.shape(ratio)), ratio.shape)


def sizes_of(image: tf.Tensor, maps: tf.Tensor) -> list[Any]:
    """The sizes of images: integers where they are known, else tensors, which come once they are seen to do.

    Raises:
        ValueError: for images with other axes than the maps have, or smaller ones; of sizes that are not known
            beforehand, InvalidArgumentError on the batch.
    """
    require_images(image.shape, maps.shape)
    axes = maps.shape.rank - 2
    known, least = image.shape[1 : 1 + axes], tf.shape(maps)[1:-1]
    if known.is_fully_defined() and maps.shape[1:-1].is_fully_defined():
        return list(known)
    sizes = tf.shape(image)[1 : 1 + axes]
    is_so = tf.reduce_all(sizes >= least)
    sizes = after(require(is_so, "images must have at least as many places as the feature map."), [sizes])[0]
    return [size or sizes[axis] for axis, size in enumerate(known)]


def require_images(image: Any, maps: Any) -> None:
    """Refuses images that masks of such maps do not fit, as far as shapes are known.

    Args:
        image: the shape of images, `(batch, *sizes, ...)`. maps: of feature maps, `(batch, *places, channels)`.

    Raises:
        ValueError: saying what would do.
    """
    axes = maps.rank - 2
    if not axes + 1 <= image.rank <= axes + 2:
        raise _checks.problem(
            f"the feature map must have the axes of images. Received: a map of shape {maps} for images of shape "
            f"{image}. Take a layer whose output is (batch, {', '.join(['places'] * (image.rank - 2))}, channels)."
        )
    sizes = list(zip(image[1 : 1 + axes], maps[1:-1], strict=True))
    if any(None not in pair and pair[0] < pair[1] for pair in sizes):
        raise _checks.problem(
            f"images must have at least as many places as the feature map. Received: images of shape {image} and a "
            f"map of shape {maps}. Take a later layer, or one before what enlarges images."
        )
