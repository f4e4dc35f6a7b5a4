"""What storing images loses. Functions of images `(n, height, width, channels)` in [0, 1], a level and a seed."""

import numpy as np
from scipy.fft import dctn, idctn

# Steps of quantisation at quality 50, of light and of colour. Source: ITU-T T.81 (JPEG), Annex K, tables K.1 and K.2.
_LIGHT = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_COLOUR = np.full((8, 8), 99)
_COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# Of red, green and blue to light and two differences of colour. Source: JFIF 1.02, from ITU-R BT.601.
_TO_LIGHT = np.array(
    [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]]
)


def pixelate(images: np.ndarray, side: float, seed: int) -> np.ndarray:
    """Makes squares of this many pixels, also of parts of pixels, one value."""
    rows, columns = (_averages(size, side).astype(images.dtype) for size in images.shape[1:3])
    return np.einsum("ij,njkc,lk->nilc", rows, images, columns, optimize=True)


def _averages(size: int, side: float) -> np.ndarray:
    """`(size, size)`: averages over intervals of this length, and of these over pixels. Rows sum to 1."""
    starts, pixels = np.arange(0, size, side)[:, np.newaxis], np.arange(size)
    overlap = np.minimum(np.minimum(starts + side, size), pixels + 1) - np.maximum(starts, pixels)
    overlap = np.maximum(overlap, 0)
    means = overlap / overlap.sum(axis=1, keepdims=True)
    return overlap.T @ means


def jpeg(images: np.ndarray, quality: float, seed: int) -> np.ndarray:
    """What JPEG of this quality, 1 to 100, leaves: of 3 channels in full resolution, of others each as grey."""
    values = np.rint(255 * images) - 128
    if images.shape[3] == 3:
        back = np.linalg.inv(_TO_LIGHT).astype(images.dtype)
        # Light is shifted as grey is, differences of colour not: their rows sum to 0.
        parts = values @ _TO_LIGHT.T.astype(images.dtype)
        tables = (_LIGHT, _COLOUR, _COLOUR)
        stored = [_stored(parts[..., i], _steps(table, quality)) for i, table in enumerate(tables)]
        return (np.stack(stored, axis=-1) @ back.T + 128) / 255
    stored = [_stored(values[..., i], _steps(_LIGHT, quality)) for i in range(images.shape[3])]
    return (np.stack(stored, axis=-1) + 128) / 255


def _steps(table: np.ndarray, quality: float) -> np.ndarray:
    """As the Independent JPEG Group's library scales them."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.clip(np.floor((table * np.floor(percent) + 50) / 100), 1, 255)


def _stored(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """`(n, height, width)`, with the cosine transform of each 8 x 8 block rounded to multiples of the steps.

    JPEG takes and gives whole values.
    """
    (count, height, width), dtype = values.shape, values.dtype
    more = ((0, 0), (0, -height % 8), (0, -width % 8))
    padded = np.pad(np.rint(values), more, mode="edge")
    rows, columns = padded.shape[1] // 8, padded.shape[2] // 8
    blocks = padded.reshape(count, rows, 8, columns, 8)
    steps = steps[:, np.newaxis].astype(dtype)
    waves = np.rint(dctn(blocks, axes=(2, 4), norm="ortho") / steps) * steps
    whole = np.clip(np.rint(idctn(waves, axes=(2, 4), norm="ortho")), -128, 127)
    return whole.reshape(padded.shape)[:, :height, :width]
