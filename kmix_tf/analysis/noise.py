"""Corruption of data by noise, and of images by noise or another image behind what they show."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._graph import at_least_float32
from kmix_tf.analysis.ranges import (
    Data,
    as_tensor,
    clip_range,
    clipped,
    require,
    require_floating,
    require_tensors,
    require_within,
)
from kmix_tf.seeding import checked_seed, random_bits, random_uniform, split


@_checks.speaks
def gaussian_noise(x: Data, scale: float, seed: int = 0, clip: tuple | None = None) -> Data:
    """Adds independent Gaussian noise to every feature.

    Args:
        x: floating `(n, ...)`, NumPy or a tensor; or a `tf.data.Dataset` of such, or of tuples that begin with one.
        scale: standard deviation, >= 0 and in the units of x: 8 / 255 for images in [0, 1].
        seed: an integer in [0, 2^31). The noise is a function of the seed and the shape, and in a dataset of the
            element's position: it is the same in every epoch and under any parallelism, and for the first element
            that of an array. To give each sample its own, come with a dataset in fixed order.
        clip: None, or (low, high), the range in which x must be and remains.

    Returns:
        As x came, of its shape and dtype, an array, a tensor or a dataset; other parts of elements stay.

    Raises:
        TypeError: if x is not floating. ValueError: for other arguments.

    Source: k-mixup, Table 6; Local Mixup, Table 2 (there N(0, epsilon), epsilon the standard deviation).

    Example:
        >>> from kmix_tf.analysis.noise import gaussian_noise
        >>> noisy = gaussian_noise(np.full([1000], 0.5, np.float32), 0.1)
        >>> bool(abs(noisy.std() - 0.1) < 0.01)
        True
    """
    scale = _checks.number("scale", scale)
    checked_seed(seed)
    clip = clip_range(clip)

    def corrupt(index: Any, x: Any) -> tf.Tensor:
        x = _features(x, clip)
        return clipped(_noisy(x, scale, _seed_of(seed, index)), clip)

    if isinstance(x, tf.data.Dataset):
        require_tensors(x, ("x",))
        return _mapped(x, lambda index, x, *rest: (corrupt(index, x), *rest))
    return _as_came(x, corrupt(0, x))


@_checks.speaks
def background_noise(x: Data, foreground: Any, noise: Any = 0.1, seed: int = 0, clip: tuple | None = None) -> Data:
    """Corrupts images outside of what they show, by Gaussian noise or by putting another background there.

    Args:
        x: floating images `(n, height, width)` or `(n, height, width, channels)`, NumPy or a tensor. Or a
            `tf.data.Dataset` of tuples `(x, foreground, ...)`.
        foreground: what stays. Booleans `(n, height, width)`; or integer boxes `(n, 4)`: top, left, bottom, right, in
            pixels, the last two not in the box. None for a dataset, which holds it.
        noise: a standard deviation >= 0, default 0.1, for Gaussian noise; or "others", another image of the same
            array or batch; or images `(m, height, width, channels)` of x's dtype, of which each one of x gets one.
        seed, clip: as in `gaussian_noise`.

    Returns:
        As x came, of its shape and dtype, an array, a tensor, or a dataset of `(x, ...)` without the foreground.

    Raises:
        TypeError: if x is not floating, or foreground or noise are no arrays. ValueError: for other arguments; or
            "others" for a single image.

    Source: Multi-mix, section IV-E and Table V: random replacement by another image, or noise from N(0, 0.1^2).

    Example:
        >>> from kmix_tf.analysis.noise import background_noise
        >>> x = np.arange(2.0)[:, np.newaxis, np.newaxis] * np.ones([2, 2, 3])
        >>> background_noise(x, [[0, 0, 1, 2], [0, 0, 2, 1]], "others").tolist()
        [[[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]], [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]
    """
    checked_seed(seed)
    clip, background = clip_range(clip), _background(noise)

    def corrupt(index: Any, x: Any, foreground: Any) -> tf.Tensor:
        x = _features(x, clip)
        kept = _kept(x, as_tensor("foreground", foreground))
        return clipped(tf.where(kept, x, background(x, _seed_of(seed, index))), clip)

    if not isinstance(x, tf.data.Dataset):
        return _as_came(x, corrupt(0, x, foreground))
    if foreground is not None:
        _checks.refuse("foreground", "None where x is a dataset", type(foreground).__name__)
    require_tensors(x, ("x", "foreground"))
    return _mapped(x, lambda index, x, foreground, *rest: (corrupt(index, x, foreground), *rest))


def _background(noise: Any) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function (x, seed) -> what stands behind, of x's shape."""
    if isinstance(noise, str):
        _checks.choice("noise", noise, ("others",))
        return _others
    if isinstance(noise, numbers.Number):
        scale = _checks.number("noise", noise)
        return lambda x, seed: _noisy(x, scale, seed)
    if noise is None or np.ndim(noise) < 3:
        rule = "a number >= 0, 'others' or images (m, height, width, ...)"
        _checks.refuse("noise", rule, noise)
    images = as_tensor("noise", noise)
    return lambda x, seed: _drawn(x, images, seed)


def _others(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """For each image another one, uniformly."""
    size = tf.shape(x)[0]
    require(
        size > 1, "background_noise: noise='others' needs two images at least. Received: one. Drop the remainder."
    )
    step = 1 + tf.math.floormod(random_bits([size], seed), tf.maximum(size - 1, 1))
    return tf.gather(x, tf.math.floormod(tf.range(size) + step, size))


def _drawn(x: tf.Tensor, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    if images.shape[0] == 0 or not images.shape[1:].is_compatible_with(x.shape[1:]) or images.dtype != x.dtype:
        raise ValueError(
            "background_noise: noise must be images as those of x, at least one. Received: noise of dtype "
            f"{images.dtype.name} and shape {images.shape} for x of dtype {x.dtype.name} and shape {x.shape}."
        )
    return tf.gather(images, tf.math.floormod(random_bits([tf.shape(x)[0]], seed), tf.shape(images)[0]))


def _kept(x: tf.Tensor, foreground: tf.Tensor) -> tf.Tensor:
    """Booleans that broadcast with x."""
    sides = tf.shape(x)[1:3]
    if x.shape.rank in (3, 4) and foreground.dtype.is_bool and foreground.shape.is_compatible_with(x.shape[:3]):
        kept = foreground
    elif x.shape.rank in (3, 4) and foreground.dtype.is_integer and _are_boxes(foreground, x):
        kept = _boxes(tf.cast(foreground, tf.int32), sides)
    else:
        raise ValueError(
            "background_noise: x must be (n, height, width) or (n, height, width, channels), and foreground booleans "
            f"(n, height, width) or integer boxes (n, 4). Received: x of shape {x.shape} and foreground of dtype "
            f"{foreground.dtype.name} and shape {foreground.shape}."
        )
    return kept[..., tf.newaxis] if x.shape.rank == 4 else kept


def _are_boxes(foreground: tf.Tensor, x: tf.Tensor) -> bool:
    return foreground.shape.is_compatible_with([x.shape[0], 4])


def _boxes(boxes: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Booleans `(n, height, width)`, true inside."""
    starts, ends = boxes[:, :2], boxes[:, 2:]
    require(
        (starts >= 0) & (starts < ends) & (ends <= sides),
        "background_noise: boxes must be (top, left, bottom, right) with 0 <= top < bottom <= height and 0 <= left < "
        "right <= width. Received: others.",
    )
    inside = []
    for axis in (0, 1):
        places = tf.range(sides[axis])[tf.newaxis]
        inside.append((places >= starts[:, axis, tf.newaxis]) & (places < ends[:, axis, tf.newaxis]))
    return inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]


def _noisy(x: tf.Tensor, scale: float, seed: tf.Tensor) -> tf.Tensor:
    wide = at_least_float32(x)
    return tf.cast(wide + scale * tf.cast(_normal(tf.shape(x), seed), wide.dtype), x.dtype)


def _normal(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal float32, at most 5.8, by Box and Muller 1958: the same under XLA, unlike TensorFlow's own."""
    radius_seed, angle_seed = split(seed, 2)
    # float32 uniforms are multiples of 2^-23 and may be 0: half a step up they are strictly inside (0, 1).
    radius = tf.sqrt(-2 * tf.math.log(random_uniform(shape, radius_seed) + 2.0**-24))
    return radius * tf.cos(2 * np.pi * (random_uniform(shape, angle_seed) + 2.0**-24))


def _features(x: Any, clip: tuple[float, float] | None) -> tf.Tensor:
    x = as_tensor("x", x)
    require_floating(x)
    if x.shape.rank == 0:
        raise _checks.problem(f"x must be (n, ...). Received: x of shape {x.shape}.")
    require(tf.math.is_finite(x), f"{_checks.speaker()}: x must be finite. Received: NaN or infinite values.")
    require_within(x, clip)
    return x


def _seed_of(seed: int, index: Any) -> tf.Tensor:
    return tf.stack([tf.cast(index, tf.int64), tf.constant(seed, tf.int64)])


def _mapped(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    """Elements, single or tuples, by their position."""

    def element(index: tf.Tensor, parts: Any) -> Any:
        corrupted = function(index, *(parts if isinstance(parts, tuple) else (parts,)))
        return corrupted if len(corrupted) > 1 else corrupted[0]

    return dataset.enumerate().map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _as_came(x: Any, result: tf.Tensor) -> Any:
    return result if tf.is_tensor(x) else result.numpy()
