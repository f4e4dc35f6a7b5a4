"""Mixtures as one picture: a row for each, of the samples in it and what was made of them."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kmix_tf.callbacks.events import table
from kmix_tf.callbacks.glyphs import HEIGHT, written
from kmix_tf.callbacks.labels import named, numbered
from kmix_tf.callbacks.look import Mixtures

# Sides of what is shown, in pixels: larger images are made smaller, small ones larger.
_LARGEST, _WANTED, _LEAST = 160, 96, 8
_CURVE, _CAPTION = 48, 64
# Samples of a mixture that are shown at most, and axes of an image: height, width, channels.
_MOST_PARTS = 4
_GAP = 3
_FILLED, _EMPTY = (70, 110, 160), 235
_OWN, _OTHERS = (40, 90, 160), ((240, 150, 60), (90, 160, 90), (150, 110, 180))


def shown_rows(mixtures: Mixtures, count: int) -> list[int]:
    """Which mixtures are shown: those of the first samples, all those of a sample one after another."""
    samples = len(next(iter(mixtures.x.values())))
    several = np.arange(len(mixtures.ratio)).reshape(-1, samples) if len(mixtures.ratio) % samples == 0 else None
    rows = range(len(mixtures.ratio)) if several is None else several.T.reshape(-1)
    return [int(row) for row in rows[:count]]


def as_table(mixtures: Mixtures, rows: Sequence[int], names: Sequence[str] | None) -> str:
    """The same mixtures in words, as Markdown."""
    lines = []
    for row in rows:
        labels = [
            (f"{share:.3f} x", named(mixtures.y, at, names), f"(row {at})") for at, share in mixtures.parts(row)
        ]
        samples = [" ".join(filter(None, words)) for words in labels]
        weight = 1.0 if mixtures.weight is None else mixtures.weight[row]
        label = "packed" if _is_packed(mixtures) else named(mixtures.mixed_y, row, names)
        lines.append([str(row), " + ".join(samples), f"{mixtures.distance[row]:.4g}", f"{weight:.3g}", label])
    return table(["mixture", "samples and their labels", "distance", "weight", "label"], lines)


def _is_packed(mixtures: Mixtures) -> bool:
    return any(mixtures.mixed_y[name].shape[1:] != target.shape[1:] for name, target in mixtures.y.items())


def sheet(mixtures: Mixtures, name: str, rows: Sequence[int]) -> np.ndarray:
    """A picture of some mixtures, uint8 `(height, width, 3)`.

    Each row shows the samples, with labels and shares below, and last the mixture, with the shares as a bar below.

    Args:
        name: of the feature that is shown, of any shape. rows: which mixtures.
    """
    tiles_of, tiles_of_mixtures = _drawn(mixtures.x[name], mixtures.mixed_x[name], mixtures, rows)
    parts = [mixtures.parts(row)[:_MOST_PARTS] for row in rows]
    columns = max(len(each) for each in parts)
    lines = []
    for row, each in zip(rows, parts, strict=True):
        tiles = [_captioned(tiles_of[at], f"{numbered(mixtures.y, at)} {share:.2f}".strip()) for at, share in each]
        tiles += [np.full_like(tiles[0], 255)] * (columns - len(each))
        lines.append(
            np.concatenate([*tiles, _with_bar(tiles_of_mixtures[row], [share for _, share in each])], axis=1)
        )
    return np.concatenate(lines, axis=0)


def _drawn(
    x: np.ndarray, mixed: np.ndarray, mixtures: Mixtures, rows: Sequence[int]
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """The samples and mixtures that are shown as images of one size, uint8 `(height, width, 3)`, by row."""
    samples = sorted({at for row in rows for at, _ in mixtures.parts(row)[:_MOST_PARTS]})
    paint = _images if _is_image(x.shape) else _curves
    ours, theirs = paint(x, x[samples]), paint(x, mixed[list(rows)])
    return dict(zip(samples, ours, strict=True)), dict(zip(rows, theirs, strict=True))


def _is_image(shape: tuple[int, ...]) -> bool:
    """Not so tables, signals, and signals of a few channels."""
    return len(shape) > 3 or (len(shape) == 3 and shape[2] > 4)


def _images(x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    images = _in_range(x, chosen)
    while images.ndim > 4:  # of a volume or a video, the middle
        images = images[:, images.shape[1] // 2]
    images = images[..., np.newaxis] if images.ndim == 3 else images
    channels = images.shape[-1]
    if channels == 4:
        images = images[..., :3] * images[..., 3:] + 1 - images[..., 3:]
    elif channels != 3:
        images = images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    return _of_size(np.round(255 * images).astype(np.uint8))


def _in_range(x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Values from 0 to 1: of bytes, of [0, 1] and [-1, 1] as they are meant, else from the least to the greatest."""
    chosen = chosen.astype(np.float64)
    if x.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = float(x.min()), float(x.max())
        if low >= -1 and high <= 1:
            low, high = (0.0 if low >= 0 else -1.0), 1.0
    return np.clip((chosen - low) / (high - low or 1.0), 0, 1)


