"""What blends that mix style have in common: two networks, and ratios that they draw themselves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._images import image_of
from kmix_tf.backends import is_asked_on_host
from kmix_tf.blend.base import BlendStrategy
from kmix_tf.blend.linear import interpolate_leaves, with_axes
from kmix_tf.blend.style.networks import Network, checked_network
from kmix_tf.ratio.beta import sample_beta
from kmix_tf.seeding import random_uniform

SCOPES = ("batch", "sample")


class Images(NamedTuple):
    """The images of both sides, `(batch, ...)`, the same tensor for one batch; and who is mixed with whom, rows of
    either, int32 `(mixtures,)`. pairs: int32 `(mixtures,)`, the place of each in the flat list of partners."""

    first: tf.Tensor
    second: tf.Tensor
    rows: tf.Tensor
    partners: tf.Tensor
    pairs: tf.Tensor


class StyledBlend(BlendStrategy):
    """A blend of images that mixes their styles. A subclass says how in `__call__`."""

    axes: int
    stops_gradients = True

    @_checks.speaks
    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        axes: int,
        style_alpha: float,
        content_share: float,
        scope: str,
    ):
        self.encoder = checked_network("encoder", encoder)
        self.decoder = checked_network("decoder", decoder)
        self.axes = _checks.axes(axes)
        self.style_alpha = _checks.number("style_alpha", style_alpha)
        self.content_share = _checks.probability("content_share", content_share)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.runs_on_host = any(is_asked_on_host(network) for network in (encoder, decoder))

    @property
    def models(self) -> list[Any]:
        """Those of its networks that have weights to be saved."""
        return [network for network in (self.encoder, self.decoder) if isinstance(network, keras.layers.Layer)]

    def _images(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor
    ) -> Images:
        """The first image of either side, and the pairs of all mixtures."""
        image = image_of(first, self.axes)
        at = next(index for index, leaf in enumerate(first) if leaf is image)
        everyone = tf.broadcast_to(tf.range(tf.shape(partner)[-1]), tf.shape(ratio))
        partners = tf.broadcast_to(partner, tf.shape(ratio))
        rows, partners = (tf.reshape(each, [-1]) for each in (everyone, partners))
        pairs = tf.range(tf.size(ratio)) if partner.shape.rank == 2 else rows
        return Images(image, second[at], rows, partners, pairs)

    def _drawn(self, alpha: float, ratio: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Ratios from Beta(alpha, alpha) of the ratio's shape, 1 where that is 1: such mixtures are the sample.

        Those of several interpolations descend, as the mix's own do.
        """
        drawn = sample_beta(self._drawn_shape(ratio), alpha, seed)
        drawn = drawn if ratio.shape.rank == 1 else tf.sort(drawn, axis=0, direction="DESCENDING")
        return tf.where(tf.equal(ratio, 1), tf.ones([]), tf.broadcast_to(drawn, tf.shape(ratio)))

    def _uniform(self, ratio: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(random_uniform(self._drawn_shape(ratio), seed), tf.shape(ratio))

    def _drawn_shape(self, ratio: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(ratio)
        return tf.concat([shape[:-1], [1]], 0) if self.scope == "batch" else shape

    def _blended(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        label_ratio: tf.Tensor,
        images: Images,
        mixed: tf.Tensor,
    ) -> list[tf.Tensor]:
        """All leaves: the images' mixtures, and others mixed linearly with the share in the label."""
        at = next(index for index, leaf in enumerate(first) if leaf is images.first)
        ours, theirs = ([*side[:at], *side[at + 1 :]] for side in (first, second))
        leaves = interpolate_leaves(ours, theirs, partner, label_ratio)
        return [*leaves[:at], mixed, *leaves[at:]]


def of_label(content: tf.Tensor, style: tf.Tensor, content_share: float) -> tf.Tensor:
    """The share in the label, which is 1 exactly where both are."""
    return style + content_share * (content - style)


def unless_whole(make: Any, images: Images, ratio: tf.Tensor) -> tf.Tensor:
    """What `make` gives, float32 `(mixtures, ...)`, but samples of ratio 1 as they are.

    Where all are such, it is not asked. In the images' dtype, or float32 for integers.
    """
    whole = tf.reshape(tf.equal(ratio, 1), [-1])
    dtype = images.first.dtype if images.first.dtype.is_floating else tf.float32
    shape = [None, *images.first.shape[1:]]

    def kept() -> tf.Tensor:
        return tf.ensure_shape(tf.cast(tf.gather(images.first, images.rows), dtype), shape)

    def made() -> tf.Tensor:
        mixed = tf.cast(make(), dtype)
        return tf.ensure_shape(tf.where(with_axes(whole, len(shape) - 1), kept(), mixed), shape)

    return tf.cond(tf.reduce_all(whole), kept, made)
