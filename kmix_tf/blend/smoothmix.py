"""SmoothMix: the partner shows through a spot that fades out, without an edge; one in another for interpolations."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import image_of
from kmix_tf._shapes import Size
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.cutmix import middles
from kmix_tf.blend.linear import with_axes
from kmix_tf.blend.masked import blend_by_mask, for_each_partner
from kmix_tf.blend.shared import SCOPES, shared_by_pairs
from kmix_tf.seeding import as_seed, random_uniform

# Logarithms of 1 / (sigma sqrt(2)) between which spots are searched for: at the ends of them a spot's share is 1 or 0
# to within what float32 ratios can say. So many halvings make it exact to 1e-8 of itself.
_WIDEST, _NARROWEST, _HALVINGS = -11.0, 18.0, 32


@fused(features=0)
def rates_of(centre: tf.Tensor, ratio: tf.Tensor, *, axes: int) -> tf.Tensor:
    """How fast spots fade out for the partner's share in the whole to be 1 - ratio: 1 / (2 sigma^2).

    The share of a spot that is cut off at the edges is a product over the axes of means of exp(-rate (u - centre)^2)
    over u in [0, 1]: differences of error functions. It falls with the rate, which is found by halving.

    Args:
        centre: float32 `(batch, axes)` or `(mixtures, batch, axes)` in [0, 1).
        ratio: float32 `(batch,)` or `(mixtures, batch)`.

    Returns:
        float32 of the ratio's shape: infinity at ratio 1, which is no spot, and 0 at ratio 0, which is everywhere.
    """
    wanted = 1 - tf.cast(ratio, tf.float64)
    ends = [tf.cast(end, tf.float64) for axis in range(axes) for end in (centre[..., axis], 1 - centre[..., axis])]

    def halved(step: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        middle = (low + high) / 2
        is_too_wide = _share(tf.exp(middle), ends) > wanted
        return step + 1, tf.where(is_too_wide, middle, low), tf.where(is_too_wide, high, middle)

    begin = (tf.constant(0), tf.zeros_like(wanted) + _WIDEST, tf.zeros_like(wanted) + _NARROWEST)
    _, low, high = tf.while_loop(lambda step, *_: step < _HALVINGS, halved, begin)
    rate = tf.cast(tf.exp(low + high), tf.float32)
    return tf.where(ratio >= 1, math.inf, tf.where(ratio <= 0, 0.0, rate))


def _share(root: tf.Tensor, ends: Sequence[tf.Tensor]) -> tf.Tensor:
    """The share of spots in the whole. root: of the rate. ends: how far the edges are, two for each axis."""
    share: Any = 1.0
    for before, after in zip(ends[::2], ends[1::2], strict=True):
        share *= (tf.math.erf(before * root) + tf.math.erf(after * root)) * (math.sqrt(math.pi) / 2) / root
    return share


def mask_of_spots(centre: tf.Tensor, rate: tf.Tensor, *, sizes: Sequence[Size]) -> tf.Tensor:
    """The sample's share at each place: 0 in the middle of a spot, and near to 1 far from it."""
    axes, squares = len(sizes), tf.zeros([])
    for axis, size in enumerate(sizes):
        distance = middles(size) - centre[..., axis, tf.newaxis]
        along = (..., *[tf.newaxis] * axis, slice(None), *[tf.newaxis] * (axes - 1 - axis))
        squares += tf.square(distance[along])
    rate = with_axes(rate, axes)
    # Infinity times nothing is no number.
    return tf.where(tf.math.is_inf(rate), 1.0, -tf.math.expm1(-squares * rate))


@register
class SmoothMixBlend(BlendStrategy):
    """Shows the partner through a round spot that fades out, without an edge for a network to learn. Targets follow
    the mask's mean.

    The mask is G = exp(-|u - c|^2 / (2 sigma^2)), and the mixture (1 - G) x + G x', with u the place and c the middle
    of the spot, uniform in the image, both in units of its sides. So the partner is seen fully at c only, and the
    sample fully where G is too small for float32. sigma follows the ratio r: it is such that G, cut off at the edges,
    has the mean 1 - r over the image; where a pixel is not small beside sigma, the mean over pixels differs, and
    labels have that. With several interpolations, the spots of one pair share their middle, and the mask of a higher
    ratio is higher everywhere.

    Args:
        axes: how many axes after the batch's the spot spans: 2 (default) for images `(batch, height, width, ...)` and
            spectrograms `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
            Leaves of features with fewer axes are mixed linearly with the ratio realised. Of several leaves with
            these axes, all get the same spot, and targets follow the mean in the first.
        scope: "sample" (default), a spot for each sample; or "pair", one for both samples of a pair, of mutual
            pairings: with a ratio for each pair, both swap what it shows.

    Raises:
        ValueError: for other arguments; on a call, if no leaf has these axes.

    Source: Lee et al. 2020, *SmoothMix: a Simple Yet Effective Data Augmentation to Train Robust Classifiers*, its
    round masks. As openmixup computes it, nothing follows a ratio: sigma is uniform from 1/4 to 1/2 of the height,
    and a batch has one spot, round a whole pixel. (It gives each sample the other's share in the label.) In a square
    image the partner then has .25 on average at the least sigma and .58 at the greatest, as it has with
    `MixLayer(ratio=UniformRatio(0.42, 0.75), blend=SmoothMixBlend())`.

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = SmoothMixBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> tf.reduce_mean(blended.x[0], axis=[1, 2]).numpy().round(2).tolist()  # no whole number of places
        [0.25, 0.75]
    """

    axes: int

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
        image = image_of(first, self.axes)
        centre = random_uniform([tf.shape(image)[0], self.axes], as_seed(seed))
        # Of two loaders, a sample's partner is in no pair of its own.
        if self.by_pair and second is first:
            centre = shared_by_pairs(centre, partner)
        ratio = for_each_partner(partner, ratio)
        told = [centre, rates_of(centre, ratio, axes=self.axes)]
        return blend_by_mask(first, second, partner, ratio, told, mask_of=mask_of_spots, axes=self.axes)
