"""Mixtures of more than two samples on show, with what their labels say of each."""

from typing import NamedTuple

import numpy as np

from kmix_tf import layers
from kmix_tf.cli.gallery.images import Album

EXPLANATION = (
    "Blocks of any number of images of the batch: each shows what is salient there, or half of each of two, and no "
    "image is shown again and again. There are no pairs, so no k and no interpolations."
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


def gather(album: Album, rows: list[int], seed: int) -> Gathered:
    """Mixes the album by Co-Mixup, and shows the mixtures at these rows. Each image is a class of its own."""
    labels = np.eye(len(album.images), dtype=np.float32)
    x, y = (part.numpy() for part in layers.CoMixupLayer()(album.images, labels, seed=seed))
    collages = [Collage(x[row], _parts(y[row])) for row in rows]
    code = f"x, y = CoMixupLayer()(images, labels, seed={seed})"
    return Gathered("Co-Mixup", EXPLANATION, code, collages)


def _parts(label: np.ndarray) -> list[tuple[int, float]]:
    order = np.argsort(-label, kind="stable")
    return [(int(row), float(label[row])) for row in order if label[row] > 0]
