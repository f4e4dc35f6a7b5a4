"""Two sets of images that come with scikit-learn: handwritten digits, and digits on coloured photographs."""

from typing import NamedTuple

import numpy as np
from sklearn import datasets

CLASSES = 10
LARGE = 32


class Images(NamedTuple):
    """x: float32 `(n, side, side, channels)` in [0, 1]. y: int32 `(n,)`."""

    x: np.ndarray
    y: np.ndarray

    @property
    def labels(self):
        """One-hot, float32."""
        return np.eye(CLASSES, dtype=np.float32)[self.y]


def digits(seed, *sizes):
    """Disjoint sets of digits of 8 x 8 pixels, in gray."""
    x, y = _shuffled(np.random.default_rng(seed), sum(sizes))
    return _parted(x[..., np.newaxis], y, sizes)


def on_photographs(seed, *sizes, background=0.4, shift=3):
    """Disjoint sets of digits, each twice as large, near the middle of a coloured piece of 32 x 32 pixels of a
    photograph."""
    random = np.random.default_rng(seed)
    digit, y = _shuffled(random, sum(sizes))
    digit = digit.repeat(2, axis=1).repeat(2, axis=2)
    x = background * _pieces(random, len(y))
    side = digit.shape[1]
    middle = (LARGE - side) // 2
    for row, (top, left) in enumerate(middle + random.integers(-shift, shift + 1, (len(y), 2))):
        place = x[row, top : top + side, left : left + side]
        place += digit[row, ..., np.newaxis] * (1 - place)
    return _parted(x, y, sizes)


def _shuffled(random, count):
    found = datasets.load_digits()
    order = random.permutation(len(found.target))[:count]
    return found.images[order] / 16, found.target[order]


def _pieces(random, count):
    """Of scikit-learn's two photographs: `(count, 32, 32, 3)`."""
    photographs = [each / 255 for each in datasets.load_sample_images().images]
    pieces = np.empty((count, LARGE, LARGE, 3))
    for row in range(count):
        of = photographs[random.integers(len(photographs))]
        top, left = (random.integers(0, size - LARGE) for size in of.shape[:2])
        pieces[row] = of[top : top + LARGE, left : left + LARGE]
    return pieces


def _parted(x, y, sizes):
    ends = np.cumsum(sizes)
    whole = x.astype(np.float32), y.astype(np.int32)
    return [Images(*(part[end - size : end] for part in whole)) for end, size in zip(ends, sizes, strict=True)]
