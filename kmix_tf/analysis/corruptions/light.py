"""Light. Functions of images `(n, height, width, channels)` in [0, 1], a level and a seed."""

import numpy as np


def brightness(images: np.ndarray, more: float, seed: int) -> np.ndarray:
    """Adds to all channels alike."""
    return images + more


def contrast(images: np.ndarray, kept: float, seed: int) -> np.ndarray:
    """Keeps so much of the distance to each channel's mean."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + kept * (images - mean)


def fog(images: np.ndarray, density: float, seed: int) -> np.ndarray:
    """Adds clouds times the density, and scales what comes out to the image's own largest value."""
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    clouds = density * fields(images.shape[:3], seed)[..., np.newaxis].astype(images.dtype)
    return (images + clouds) * largest / (largest + density)


def fields(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Smooth random fields `(n, height, width)`, each from 0 to 1: noise whose amplitude falls as frequency^-1.5."""
    noise = np.fft.rfft2(np.random.default_rng(seed).normal(size=shape))
    frequency = np.hypot(np.fft.fftfreq(shape[1])[:, np.newaxis], np.fft.rfftfreq(shape[2]))
    frequency[0, 0] = np.inf
    values = np.fft.irfft2(noise * frequency**-1.5, s=shape[1:])
    values -= values.min(axis=(1, 2), keepdims=True)
    return values / values.max(axis=(1, 2), keepdims=True)
