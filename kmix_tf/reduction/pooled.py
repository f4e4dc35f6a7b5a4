"""Images pooled by windows, so that distances between pooled ones are nearly those between the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kmix_tf import _checks
from kmix_tf._compat import register
from kmix_tf._graph import at_least_float32, fused
from kmix_tf.reduction.base import Reduction


@register
class Pooled(Reduction):
    """Images and spectrograms pooled by windows, for `match_at`: distances between means of windows.

    Each distance is that of the images made constant within each window: never larger than the exact one, and nearly
    as large where neighbouring pixels are alike. It costs one pass over the images and 1 / window^2 of what exact
    distances cost. Near the edges windows are cut off, and count as much less as they are smaller.

    With windows of 8, pairs of groups of 32 came out farther apart than need be by .01 to .8 % at 224x224 and by .04
    to 1.5 % at 128x128, on photographs, faces, textures, text and spectrograms; by up to 4 % on line drawings.
    Small networks (benchmarks/match_at_training.md) had test errors .97 +- .71 points below those of exact matching
    on photographs, and .93 +- .29 above them on spectrograms.

    Args:
        window: the side of a window in pixels, an integer >= 1, default 8; or one for each axis.
        axes: 2 (default) for images `(batch, height, width, channels)` and spectrograms `(batch, time, frequency)`,
            1 for signals `(batch, steps)` and `(batch, steps, channels)`, 3 for volumes. Leaves of other ranks stay
            as they are, tables beside images among them, and leaves with a side that is shorter than its window.

    Call:
        `pooled(leaves)`: numeric tensors `(batch, *axes)` or `(batch, *axes, channels)`. Returns them pooled, float32
        or, of float64, float64: the means of windows times the square roots of their sizes.

    Raises:
        ValueError: for other windows or axes.

    Source: by Jensen's inequality for the bound; benchmarks/match_at.py measures what is lost.

    Example:
        >>> images = tf.constant([[[0.0, 2.0, 5.0, 5.0], [2.0, 4.0, 5.0, 5.0]]])
        >>> Pooled(window=2)([images])[0].numpy().round(3).tolist()
        [[[4.0, 10.0]]]
        >>> layer = KMixupLayer(k=32, match_at=Pooled(window=8))
    """

    @_checks.speaks_anew
    def __init__(self, window: int | Sequence[int] = 8, axes: int = 2):
        self.axes = _checks.axes(axes)
        self.window = _checked_window(window, self.axes)

    def reduced(self, leaf: tf.Tensor) -> tf.Tensor:
        """A leaf, pooled if it is an image of so many axes."""
        windows = (self.window,) * self.axes if isinstance(self.window, int) else tuple(self.window)
        return pooled(leaf, windows) if _is_image(leaf, windows) else leaf


def _checked_window(window: Any, axes: int) -> int | list[int]:
    if isinstance(window, (list, tuple)):
        if len(window) != axes:
            _checks.refuse("window", f"an integer >= 1, or one for each of {axes} axes", window)
        return [_checks.integer("window", each, minimum=1) for each in window]
    return _checks.integer("window", window, minimum=1)


def _is_image(leaf: tf.Tensor, windows: Sequence[int]) -> bool:
    """Whether a leaf has so many axes, with channels or without, that are long enough as far as is known."""
    axes = len(windows)
    if leaf.shape.rank not in (1 + axes, 2 + axes):
        return False
    return all(side is None or side >= window for side, window in zip(leaf.shape[1 : 1 + axes], windows, strict=True))


def pooled(leaf: tf.Tensor, windows: Sequence[int]) -> tf.Tensor:
    """Means of windows along the axes after the batch's, times the square roots of the windows' sizes.

    Args:
        leaf: numeric `(batch, *axes, ...)`. windows: a side for each axis.
    """
    return _pooled(leaf, windows=tuple(windows), shape=tuple(leaf.shape[1:]))


@fused(features=1)
def _pooled(leaf: tf.Tensor, *, windows: tuple[int, ...], shape: tuple[int | None, ...]) -> tf.Tensor:
    """Sums come before anything else of the batch is made: it is read once, whatever its dtype."""
    leaf = tf.ensure_shape(leaf, [None, *shape])
    values = at_least_float32(leaf)
    for axis, window in enumerate(windows, start=1):
        values = _window_sums(values, axis, window)
    for axis, window in enumerate(windows, start=1):
        scale = tf.cast(_scale(tf.shape(leaf)[axis], window, leaf.shape[axis]), values.dtype)
        values *= tf.reshape(scale, [-1 if other == axis else 1 for other in range(values.shape.rank)])
    return values


def _window_sums(values: tf.Tensor, axis: int, window: int) -> tf.Tensor:
    """Sums of windows along an axis, the last of which may be shorter.

    A sum of slices, which XLA makes one pass, in a third of the time that it takes for a reduction.
    """
    side = values.shape[axis]
    if side is None:
        missing = -tf.shape(values)[axis] % window
        values = tf.pad(values, [[0, missing] if other == axis else [0, 0] for other in range(values.shape.rank)])
        rest, end = 0, tf.shape(values)[axis]
    else:
        rest, end = side % window, side - side % window
    before: list[Any] = [slice(None)] * axis
    whole = tf.add_n([values[(*before, slice(start, end, window))] for start in range(window)])
    if not rest:
        return whole
    return tf.concat([whole, tf.reduce_sum(values[(*before, slice(end, None))], axis, keepdims=True)], axis)


def _scale(length: tf.Tensor, window: int, side: int | None) -> Any:
    """What makes sums of windows means times the square root of how many there are: 1 / its square root."""
    if side is not None:
        return 1 / np.sqrt(np.minimum(window, side - np.arange(0, side, window)))
    return tf.math.rsqrt(tf.cast(tf.minimum(window, length - tf.range(0, length, window)), tf.float64))
