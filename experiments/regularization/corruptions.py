"""Corrupted images, in five intensities as those of CIFAR-10-C."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

INTENSITIES = 5


def _noise(x: np.ndarray, scale: float, generator: np.random.Generator) -> np.ndarray:
    return x + scale * generator.normal(size=x.shape)


def _impulses(x: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    values = generator.integers(0, 2, x.shape).astype(x.dtype)
    return np.where(generator.uniform(size=x.shape) < share, values, x)


def _blur(x: np.ndarray, width: float, generator: np.random.Generator) -> np.ndarray:
    return ndimage.gaussian_filter(x, (0, width, width, 0))


def _contrast(x: np.ndarray, kept: float, generator: np.random.Generator) -> np.ndarray:
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return mean + kept * (x - mean)


def _brightness(x: np.ndarray, more: float, generator: np.random.Generator) -> np.ndarray:
    return x + more


def _turned(x: np.ndarray, degrees: float, generator: np.random.Generator) -> np.ndarray:
    """Each image to a random side."""
    right = generator.integers(0, 2, len(x)).astype(bool)
    ways = [ndimage.rotate(x, side * degrees, (1, 2), reshape=False, order=1) for side in (1, -1)]
    return np.where(right[:, np.newaxis, np.newaxis, np.newaxis], *ways)


def _moved(x: np.ndarray, pixels: float, generator: np.random.Generator) -> np.ndarray:
    """Each image to a random side."""
    ways = [ndimage.shift(x, (0, 0, side * pixels, 0), order=1) for side in (1, -1)]
    return np.where(generator.integers(0, 2, len(x)).astype(bool)[:, np.newaxis, np.newaxis, np.newaxis], *ways)


_KINDS: dict[str, tuple[Callable, list[float]]] = {
    "Gaussian noise": (_noise, [0.05, 0.1, 0.2, 0.3, 0.4]),
    "impulse noise": (_impulses, [0.02, 0.05, 0.1, 0.15, 0.2]),
    "blur": (_blur, [0.3, 0.5, 0.7, 0.9, 1.1]),
    "contrast": (_contrast, [0.75, 0.6, 0.45, 0.3, 0.2]),
    "brightness": (_brightness, [0.1, 0.2, 0.3, 0.4, 0.5]),
    "rotation": (_turned, [5, 10, 20, 30, 40]),
    "translation": (_moved, [0.25, 0.5, 0.75, 1.0, 1.5]),
}
KINDS = list(_KINDS)


def corrupted(x: np.ndarray, kind: str, intensity: int, seed: int) -> np.ndarray:
    """Images `(n, height, width, channels)` in [0, 1], corrupted and clipped to it. intensity: 1 to 5."""
    corrupt, strengths = _KINDS[kind]
    generator = np.random.default_rng([seed, KINDS.index(kind), intensity])
    return np.clip(corrupt(x, strengths[intensity - 1], generator), 0, 1).astype(np.float32)
