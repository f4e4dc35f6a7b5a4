"""What Local Mixup asks a model to answer, on points evenly spread over a circle."""

from typing import Any

import numpy as np
from scipy.fft import irfft, rfft

from kmix_tf import _checks
from kmix_tf.maths.samples import as_numbers


@_checks.speaks
def local_mixup_interpolant(y: Any, neighbors: int) -> np.ndarray:
    """The values that minimise Local Mixup's squared loss on n points of a circle, each mixed with its neighbours.

    At a point, the mean over all segments between points at most `neighbors` steps apart that end there or pass over
    it, of what they say there. With more neighbours it varies less, and moves from y, at 1, to the mean of y: the
    trade of variance for bias that Local Mixup makes. More than n neighbours go round the circle more than once.

    Args:
        y: numbers `(n,)` or `(n, c)`, finite, n >= 1: what is learnt at the points, in their order round the circle.
            Integers are numbers, not classes; make classes one-hot.
        neighbors: K, an integer >= 1: with how many points on either side each is mixed.

    Returns:
        float64 of y's shape.

    Raises:
        ValueError: for other arguments.

    Source: Local Mixup, eqs. (4) and (5): f = 2 / (K (K + 3)) (2 K y_i + S_K(i)), where S_K is the sum over l = 2..K
    of A_l(i) = 1/l sum over k = 1..l-1 of [(l - k) y_{i-k} + k y_{i+l-k}], 1/l on both terms.

    Example:
        >>> from kmix_tf.analysis import local_mixup_interpolant
        >>> local_mixup_interpolant([5.0, 0.0, 5.0, 10.0, 5.0], neighbors=2).round(6).tolist()
        [4.5, 1.0, 5.0, 9.0, 5.5]
    """
    y = _signal(y)
    neighbors = _checks.integer("neighbors", neighbors, minimum=1)
    unit = np.abs(y).max() or 1.0
    share = _shares(neighbors, len(y)).reshape([-1] + [1] * (y.ndim - 1))
    # Each value is a mean of all, weighted by how far round the circle they are.
    return unit * irfft(rfft(share, axis=0) * rfft(y / unit, axis=0), n=len(y), axis=0)


def _shares(neighbors: int, size: int) -> np.ndarray:
    """What a point's value counts in that of one so many steps on, `(size,)`: >= 0, sum 1.

    A point k steps away, in either direction, is the end of a segment of each length l > k that passes over this one,
    and counts (l - k) / l in it.
    """
    steps = np.arange(1, neighbors)
    # The sum of 1/l over k < l <= K, from the small ones on.
    inverses = np.cumsum(1 / np.arange(neighbors, 1, -1))[::-1]
    away = np.maximum(neighbors - steps - steps * inverses, 0)
    shares = np.bincount(steps % size, away, size) + np.bincount(-steps % size, away, size)
    shares[0] += 2 * neighbors
    return shares / (neighbors * (neighbors + 3) / 2)


def _signal(y: Any) -> np.ndarray:
    y = as_numbers("y", y)
    if y.ndim not in (1, 2) or y.size == 0:
        raise _checks.problem(f"y must be (n,) or (n, c), n >= 1. Received: y of shape {y.shape}.")
    if not np.isfinite(y).all():
        raise _checks.problem("y must be finite. Received: y with NaN or infinite values.")
    return y
