"""The gallery's images: photographs and digits that ship with scikit-learn and Matplotlib, or a person's own."""

import pathlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf import _extras
from kmix_tf.cli.reading.image_file import SUFFIXES, decode_image
from kmix_tf.cli.reading.staying import refuse_links_out
from kmix_tf.cli.terminal import UserError

# Two groups of 16, so that k = 16 has full groups.
COUNT = 32
SIZE = 96
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Album(NamedTuple):
    """images: float32 `(n, height, width, channels)` in [0, 1]. names: what is on each. title: what they are."""

    title: str
    images: np.ndarray
    names: list[str]


def photograph_album(seed: int) -> Album:
    """Crops of three photographs, by turns: scikit-learn's temple and flower, and Matplotlib's portrait."""
    datasets = _extras.require("sklearn.datasets", "cli", "kmix-tf gallery without --images")
    photographs = datasets.load_sample_images()
    named = {
        pathlib.Path(path).stem: image for path, image in zip(photographs.filenames, photographs.images, strict=True)
    }
    named["hopper"] = _portrait()
    generator = np.random.default_rng(seed)
    names = [list(named)[i % len(named)] for i in range(COUNT)]
    crops = [_crop(named[name], generator) for name in names]
    return Album("Crops of three photographs", _scaled(crops), names)


def _portrait() -> np.ndarray:
    """Rear Admiral Grace Hopper's, of the United States Navy and in the public domain, uint8 `(606, 512, 3)`."""
    path = _extras.require("matplotlib.cbook", "cli", "kmix-tf gallery without --images").get_sample_data(
        "grace_hopper.jpg", asfileobj=False
    )
    return decode_image(pathlib.Path(path), channels=3)


def _crop(photograph: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    side = generator.integers(180, 360)
    top, left = (generator.integers(0, size - side + 1) for size in photograph.shape[:2])
    return photograph[top : top + side, left : left + side]


def digit_album(seed: int) -> Album:
    """Some of scikit-learn's handwritten digits of 8x8 pixels."""
    datasets = _extras.require("sklearn.datasets", "cli", "kmix-tf gallery without --images")
    digits = datasets.load_digits()
    chosen = np.random.default_rng(seed).permutation(len(digits.images))[:COUNT]
    images = (1 - digits.images[chosen] / 16).astype(np.float32)[..., np.newaxis]
    return Album("Handwritten digits of 8 x 8 pixels", images, [DIGITS[label] for label in digits.target[chosen]])


def folder_album(path: str, seed: int) -> Album:
    """Images of a folder and its subfolders, at most `COUNT`, named by their subfolder or else by themselves."""
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise UserError(f"--images: there is no folder {path}.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    refuse_links_out(folder, files)
    if len(files) < 2:
        kinds = ", ".join(suffix[1:] for suffix in sorted(SUFFIXES))
        raise UserError(f"--images: {path} must hold at least 2 images ({kinds}). Received: {len(files)}.")
    chosen = sorted(np.random.default_rng(seed).permutation(len(files))[:COUNT])
    files = [files[index] for index in chosen]
    names = [file.stem if file.parent == folder else file.parent.name for file in files]
    return Album(f"Images of {folder.resolve().name}", _scaled(map(_read, files)), names)


def _read(file: pathlib.Path) -> np.ndarray:
    """A square from the middle of an image, uint8 `(side, side, 3)`."""
    try:
        image = decode_image(file, channels=3, least=(SIZE, SIZE))
    except UserError as error:
        raise UserError(f"--images: {file} cannot be read as an image: {error.message}") from error
    side = min(image.shape[:2])
    top, left = ((size - side) // 2 for size in image.shape[:2])
    return image[top : top + side, left : left + side]


def _scaled(images: Iterable[np.ndarray]) -> np.ndarray:
    """One after another, so that not all photographs are held as large as they are."""
    scaled = [tf.image.resize(image, [SIZE, SIZE], method="area").numpy() / 255 for image in images]
    return np.clip(np.stack(scaled), 0, 1).astype(np.float32)
