"""The spectral residual: what is unusual in an image's spectrum is salient. It needs no model."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import at_least_float32, fused
from kmix_tf._images import image_of
from kmix_tf.saliency.coarse import between_blocks, block_means_along
from kmix_tf.saliency.pooling import REACH, blurred
from kmix_tf.saliency.source import SaliencySource

# Amplitudes below this share of the root mean square say nothing: their logarithms would be those of rounding errors.
FLOOR = 1e-3

# Differences below this share of an image's largest value are rounding errors of means.
ROUNDING = 1e-6

_TRANSFORMS = {
    1: (tf.signal.fft, tf.signal.ifft),
    2: (tf.signal.fft2d, tf.signal.ifft2d),
    3: (tf.signal.fft3d, tf.signal.ifft3d),
}


@register
class SpectralResidualSaliency(SaliencySource):
    """Saliency of an image by itself: what its spectrum has beyond the smooth spectrum that most images share.

    The image is made grey (the mean of its channels) and shrunk to at most `size` places an axis by means of blocks;
    the logarithm of its spectrum's amplitude loses its mean over 3 neighbours an axis and is transformed back with
    the phase; the squares of that are smoothed and enlarged to the image's size. Neither brightness nor contrast
    change it. An image of one colour is uniformly salient.

    Args:
        axes: how many axes the image has: 2 (default) for images `(batch, height, width, ...)` and spectrograms
            `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
        size: at most so many places an axis are transformed; an integer >= 2, default 64, the paper's. Objects much
            larger than 1/10 of the image are salient at their edges, and then a smaller size helps.
        smoothing: standard deviation of the final Gaussian as a share of each axis, >= 0; default 0.04, which is 2.5
            of 64 places as in the authors' program.

    Call:
        `source(features, targets=None)`: the saliency of the first feature with so many axes: float32
        `(batch, *axes)`, >= 0. Targets are not looked at.

    Raises:
        ValueError: for other numbers; on a call, if no feature has so many axes.

    Source: Hou and Zhang 2007, *Saliency Detection: A Spectral Residual Approach*, Section 2. Unlike there the mean
    of the logarithm wraps round, as the spectrum does, and leaves out the image's own mean; and amplitudes have a
    floor of a thousandth of their root mean square.

    Example:
        >>> image = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype("float32")
        >>> image[0, 20:23, 8:11] += 4
        >>> saliency = SpectralResidualSaliency()([image])
        >>> [int(index) for index in np.unravel_index(np.argmax(saliency), (32, 32))]
        [21, 9]
    """

    @_checks.speaks
    def __init__(self, axes: int = 2, *, size: int = 64, smoothing: float = 0.04):
        self.axes = _checks.axes(axes)
        self.size = _checks.integer("size", size, minimum=2)
        self.smoothing = _checks.number("smoothing", smoothing)

    @_checks.speaks
    def __call__(self, features: Sequence[tf.Tensor], targets: Any = None) -> tf.Tensor:
        image = image_of([tf.convert_to_tensor(leaf) for leaf in features], self.axes)
        shape = tuple(image.shape[1:])
        if 0 in shape:
            raise _checks.problem(f"images must have places and channels to look at. Received: one of shape {shape}.")
        return _saliency(image, shape=shape, axes=self.axes, size=self.size, smoothing=self.smoothing)


@fused(features=1)
def _saliency(image: tf.Tensor, *, shape: tuple, axes: int, size: int, smoothing: float) -> tf.Tensor:
    image = tf.ensure_shape(image, [None, *shape])
    lengths = [image.shape[axis] or tf.shape(image)[axis] for axis in range(1, 1 + axes)]
    factors = [-(-length // size) for length in lengths]
    values = residual(_small_grey(image, factors), axes)
    for axis in range(1, 1 + axes):
        values = _smoothed(values, axis, smoothing, size)
    for axis, (factor, length) in enumerate(zip(factors, lengths, strict=True), start=1):
        values = between_blocks(values, axis, factor, length)
    return values


def residual(values: tf.Tensor, axes: int) -> tf.Tensor:
    """Squares of what is left of small grey images `(batch, *axes)` without the smooth part of their spectrum."""
    places = range(1, 1 + axes)
    values -= tf.reduce_mean(values, axis=places, keepdims=True)
    # To a sum of squares of 1, which is then the mean square of the amplitudes.
    length = tf.sqrt(tf.reduce_sum(tf.square(values), axis=places, keepdims=True))
    forward, backward = _TRANSFORMS[axes]
    spectrum = forward(_complex(tf.math.divide_no_nan(values, length)))
    is_mean = _is_first(tf.shape(values)[1:])
    common = _local_mean(_interpolated_at(is_mean, tf.math.log(tf.abs(spectrum) + FLOOR), axes), axes)
    # The amplitude's logarithm less what is common, with the phase: the spectrum divided by the common amplitude.
    return tf.square(tf.abs(backward(spectrum * _complex(tf.where(is_mean, 0.0, tf.exp(-common))))))


def _small_grey(image: tf.Tensor, factors: list[Any]) -> tf.Tensor:
    """Means of blocks, so many places long along each axis, and of all channels: float32 `(batch, *axes)`.

    What is missing in the last block is filled up from the edge. Images come out less a constant and within [-2, 2];
    those of one colour are exactly 0.
    """
    values, axes = at_least_float32(image), len(factors)
    for axis, factor in reversed(list(enumerate(factors, start=1))):
        values = block_means_along(values, axis, factor, image.shape.rank - 1 - axes if axis == axes else 0)
    largest = tf.reduce_max(tf.abs(values), axis=range(1, 1 + axes), keepdims=True)
    values = tf.math.divide_no_nan(values, largest)
    values -= values[(slice(None), *[slice(0, 1)] * axes)]
    return tf.cast(tf.where(tf.abs(values) < ROUNDING, tf.zeros_like(values), values), tf.float32)


def _smoothed(values: tf.Tensor, axis: int, smoothing: float, size: int) -> tf.Tensor:
    """Zeros beyond the edges, as in the authors' program, which makes up for edges being salient by themselves."""
    if smoothing == 0:
        return values
    width = smoothing * tf.cast(tf.shape(values)[axis], tf.float32)
    return blurred(values, axis, width, math.ceil(REACH * smoothing * (values.shape[axis] or size)))


def _is_first(sizes: tf.Tensor) -> tf.Tensor:
    """True at the first of so many places alone: bool, of these sizes."""
    return tf.reshape(tf.equal(tf.range(tf.reduce_prod(sizes)), 0), sizes)


def _interpolated_at(here: tf.Tensor, values: tf.Tensor, axes: int) -> tf.Tensor:
    """The mean of the nearest neighbours at one place; all other values as they are."""
    around = tf.add_n([tf.roll(values, shift, axis) for axis in range(1, 1 + axes) for shift in (-1, 1)])
    return tf.where(here, around / (2 * axes), values)


def _local_mean(values: tf.Tensor, axes: int) -> tf.Tensor:
    """The mean of 3 neighbours along each axis, which wraps round."""
    for axis in range(1, 1 + axes):
        values = tf.add_n([tf.roll(values, shift, axis) for shift in (-1, 0, 1)]) / 3
    return values


def _complex(values: tf.Tensor) -> tf.Tensor:
    return tf.complex(values, tf.zeros_like(values))
