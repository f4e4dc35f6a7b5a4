"""Mixtures with bounding boxes: handwritten digits here and there on a sheet, whose boxes are known."""

from typing import Any, NamedTuple

import numpy as np

from kmix_tf import _extras, layers
from kmix_tf.cli.gallery.images import DIGITS
from kmix_tf.cli.gallery.mixtures import ALPHA

SCENES, SHOWN = 8, 4
OBJECTS = 2
SIZE, UNIT = 40, 8
# Each place is so many pixels of the picture, so that lines are thinner than places.
SCALE = 5
OWN, OTHER = np.array([0.15, 0.39, 0.92]), np.array([0.92, 0.42, 0.05])


class Objects(NamedTuple):
    """images: float32 `(scenes, size, size, 1)` in [0, 1]. boxes: left, top, right, bottom, float32 `(scenes, n, 4)`.
    classes: int32 `(scenes, n)`."""

    images: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray


class Scene(NamedTuple):
    """A mixture with its boxes drawn, `(height, width, 3)` in [0, 1], and what they are."""

    image: np.ndarray
    caption: str


class Row(NamedTuple):
    """Mixtures of one blend, and the line of code that made them."""

    title: str
    code: str
    scenes: list[Scene]


# What pastes must know how boxes are written.
BLENDS: tuple[tuple[str, type[layers.MixLayer], dict[str, Any]], ...] = (
    ("Linear", layers.KMixupLayer, {}),
    ("CutMix", layers.CutMixLayer, {"bounding_box_format": "xyxy"}),
    ("FMix", layers.FMixLayer, {"bounding_box_format": "xyxy"}),
    ("SaliencyMix", layers.SaliencyMixLayer, {"bounding_box_format": "xyxy"}),
    ("Puzzle Mix", layers.PuzzleMixLayer, {"transport": False, "bounding_box_format": "xyxy"}),
)


def mixed_scenes(seed: int) -> list[Row]:
    """Mixtures of the same scenes by every blend that keeps what is shown where it is."""
    scenes = digit_scenes(seed)
    return [_row(title, layer, options, scenes, seed) for title, layer, options in BLENDS]


def digit_scenes(seed: int) -> Objects:
    """Sheets with digits of several sizes, one in each half, so that none covers another."""
    digits = _extras.require("sklearn.datasets", "cli", "kmix-tf gallery without --images").load_digits()
    generator = np.random.default_rng(seed)
    images = np.ones((SCENES, SIZE, SIZE, 1), np.float32)
    boxes, classes = np.zeros((SCENES, OBJECTS, 4), np.float32), np.zeros((SCENES, OBJECTS), np.int32)
    for scene, at in np.ndindex(SCENES, OBJECTS):
        number, side = generator.integers(len(digits.images)), UNIT * int(generator.integers(1, 3))
        ink = np.kron(digits.images[number] / 16, np.ones((side // UNIT, side // UNIT)))
        width = SIZE // OBJECTS
        top, left = generator.integers(0, SIZE - side + 1), at * width + generator.integers(0, width - side + 1)
        images[scene, top : top + side, left : left + side, 0] -= ink
        rows, columns = np.nonzero(ink)
        boxes[scene, at] = left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1
        classes[scene, at] = digits.target[number]
    return Objects(images, boxes, classes)


def _row(title: str, layer: type[layers.MixLayer], options: dict[str, Any], scenes: Objects, seed: int) -> Row:
    options = {"alpha": ALPHA, "scope": "sample", **options, "box_weights": True}
    data = {"images": scenes.images, "bounding_boxes": {"boxes": scenes.boxes, "labels": scenes.classes}}
    mixed = layer(**options)(data, seed=seed)
    found = {key: leaf.numpy() for key, leaf in mixed["bounding_boxes"].items()}
    shown = [
        _scene(mixed["images"][at].numpy(), *(found[key][at] for key in ("boxes", "labels", "box_weights")))
        for at in range(SHOWN)
    ]
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    code = f'mixed = {layer.__name__}({arguments})({{"images": images, "bounding_boxes": boxes}}, seed={seed})'
    return Row(title, code, shown)


def _scene(image: np.ndarray, boxes: np.ndarray, classes: np.ndarray, weights: np.ndarray) -> Scene:
    """A mixture with the boxes that are there; the more one counts, the stronger its line."""
    drawn = np.kron(np.repeat(image, 3, axis=-1), np.ones((SCALE, SCALE, 1)))
    names = []
    for at in np.flatnonzero(classes >= 0):
        is_own = at < len(classes) // 2
        _draw(drawn, boxes[at], OWN if is_own else OTHER, 0.3 + 0.7 * float(weights[at]))
        names.append(f"{DIGITS[classes[at]]} {weights[at]:.2f}")
    return Scene(drawn, ", ".join(names) or "none")


def _draw(picture: np.ndarray, box: np.ndarray, colour: np.ndarray, strength: float) -> None:
    """Draws the edge of a box, in units of places, into a picture."""
    left, top, right, bottom = (round(SCALE * float(end)) for end in box)
    inside = np.zeros(picture.shape[:2], bool)
    inside[top:bottom, left:right] = True
    inside[top + 2 : bottom - 2, left + 2 : right - 2] = False
    picture[inside] = strength * colour + (1 - strength) * picture[inside]
