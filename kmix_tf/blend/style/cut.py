"""StyleCutMix: a box of the partner is pasted, and either side of its edge looks somewhat like the other."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend.base import Blended
from kmix_tf.blend.cutmix import box_mask, draw_boxes, inside_box, realised_ratio
from kmix_tf.blend.linear import join_interpolations, with_axes
from kmix_tf.blend.style.adain import in_style_of
from kmix_tf.blend.style.networks import Network, decoded, encoded
from kmix_tf.blend.style.styled import Images, StyledBlend, of_label, unless_whole
from kmix_tf.seeding import as_seed, split


@register
class StyleCutMixBlend(StyledBlend):
    """Pastes a box of the partner into the sample as CutMix does, and mixes their styles on both sides of its edge.

    With x_12 what the decoder makes of the first's features in the second's style (see `StyleMixBlend`), s the style
    ratio and g the plain share, both drawn here, and p_12 = g x_1 + (1 - g) x_12, the mixture is

        s x_1 + (1 - s) p_12   outside of the box,        (1 - s) x_2 + s p_21   in it.

    c is the sample's share of the area, clipped and in whole pixels. The content's label has c of the sample, the
    style's g c + (1 - g) s, and the label is r of the first and 1 - r of the second, r being `content_share`.
    `Blended.ratio` is c, its mask says where, and `Blended.label_ratio` is the share in the label; target maps are
    pasted with the mask, as content is. Other leaves of features are mixed linearly with the share in the label.

    Samples of ratio exactly 1 come back untouched with their whole label, as in `StyleMixBlend`, which also says how
    the networks are asked, saved, and why they are refused in hidden layers. Both images of a pair are decoded once,
    for all its interpolations, whose boxes are nested.

    Args:
        encoder, decoder, scope: as in `StyleMixBlend`.
        axes: how many axes after the batch's the box spans: 2 (default), 1 for signals, 3 for volumes and videos.
        style_alpha: style ratios are drawn from Beta(style_alpha, style_alpha); finite and >= 0, default 1. 0: the
            sample is as it was outside of the box.
        plain_alpha: g is drawn from Beta(plain_alpha, plain_alpha); finite and >= 0, default 0.8. 0: g is 1, which is
            CutMix.
        content_share: r, the part of the label that follows the content, in [0, 1], default 0.7.

    Call:
        `blend(first, second, partner, ratio, seed)`, as every blend. Returns `Blended`.

    Raises:
        TypeError, ValueError: as `StyleMixBlend`.

    Source: Hong et al. 2021, *StyleMix*; formula and defaults of their published code, with the box of the partner
    in the sample instead of the other way round, and the box at the images' own size. It mixes a batch with
    probability 0.5. Their variant that takes g from a table of distances between the classes' styles is left out: it
    takes such a table.

    Example:
        >>> encoder = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(4, 2, strides=2)])
        >>> decoder = keras.Sequential([keras.layers.Input((4, 4, 4)), keras.layers.Conv2DTranspose(1, 2, strides=2)])
        >>> layer = MixLayer(blend=StyleCutMixBlend(encoder, decoder), probability=0.5, num_classes=3)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 1]), tf.constant([2, 0, 1, 1]), seed=1)
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 1]), TensorShape([4, 3]))
    """

    @_checks.speaks
    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        axes: int = 2,
        *,
        style_alpha: float = 1.0,
        plain_alpha: float = 0.8,
        content_share: float = 0.7,
        scope: str = "batch",
    ):
        super().__init__(encoder, decoder, axes, style_alpha, content_share, scope)
        self.plain_alpha = _checks.number("plain_alpha", plain_alpha)

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        images = self._images(first, second, partner, ratio)
        seeds = split(as_seed(seed), 3)
        inside = inside_box(draw_boxes(ratio, seeds[0], axes=self.axes), _sizes(images.first, self.axes))
        content, mask = realised_ratio(inside), box_mask(inside)
        content.set_shape(ratio.shape)
        mask.set_shape([*ratio.shape, *images.first.shape[1 : 1 + self.axes]])
        style, plain = self._drawn(self.style_alpha, ratio, seeds[1]), self._drawn(self.plain_alpha, ratio, seeds[2])
        mixed = unless_whole(lambda: self.stylised(images, partner, mask, style, plain), images, ratio)
        label_ratio = of_label(content, of_label(content, style, plain), self.content_share)
        x = self._blended(first, second, partner, label_ratio, images, mixed)
        return Blended(x, content, mask, label_ratio=label_ratio)

    def stylised(
        self, images: Images, partner: tf.Tensor, mask: tf.Tensor, style: tf.Tensor, plain: tf.Tensor
    ) -> tf.Tensor:
        """Both images of each pair, each somewhat in the style of the other, and one pasted into the other.

        Args:
            mask: the sample's share at each place, float32 `(*ratio's shape, *axes)`.
            style, plain: float32 of the ratio's shape.

        Returns:
            float32 `(mixtures, ...)`.
        """
        restyled = [tf.gather(each, images.pairs) for each in self._restyled(images, partner)]
        raw = [tf.cast(images.first, tf.float32), tf.cast(images.second, tf.float32)]
        raw = [tf.gather(raw[0], images.rows), tf.gather(raw[1], images.partners)]
        axes = raw[0].shape.rank - 1
        style, plain = (with_axes(tf.reshape(each, [-1]), axes) for each in (style, plain))
        # What is restyled of the one outside of the box, and of the other in it.
        parts = [(1 - style) * (1 - plain), style * (1 - plain)]
        outside, within = (
            image + part * (other - image) for image, part, other in zip(raw, parts, restyled, strict=True)
        )
        mask = join_interpolations(mask) if mask.shape.rank > 1 + self.axes else mask
        return tf.where(with_axes(mask, axes - self.axes) > 0, outside, within)

    def _restyled(self, images: Images, partner: tf.Tensor) -> list[tf.Tensor]:
        """Of each pair, the sample in its partner's style, and the other way round."""
        ours = encoded(self.encoder, images.first)
        theirs = ours if images.second is images.first else encoded(self.encoder, images.second)
        rows = tf.broadcast_to(tf.range(tf.shape(partner)[-1]), tf.shape(partner))
        ours, theirs = (tf.gather(side, tf.reshape(which, [-1])) for side, which in ((ours, rows), (theirs, partner)))
        pairs = (ours, theirs), (theirs, ours)
        return [decoded(self.decoder, in_style_of(*pair), images.first) for pair in pairs]


def _sizes(image: tf.Tensor, axes: int) -> list[Any]:
    known = image.shape[1 : 1 + axes]
    return list(known) if known.is_fully_defined() else [tf.shape(image)[1 + axis] for axis in range(axes)]
