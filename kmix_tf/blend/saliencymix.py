"""SaliencyMix: the partner's most salient part is pasted into the sample."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import image_of
from kmix_tf.blend.base import Blended
from kmix_tf.blend.cutmix import boxes_round, paste_boxes
from kmix_tf.blend.salient import TIE, SalientBlend
from kmix_tf.saliency.asking import given_pair
from kmix_tf.saliency.source import checked
from kmix_tf.seeding import as_seed, random_uniform


def salient_centre(saliency: tf.Tensor, seed: Any) -> tf.Tensor:
    """The most salient place of each image.

    Of places that are equally salient, to within a ten-thousandth of the largest saliency, the first is taken at or
    after a place drawn from the seed, row by row and starting over at the end: in an image that is uniformly salient,
    each place is as likely as any other.

    Args:
        saliency: float `(batch, *axes)`, finite and >= 0.
        seed: an integer, a pair, or an integer tensor `(2,)`.

    Returns:
        float32 `(batch, axes)`: the middle of the place in units of the whole, `(index + 0.5) / size`.

    Example:
        >>> salient_centre(tf.constant([[0.0, 0.0, 5.0, 1.0]]), seed=0).numpy()
        array([[0.625]], dtype=float32)
    """
    saliency = tf.convert_to_tensor(saliency)
    return _salient_centre(saliency, as_seed(seed), axes=saliency.shape.rank - 1)


@fused(features=1)
def _salient_centre(saliency: tf.Tensor, seed: tf.Tensor, *, axes: int) -> tf.Tensor:
    sizes = tf.shape(saliency)[1:]
    count = tf.reduce_prod(sizes)
    flat = tf.reshape(saliency, [-1, count])
    start = random_uniform([tf.shape(flat)[0], 1], seed) * tf.cast(count, tf.float32)
    start = tf.minimum(tf.cast(start, tf.int32), count - 1)
    steps = (tf.range(count) - start) % count
    salient = flat >= (1 - TIE) * tf.reduce_max(flat, axis=1, keepdims=True)
    index = (start[:, 0] + tf.reduce_min(tf.where(salient, steps, count), axis=1)) % count
    centre = []
    for size in reversed(tf.unstack(sizes, axes)):
        centre.append((tf.cast(index % size, tf.float32) + 0.5) / tf.cast(size, tf.float32))
        index //= size
    return tf.stack(centre[::-1], axis=1)


@register
class SaliencyMixBlend(SalientBlend):
    """Pastes the most salient box of the partner into the sample, at the same place: what it adds is an object.

    Like `CutMixBlend`, but for where the box is: its centre is the partner's most salient place instead of a random
    one, so that labels rarely speak of an object that the box missed. The box has the volume 1 - ratio before it is
    clipped at the edges; targets follow the area pasted, clipped and in whole pixels. With several interpolations,
    the boxes of one pair share their centre, so the smaller lie in the larger. Where the partner is uniformly
    salient, as an image of one colour is, the centre is random as in CutMix.

    Args:
        axes: how many axes after the batch's the box spans: 2 (default) for images and spectrograms, 1 for signals, 3
            for volumes and videos. Leaves of features with fewer axes are mixed linearly with the ratio realised.
        saliency: a callable `(features, targets) -> float (batch, *axes)`, >= 0, such as `GradientSaliency`; default
            None: of the model being trained in `MixModel`, `SpectralResidualSaliency(axes)` elsewhere.

    Call:
        `blend(first, second, partner, ratio, seed, saliency=None)`. saliency: None to ask the source, which then gets
        no targets; or a pair of tensors `(batch, *axes)`, of `first` and of `second`, of which the second counts.
        Returns `Blended`, whose ratio has the partners' shape.

    Raises:
        TypeError, ValueError: for other arguments; on a call, if no leaf has these axes, or for saliency of another
            shape.
        InvalidArgumentError: on the batch, for negative saliency. That of a sample with NaN is taken for uniform.

    Source: Uddin et al. 2021, *SaliencyMix*, Section 3. Their program takes the box of one sample of the batch for
    all; here each partner has its own, as in their text.

    Example:
        >>> x = np.zeros([2, 8, 8], np.float32)
        >>> x[1, 2, 6] = 1
        >>> x = tf.constant(x)
        >>> blended = SaliencyMixBlend()([x], [x], tf.constant([1, 1]), tf.constant([0.95, 1.0]), seed=1)
        >>> float(blended.x[0][0, 2, 6]), float(blended.ratio[0])  # one pixel of 64 is pasted: the bright one
        (1.0, 0.984375)
    """

    pastes = True

    @_checks.speaks
    def __init__(self, axes: int = 2, saliency: Callable | None = None):
        super().__init__(_checks.axes(axes), saliency)

    @_checks.speaks
    def __call__(
        self,
        first: Sequence[tf.Tensor],
        second: Sequence[tf.Tensor],
        partner: tf.Tensor,
        ratio: tf.Tensor,
        seed: Any,
        saliency: Any = None,
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image = image_of(second, self.axes)
        if saliency is None:
            of_second = self.saliency_of(second)
        else:
            of_second = checked(given_pair(saliency)[1], image, self.axes)
        # Each partner has a centre of its own, also of several of one sample.
        centre = tf.gather(salient_centre(of_second, seed), partner)
        ratio = tf.broadcast_to(ratio, tf.shape(partner)) if partner.shape.rank == 2 else ratio
        return paste_boxes(first, second, partner, boxes_round(centre, ratio))
