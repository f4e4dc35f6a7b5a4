"""StyleMix: features are mixed by content and by style, and decoded."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf.blend.base import Blended
from kmix_tf.blend.style.adain import mix_content_and_style
from kmix_tf.blend.style.networks import Network, decoded, encoded
from kmix_tf.blend.style.styled import Images, StyledBlend, of_label, unless_whole
from kmix_tf.seeding import as_seed, split


@register
class StyleMixBlend(StyledBlend):
    """Mixes what images show and how they look in different ratios: a cat's shape with a sketch's strokes.

    An encoder makes feature maps f of both samples. The content of one in the style of the other is f_12 = s_2 (f_1 -
    m_1) / s_1 + m_2, with m and s the mean and deviation of each channel over all places. With content ratio c, the
    mix's own ratio, and style ratio s, drawn here, the mixture is what the decoder makes of

        t f_11 + (c - t) f_12 + (s - t) f_21 + (1 - c - s + t) f_22,   t uniform in [max(0, c + s - 1), min(c, s)],

    and the sample's share in its label is r c + (1 - r) s, r being `content_share`. `Blended.ratio` is c, and
    `Blended.label_ratio` that share; other leaves of features are mixed linearly with the latter.

    **Whole samples are not touched.** Where the ratio is exactly 1, as of a sample that is its own partner and of
    batches that are not mixed, the result is x itself with the whole label, and not the decoder's version of x; where
    all are, neither network is asked. In the formula, c = s = 1 gives decoder(encoder(x)).

    Both networks are asked as in inference, on float32 images as they are: whatever scaling, resizing or clipping
    they need must be in them (the authors resize to 224 pixels before, and back after). They are not trained, and no
    gradient flows through them: for images, then, and refused in the hidden layers of a `ManifoldMixModel`. In
    `tf.data` pipelines they run on the CPU, one encoding for each sample and one decoding for each mixture;
    `MixModel` runs them on the model's device. Keras models' weights are saved with the layer in `.keras` files, but
    not in `get_config`; pipelines with them read variables: to checkpoint their iterators, set
    `tf.data.Options.experimental_external_state_policy` to IGNORE.

    Several interpolations have a style ratio each, which descend as theirs do; pairs may be matched, weighed, or of
    two loaders, as in every mix.
    Targets that are maps are averaged with the share in the label.

    Example:
        >>> encoder = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(4, 2, strides=2)])
        >>> decoder = keras.Sequential([keras.layers.Input((4, 4, 4)), keras.layers.Conv2DTranspose(1, 2, strides=2)])
        >>> blend = StyleMixBlend(encoder, decoder)  # to be trained as an autoencoder first
        >>> layer = MixLayer(ratio=BetaRatio(0.5), blend=blend, probability=0.2, num_classes=3)
        >>> x, y = layer(tf.random.uniform([4, 8, 8, 1]), tf.constant([2, 0, 1, 1]), seed=1)
        >>> x.shape, y.shape
        (TensorShape([4, 8, 8, 1]), TensorShape([4, 3]))

    Args:
        encoder: a built Keras model, or a callable, of images `(batch, ...)`, that gives maps
            `(batch, *places, channels)` of at least two places.
        decoder: the same of such maps, that gives images of the shape that the encoder was given.
        axes: how many axes the image has after the batch's, by which it is found among features: 2 (default), 1 for
            signals, 3 for volumes and videos. Of several, the first is mixed so.
        style_alpha: style ratios are drawn from Beta(style_alpha, style_alpha); finite and >= 0, default 0.5. 0: the
            style is the sample's. The authors draw contents with the same alpha: `BetaRatio(0.5)`.
        content_share: r, the part of the label that follows the content, in [0, 1], default 0.7.
        scope: whether the batch shares a style ratio and t, "batch" (default, as the authors have it), or each sample
            has its own: "sample".

    Call:
        `blend(first, second, partner, ratio, seed)`, as every blend. Returns `Blended`.

    Raises:
        TypeError, ValueError: for other arguments, or models without weights; on a call, for features without such an
            axis, an encoder that does not take the images or gives no maps, a decoder that does not take the maps or
            gives other shapes than the images'.

    Source: Hong et al. 2021, *StyleMix: Separating Content and Style for Enhanced Data Augmentation*; formula and
    defaults of their published code, which mixes a batch with probability 0.2. It divides variances by places - 1,
    which cancels but for the 1e-5 that is added to them.
    """

    @_checks.speaks
    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        axes: int = 2,
        *,
        style_alpha: float = 0.5,
        content_share: float = 0.7,
        scope: str = "batch",
    ):
        super().__init__(encoder, decoder, axes, style_alpha, content_share, scope)

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        images = self._images(first, second, partner, ratio)
        seeds = split(as_seed(seed), 2)
        style, overlap = self._drawn(self.style_alpha, ratio, seeds[0]), self._uniform(ratio, seeds[1])
        mixed = unless_whole(lambda: self.stylised(images, ratio, style, overlap), images, ratio)
        label_ratio = of_label(ratio, style, self.content_share)
        x = self._blended(first, second, partner, label_ratio, images, mixed)
        return Blended(x, ratio, label_ratio=label_ratio)

    def stylised(self, images: Images, content: tf.Tensor, style: tf.Tensor, overlap: tf.Tensor) -> tf.Tensor:
        """What the decoder makes of the mixed features, float32 `(mixtures, ...)`.

        Args:
            content, style, overlap: float32 `(batch,)` or `(interpolations, batch)`; see `mix_content_and_style`.
        """
        ours = encoded(self.encoder, images.first)
        theirs = ours if images.second is images.first else encoded(self.encoder, images.second)
        flat = [tf.reshape(each, [-1]) for each in (content, style, overlap)]
        sides = tf.gather(ours, images.rows), tf.gather(theirs, images.partners)
        return decoded(self.decoder, mix_content_and_style(*sides, *flat), images.first)
