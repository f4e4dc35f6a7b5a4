"""Noise in each channel of each pixel.

Functions of images `(n, height, width, channels)` in [0, 1], a level and a seed.
"""

import numpy as np

from kmix_tf.analysis import noise


def gaussian_noise(images: np.ndarray, scale: float, seed: int) -> np.ndarray:
    """Adds N(0, scale^2), as of a sensor in the dark."""
    noisy: np.ndarray = noise.gaussian_noise(images, scale, seed)
    return noisy


def shot_noise(images: np.ndarray, photons: float, seed: int) -> np.ndarray:
    """Counts photons, of which white sends so many: of variance x / photons."""
    return np.random.default_rng(seed).poisson(images * photons) / photons


def impulse_noise(images: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Makes so many values black or white, evenly."""
    chance = np.random.default_rng(seed).random(images.shape)
    return np.where(chance < share / 2, 0, np.where(chance >= 1 - share / 2, 1, images))
