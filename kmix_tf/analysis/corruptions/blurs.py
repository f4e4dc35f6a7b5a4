"""Blur. Functions of images `(n, height, width, channels)`, a length in pixels and a seed.

Beyond an image's edge its outermost pixels go on.
"""

import numpy as np
from scipy import ndimage, signal

# The parts that a pixel's side is cut into, to measure how much of it a disk covers.
_PARTS = 16


def gaussian_blur(images: np.ndarray, width: float, seed: int) -> np.ndarray:
    """Averages with Gaussian weights of this standard deviation."""
    return ndimage.gaussian_filter(images, (0, width, width, 0), mode="nearest")


def defocus_blur(images: np.ndarray, radius: float, seed: int) -> np.ndarray:
    """Averages over a disk, the image of a point out of focus."""
    kernel = disk(radius)
    reach = len(kernel) // 2
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    weights = kernel[np.newaxis, :, :, np.newaxis].astype(images.dtype)
    return signal.fftconvolve(padded, weights, mode="valid", axes=(1, 2))


def disk(radius: float) -> np.ndarray:
    """`(k, k)`, k odd, that sum to 1: the share of each pixel that lies in a disk around the middle one's centre."""
    reach = int(np.ceil(radius - 0.5))
    size = 2 * reach + 1
    places = (np.arange(size * _PARTS) + 0.5) / _PARTS - size / 2
    inside = np.square(places)[:, np.newaxis] + np.square(places) <= radius**2
    covered = inside.reshape(size, _PARTS, size, _PARTS).mean(axis=(1, 3))
    return covered / covered.sum()


def motion_blur(images: np.ndarray, width: float, seed: int) -> np.ndarray:
    """Averages along a line, at most 45 degrees from level, with Gaussian weights; each image has its own angle."""
    angle = np.random.default_rng(seed).uniform(-np.pi / 4, np.pi / 4, len(images))
    reach, columns = int(np.ceil(3 * width)), images.shape[2]
    padded = np.pad(images, ((0, 0), (0, 0), (reach, reach), (0, 0)), mode="edge")
    total, weights = np.zeros_like(images), np.zeros((len(images), 1, 1, 1), images.dtype)
    for step in range(-reach, reach + 1):
        weight = np.exp(-np.square(step / np.cos(angle) / width) / 2).reshape(weights.shape).astype(images.dtype)
        total += weight * _lifted(padded[:, :, reach + step : reach + step + columns], step * np.tan(angle))
        weights += weight
    return total / weights


def _lifted(images: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """What stands so far below, each image's own distance, between rows by interpolation."""
    height, own = images.shape[1], np.arange(len(images))[:, np.newaxis]
    rows = np.arange(height) + np.floor(distance).astype(int)[:, np.newaxis]
    upper, lower = (images[own, np.clip(rows + more, 0, height - 1)] for more in (0, 1))
    share = (distance - np.floor(distance)).reshape(-1, 1, 1, 1).astype(images.dtype)
    return upper + share * (lower - upper)