def _curves(x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Tables, each column in its own range, and signals, in that of all, as what is below a line."""
    x, chosen = (values.reshape(len(values), values.shape[1] if values.ndim > 1 else 1, -1) for values in (x, chosen))
    is_table = x.shape[1] <= _WANTED
    x = x.astype(np.float64)
    low, high = (end(x, axis=0 if is_table else (0, 1), keepdims=True) for end in (np.min, np.max))
    levels = np.clip((chosen - low) / np.where(high > low, high - low, 1.0), 0, 1)
    height = max(_CURVE // levels.shape[2], _LEAST)
    # Channels one below the other; an image's rows go from above.
    threshold = 1 - (np.arange(height) + 0.5) / height
    below = levels[:, :, :, np.newaxis] >= threshold
    pictures = below.transpose(0, 2, 3, 1).reshape(len(levels), -1, levels.shape[1])
    pictures = pictures.repeat(-(-_CAPTION // pictures.shape[2]), axis=2)
    return _of_size(np.where(pictures[..., np.newaxis], np.array(_FILLED, np.uint8), np.uint8(_EMPTY)))


def _of_size(images: np.ndarray) -> np.ndarray:
    """Small images larger, each pixel a square, and large ones smaller."""
    height, width = images.shape[1:3]
    times = max(1, _WANTED // max(height, width))
    images = images.repeat(max(times, -(-_LEAST // height)), axis=1).repeat(max(times, -(-_LEAST // width)), axis=2)
    size = [min(side, _LARGEST) for side in images.shape[1:3]]
    if size == list(images.shape[1:3]):
        return images
    return np.round(tf.image.resize(images, size, method="area").numpy()).astype(np.uint8)


def _captioned(image: np.ndarray, text: str) -> np.ndarray:
    image = _wide_enough(image)
    caption = written(text, image.shape[1])[..., np.newaxis].repeat(3, axis=2)
    return _bordered(np.concatenate([image, np.full((_GAP, *image.shape[1:]), 255, np.uint8), caption]))


def _wide_enough(image: np.ndarray) -> np.ndarray:
    """With white at its right, so that label and share fit below."""
    return np.pad(image, [(0, 0), (0, max(_CAPTION - image.shape[1], 0)), (0, 0)], constant_values=255)


def _with_bar(image: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """An image, and below it how much of which sample is in it."""
    image = _wide_enough(image)
    width = image.shape[1]
    ends = np.round(np.cumsum(shares) * width).astype(int)
    bar = np.full((HEIGHT, width, 3), 255, np.uint8)
    for start, end, colour in zip([0, *ends], ends, (_OWN, *_OTHERS), strict=False):
        bar[:, start:end] = colour
    return _bordered(np.concatenate([image, np.full((_GAP, *image.shape[1:]), 255, np.uint8), bar]))


def _bordered(image: np.ndarray) -> np.ndarray:
    return np.pad(image, [(_GAP, _GAP), (_GAP, _GAP), (0, 0)], constant_values=255)
