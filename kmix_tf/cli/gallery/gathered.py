"""Mixtures of more than two samples on show, with what their labels say of each."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import layers
from kmix_tf.cli.gallery.images import Album
from kmix_tf.pipeline import mix

BATCHES = 4
GATHERED = (
    "Blocks of any number of images of the batch: each shows what is salient there, or half of each of two, and no "
    "image is shown again and again. There are no pairs, so no k and no interpolations."
)
CARRIED = (
    "The batch before, as it was mixed, is pasted into each batch, made smaller: so there are images in images in "
    "images. These are from the last of a few batches."
)


class Collage(NamedTuple):
    """image: float32 `(height, width, channels)`. parts: rows of the album and their shares in the label, the largest
    first."""

    image: np.ndarray
    parts: list[tuple[int, float]]


class Gathered(NamedTuple):
    """Mixtures of one blend, and the line of code that made them."""

    title: str
    explanation: str
    code: str
    collages: list[Collage]


def gather(album: Album, rows: list[int], seed: int) -> list[Gathered]:
    """Mixes the album by Co-Mixup, of which it shows the mixtures at these rows, and by RecursiveMix, of which it
    shows as many. Each image is a class of its own."""
    labels = np.eye(len(album.images), dtype=np.float32)
    x, y = layers.CoMixupLayer()(album.images, labels, seed=seed)
    code = f"x, y = CoMixupLayer()(images, labels, seed={seed})"
    return [
        Gathered("Co-Mixup", GATHERED, code, _collages(x, y, rows)),
        _carried(album.images, labels, len(rows), seed),
    ]


def _carried(images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> Gathered:
    size = max(len(images) // BATCHES, 1)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(size)
    *_, (x, y) = batches.apply(mix(layers.RecursiveMixLayer(), seed=seed))
    code = f"*_, (x, y) = dataset.batch({size}).apply(mix(RecursiveMixLayer(), seed={seed}))"
    return Gathered("RecursiveMix", CARRIED, code, _collages(x, y, range(min(size, count))))


def _collages(x: tf.Tensor, y: tf.Tensor, rows: Iterable[int]) -> list[Collage]:
    return [Collage(x[row].numpy(), _parts(y[row].numpy())) for row in rows]


def _parts(label: np.ndarray) -> list[tuple[int, float]]:
    order = np.argsort(-label, kind="stable")
    return [(int(row), float(label[row])) for row in order if label[row] > 0]
