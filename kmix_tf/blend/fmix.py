"""FMix: the partner shows through a mask of any shape, cut from smooth noise; nested masks for interpolations."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import ndtri

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import fused
from kmix_tf._images import have_axes, image_of
from kmix_tf.blend.base import Blended, BlendStrategy
from kmix_tf.blend.linear import interpolate_leaves
from kmix_tf.blend.shared import SCOPES, shared_by_pairs
from kmix_tf.seeding import as_seed, random_bits

_FFT = {1: tf.signal.fft, 2: tf.signal.fft2d, 3: tf.signal.fft3d}

# Noise is compared in so many steps of its range: fewer than float64 has, so that rounding hardly moves a place.
_STEPS = 2.0**30
_INDEX = 2**31  # More than there are places.


@functools.cache
def _quantiles() -> np.ndarray:
    """65,536 equally likely values of a standard normal variable, float32."""
    return ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)


def standard_normals(count: tf.Tensor, size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal float32 `(count, size)`, two of each integer drawn.

    Looked up, not computed: logarithms differ in their last digit between XLA and TensorFlow's own kernels.
    """
    bits = random_bits([count, (size + 1) // 2], seed)
    halves = tf.stack([bits & 0xFFFF, tf.bitwise.right_shift(bits, 16) & 0xFFFF], axis=-1)
    normals = tf.gather(tf.constant(_quantiles()), halves)
    return tf.reshape(normals, [count, size + size % 2])[:, :size]


def _amplitudes(sizes: Sequence[tf.Tensor], decay: float) -> tf.Tensor:
    """1 / frequency^decay on the grid of the discrete Fourier transform, 1 at the lowest: float64, shape `sizes`.

    Frequencies are in cycles per place, their root sum of squares over the axes, at least 1 / the largest size.
    """
    squares = tf.zeros([], tf.float64)
    for axis, size in enumerate(sizes):
        index = tf.range(size)
        frequency = tf.cast(tf.minimum(index, size - index), tf.float64) / tf.cast(size, tf.float64)
        squares += tf.reshape(frequency**2, [-1] + [1] * (len(sizes) - 1 - axis))
    lowest = 1 / tf.cast(functools.reduce(tf.maximum, sizes), tf.float64)
    return tf.pow(lowest / tf.maximum(tf.sqrt(squares), lowest), tf.constant(decay, tf.float64))


def noise(image: tf.Tensor, seed: tf.Tensor, *, axes: int, decay: float) -> tf.Tensor:
    """Draws smooth noise for each image, whose spectrum falls with frequency^-decay: complex128 `(batch, *axes)`.

    The noise is the real part minus the imaginary one: the Hartley transform of real white noise. Its covariance is
    that of the paper's field, the real part of the inverse transform of complex noise, with half the draws. Only its
    order counts, so it is not scaled; and its transform runs in float64, for the same order on any device.
    """
    return _FFT[axes](_spectrum(image, seed, axes=axes, decay=decay))


# The transform itself is left out: TensorFlow's own is up to twenty times as fast as older XLA's.
@fused(features=1)
def _spectrum(image: tf.Tensor, seed: tf.Tensor, *, axes: int, decay: float) -> tf.Tensor:
    sizes = _sizes(image, axes)
    count = tf.shape(image)[0]
    white = standard_normals(count, functools.reduce(tf.multiply, sizes), seed)
    white = tf.cast(tf.reshape(white, [count, *sizes]), tf.float64)
    return tf.cast(white * _amplitudes(sizes, decay), tf.complex128)


def _sizes(image: tf.Tensor, axes: int) -> list[tf.Tensor]:
    return tf.unstack(tf.shape(image)[1 : 1 + axes], axes)


@fused(features=1)
def noise_mask(transform: tf.Tensor, ratio: tf.Tensor, *, axes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives each sample the places where its noise is highest, as many as the ratio says, rounded to a whole number.

    Args:
        transform: complex128 `(batch, *axes)`, of `noise`.
        ratio: float32 `(batch,)` or `(interpolations, batch)`.

    Returns:
        The mask, 1 where the sample is kept and 0 elsewhere, float32 of the ratio's shape and then the axes; and the
        share kept, float32 of the ratio's shape.
    """
    sizes = _sizes(transform, axes)
    field = tf.reshape(tf.math.real(transform) - tf.math.imag(transform), [tf.shape(transform)[0], -1])
    places = tf.shape(field)[1]
    # In float64: a float32 product with many places is off by more than a rounding, and XLA divides by multiplying
    # with the inverse, after which n / n may not be 1.
    every = tf.cast(places, tf.float64)
    count = tf.clip_by_value(tf.round(tf.cast(ratio, tf.float64) * every), 0, every)
    # NaN has no whole number, and a search for one would not end.
    whole = tf.where(tf.math.is_nan(count), 0, tf.cast(count, tf.int32))
    mask = tf.cast(highest(field, whole), tf.float32)
    share = tf.cast(count / tf.maximum(every, 1), tf.float32)
    mask = tf.reshape(mask, tf.concat([tf.shape(ratio), tf.stack(sizes)], 0))
    return mask, tf.where(places > 0, share, tf.ones_like(share))


def highest(field: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Marks the `count` highest of each row: bool, count's shape and then the places.

    Args:
        field: float64 `(batch, places)`. Of equal values, later ones count as higher.
        count: int32 `(batch,)` or `(interpolations, batch)`, from 0 to places.
    """
    order = _ordered(field)
    return order >= _threshold(order, count)[..., tf.newaxis]


def _ordered(field: tf.Tensor) -> tf.Tensor:
    """Different integers in the order of a field's values, or of their places where values are equal: int64."""
    low = tf.reduce_min(field, axis=1, keepdims=True)
    height = tf.math.divide_no_nan(field - low, tf.reduce_max(field, axis=1, keepdims=True) - low)
    return tf.cast(height * _STEPS, tf.int64) * _INDEX + tf.range(tf.shape(field, tf.int64)[1])


class _Bracket(NamedTuple):
    """Two thresholds, int64, and how many lie at or above each, int32: at least as many as wanted, and at most."""

    low: tf.Tensor
    high: tf.Tensor
    above_low: tf.Tensor
    above_high: tf.Tensor


def _threshold(order: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """A number that exactly `count` of each row reach: int64 of count's shape.

    Searched for by counting, which takes a few passes over memory; sorting took five to thirty times as long.
    """
    zeros = tf.zeros_like(count)
    # An empty row has no least element; any bracket will do then.
    low = tf.reduce_min(tf.minimum(order, _INDEX**2 // 2), axis=1)
    high = tf.reduce_max(tf.maximum(order, 0), axis=1) + 1
    bracket = _Bracket(
        low + tf.zeros_like(count, tf.int64), high + tf.zeros_like(count, tf.int64), zeros + tf.shape(order)[1], zeros
    )
    _, bracket = tf.while_loop(
        lambda step, bracket: tf.reduce_any(~_is_found(bracket, count)),
        lambda step, bracket: (step + 1, _narrowed(order, count, bracket, step)),
        (tf.constant(0), bracket),
    )
    return tf.where(bracket.above_low == count, bracket.low, bracket.high)


def _is_found(bracket: _Bracket, count: tf.Tensor) -> tf.Tensor:
    return (bracket.above_low == count) | (bracket.above_high == count)


def _narrowed(order: tf.Tensor, count: tf.Tensor, bracket: _Bracket, step: tf.Tensor) -> _Bracket:
    """One step of the search: counts at a threshold between, where the count would be right if it fell evenly; or,
    in every third step, in the middle, so that the search ends wherever values lie."""
    fall = tf.cast(bracket.above_low - bracket.above_high, tf.float64)
    even = tf.math.divide_no_nan(tf.cast(bracket.above_low - count, tf.float64), fall)
    part = tf.where(step % 3 == 2, tf.fill(tf.shape(even), tf.constant(0.5, tf.float64)), even)
    width = tf.cast(bracket.high - bracket.low, tf.float64)
    middle = bracket.low + tf.cast(part * width, tf.int64)
    middle = tf.maximum(tf.minimum(middle, bracket.high - 1), bracket.low + 1)
    above = tf.reduce_sum(tf.cast(order >= middle[..., tf.newaxis], tf.int32), axis=-1)
    found = _is_found(bracket, count)
    raised, lowered = ~found & (above >= count), ~found & (above < count)
    return _Bracket(
        tf.where(raised, middle, bracket.low),
        tf.where(lowered, middle, bracket.high),
        tf.where(raised, above, bracket.above_low),
        tf.where(lowered, above, bracket.above_high),
    )


def fit_mask(mask: tf.Tensor, lead: int, leaf: tf.Tensor, axes: int) -> tf.Tensor:
    """The mask at the places of a leaf of other sizes, by the place whose share of the whole each middle is in.

    `lead`: how many axes the mask has before those of the places.
    """
    if leaf.shape[1 : 1 + axes].is_fully_defined() and mask.shape[lead:] == leaf.shape[1 : 1 + axes]:
        return mask
    for axis in range(axes):
        old, new = tf.shape(mask, tf.int64)[lead + axis], tf.shape(leaf, tf.int64)[1 + axis]
        mask = tf.gather(mask, (2 * tf.range(new) + 1) * old // (2 * new), axis=lead + axis)
    return mask


@register
class FMixBlend(BlendStrategy):
    """Shows the partner through a mask of any shape: where smooth noise is low. Targets follow the mask's mean.

    As many places stay the sample's own as the ratio says, to the nearest whole number: the highest of the noise,
    counted exactly. (The paper's code rounds up or down at random.) With several interpolations, the masks of one
    pair are cut from the same noise, so the places of a higher ratio contain those of a lower one.

    Args:
        decay: how fast the noise's amplitude falls with frequency, as frequency^-decay; finite and >= 0, default 3.
            0 is white noise, single places; large values give a few large areas.
        axes: how many axes after the batch's the mask spans: 2 (default) for images `(batch, height, width, ...)`
            and spectrograms `(batch, time, frequency)`, 1 for signals `(batch, time, ...)`, 3 for volumes and videos.
            Leaves of features with fewer axes are mixed linearly with the ratio realised. Of several leaves with
            these axes, all get the same mask, scaled to their size, and targets follow the mean in the first.
        scope: "sample" (default), noise for each sample; or "pair", one for both samples of a pair, of mutual
            pairings: with a ratio for each pair, both swap what is behind it.

    Raises:
        ValueError: for other arguments; on a call, if no leaf has these axes, or for several mutual pairings.

    Source: Harris et al. 2020 (arXiv 2002.12047), Section 4; the nested masks are multi-mix, Section III-A.

    Example:
        >>> x = tf.stack([tf.zeros([4, 4]), tf.ones([4, 4])])
        >>> blended = FMixBlend()([x], [x], tf.constant([1, 0]), tf.constant([0.75, 0.75]), seed=1)
        >>> tf.reduce_mean(blended.x[0], axis=[1, 2]).numpy().tolist()  # of ones into zeros, and of zeros into ones
        [0.25, 0.75]
    """

    axes: int
    pastes = True

    @_checks.speaks
    def __init__(self, decay: float = 3.0, axes: int = 2, scope: str = "sample"):
        self.decay = _checks.number("decay", decay)
        self.axes = _checks.axes(axes)
        self.scope = _checks.choice("scope", scope, SCOPES)
        self.by_pair = self.scope == "pair"

    @_checks.speaks
    def __call__(
        self, first: Sequence[tf.Tensor], second: Sequence[tf.Tensor], partner: tf.Tensor, ratio: tf.Tensor, seed: Any
    ) -> Blended:
        """Mixes feature tensors; `ratio` float32 `(batch,)` or `(interpolations, batch)`; see `interpolate`."""
        image = image_of(first, self.axes)
        mask, realised = self.draw(image, ratio, seed, partner if second is first else None)
        lead = ratio.shape.rank

        def blend_leaf(ours: tf.Tensor, theirs: tf.Tensor, is_masked: bool) -> tf.Tensor:
            share = fit_mask(mask, lead, ours, self.axes) if is_masked else realised
            return interpolate_leaves([ours], [theirs], partner, share, self.axes if is_masked else 0)[0]

        x = [blend_leaf(*leaf) for leaf in zip(first, second, have_axes(first, self.axes), strict=True)]
        return Blended(x, realised, mask)

    def draw(
        self, image: tf.Tensor, ratio: tf.Tensor, seed: Any, partner: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Masks for a batch of images: float32, the ratio's shape and then the axes; and their means.

        partner: of one batch, for pairs that share their noise; None of two.
        """
        field = noise(image, as_seed(seed), axes=self.axes, decay=self.decay)
        if self.by_pair and partner is not None:
            field = shared_by_pairs(field, self._of_one_pairing(partner))
        mask, realised = noise_mask(field, ratio, axes=self.axes)
        mask.set_shape([*ratio.shape, *image.shape[1 : 1 + self.axes]])
        realised.set_shape(ratio.shape)
        return mask, realised

    @staticmethod
    def _of_one_pairing(partner: tf.Tensor) -> tf.Tensor:
        if partner.shape.rank == 2:
            raise _checks.problem(
                "scope must be 'sample' where a batch is paired several times: its noise is one for all of them. "
                "Received: scope='pair' and such a pairing."
            )
        return partner
