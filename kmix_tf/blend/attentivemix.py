"""Attentive CutMix: the partner's most attentive cells of a grid are pasted into the sample."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import image_of
from kmix_tf.blend.base import Blended
from kmix_tf.blend.cells import checked_grid, paste_cells, ranks_of, require_cells
from kmix_tf.blend.puzzle.blocks import block_means
from kmix_tf.blend.salient import TIE, SalientBlend
from kmix_tf.saliency.asking import given_pair
from kmix_tf.saliency.source import checked
from kmix_tf.seeding import as_seed, random_uniform


@fused(features=1)
def attentive_ranks(saliency: tf.Tensor, seed: tf.Tensor, *, grid: int, axes: int) -> tf.Tensor:
    """The order of each image's cells by how salient they are on average, the most salient first.

    Cells within a ten-thousandth of the largest are in a random order: those of a uniformly salient image all are.

    Args:
        saliency: float32 `(batch, *axes)`, >= 0. seed: integers `(2,)`.

    Returns:
        int32 `(batch, *grid)`, from 0.
    """
    shape = [tf.shape(saliency)[0], *[grid] * axes]
    means = tf.reshape(block_means(saliency, [grid] * axes), [shape[0], grid**axes])
    shares = tf.math.divide_no_nan(means, tf.reduce_max(means, axis=1, keepdims=True))
    return tf.reshape(ranks_of(shares + TIE * random_uniform(tf.shape(shares), seed)), shape)


@register
class AttentiveMixBlend(SalientBlend):
    """Pastes the partner's most attentive cells of a grid into the sample, where they are in the partner.

    Like `SaliencyMixBlend`, but what is pasted may lie in several places, so that it follows the object. Of the
    cells, `grid` along each axis, as many stay the sample's own as the ratio says, to the nearest whole number; the
    partner's are those that are the most salient on average, and targets follow their area in whole places. With
    several interpolations, cells are taken in one order for each pair, so those taken at a higher ratio are among
    those at a lower one. Cells that are equally salient are taken at random.

    Args:
        grid: how many cells there are along each axis, an integer >= 2, default 7, the authors' for ImageNet (8 for
            CIFAR). Images that it does not divide have cells that differ by one place along an axis.
        axes: how many axes after the batch's the grid spans: 2 (default) for images and spectrograms, 1 for signals,
            3 for volumes and videos. Leaves of features with fewer axes are mixed linearly with the ratio realised.
        saliency: a callable `(features, targets) -> float (batch, *axes)`, >= 0, such as `FeatureSaliency` of an
            attention model, as the authors have it; default None: of the model being trained in `MixModel`,
            `SpectralResidualSaliency(axes)` elsewhere.

    Call:
        `blend(first, second, partner, ratio, seed, saliency=None)`. saliency: None to ask the source, which then gets
        no targets; or a pair of tensors `(batch, *axes)`, of `first` and of `second`, of which the second counts.
        Returns `Blended`, whose ratio has the partners' shape.

    Raises:
        TypeError, ValueError: for other arguments; on a call, if no leaf has these axes, for images smaller than the
            grid, or for saliency of another shape.
        InvalidArgumentError: on the batch, for such images, if that shows only then, and for negative saliency. That
            of a sample with NaN is taken for uniform.

    Source: Walawalkar et al. 2020, *Attentive CutMix*. They paste 6 cells whatever the image, which is
    `MixLayer(ratio=UniformRatio(43 / 49, 43 / 49), blend=AttentiveMixBlend(saliency=FeatureSaliency(model)))`; a
    number of cells that follows the ratio drawn is what openmixup calls AttentiveMix+. Attention is that of a
    pretrained ResNet-50's last feature map, of which their code takes one channel, openmixup and `FeatureSaliency`
    the mean.

    Example:
        >>> x = np.zeros([2, 8, 8], np.float32)
        >>> x[1, :2, 6:] = x[1, 4:6, :2] = 1
        >>> x = tf.constant(x)
        >>> blend = AttentiveMixBlend(grid=4, saliency=lambda features, targets: features[0])
        >>> blended = blend([x], [x], tf.constant([1, 1]), tf.constant([0.875, 1.0]), seed=1)
        >>> float(tf.reduce_sum(blended.x[0][0])), float(blended.ratio[0])  # both bright cells of 16 are pasted
        (8.0, 0.875)
    """

    pastes = True

    @_checks.speaks
    def __init__(self, grid: int = 7, axes: int = 2, saliency: Callable | None = None):
        self.grid = checked_grid(grid)
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
        image = require_cells(image_of(second, self.axes), self.grid, self.axes)
        if saliency is None:
            of_second = self.saliency_of(second)
        else:
            of_second = checked(given_pair(saliency)[1], image, self.axes)
        ranks = attentive_ranks(of_second, as_seed(seed), grid=self.grid, axes=self.axes)
        # Each partner has an order of its own, also of several of one sample.
        return paste_cells(first, second, partner, ratio, tf.gather(ranks, partner), self.axes)
