"""A folder of images, one subfolder a class, and the equal files in it."""

import collections
import hashlib
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from kmix_tf.cli.reading.image_file import SUFFIXES, decode_image, header_of
from kmix_tf.cli.reading.source import Block, Source, printable, rows_of_a_block
from kmix_tf.cli.reading.staying import refuse_links_out
from kmix_tf.cli.terminal import UserError

# Without --image-size images keep their common size up to this; distances change little by shrinking what is larger.
LARGEST_SIDE = 64
# How many images are looked at to learn sizes and channels.
_LOOKED_AT = 64
# Bytes that are read at most to find equal files: a second or two.
_MOST_BYTES = 2**30


def read_images(path: pathlib.Path, size: int | None, limit: int, seed: int) -> Source:
    """Images and classes of a folder, of which at most `limit` are drawn at random and decoded.

    Args:
        size: height and width in pixels; None keeps a common size up to 64, or takes 32 or 64.
    """
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    refuse_links_out(path, folders)
    entries = [entry for folder in folders for entry in sorted(folder.iterdir())]
    entries = [entry for entry in entries if entry.is_file() and not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    refuse_links_out(path, files)
    labels = [file.parent.name for file in files]
    if not files:
        raise UserError(
            f"{path} must be a folder with one subfolder of images for each class ({', '.join(sorted(SUFFIXES))}), "
            f"or a saved tf.data dataset. Received: {len(folders)} subfolders without images."
        )
    counts = _counts([folder.name for folder in folders], labels)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(files))[:limit])
    # From all classes, which may differ in size. Photographs are large, so none is decoded for it.
    looked_at = [_said_shape(files[i]) for i in chosen[:: max(1, len(chosen) // _LOOKED_AT)]]
    shape, resized = _shape(looked_at, size)
    source = Source(path.name, "images", iter(()), len(files), counts={c: n for c, n in counts.items() if n})
    source.target = "the subfolders"
    source.notes = _notes(counts, len(entries) - len(files), shape, resized)
    paths, drawn = [files[i] for i in chosen], np.array(labels)[chosen]
    source.names = [_name(file) for file in paths]
    source.blocks = _blocks(paths, drawn, shape, resized, source.notes)
    if len(chosen) < len(files):
        groups, source.searched = contradictory_copies(files, labels)
        source.copies = [[_name(files[place]) for place in group] for group in groups]
        source.notes.append(
            f"Equal images with different labels were looked for by their pixels among the {len(chosen):,} drawn, "
            f"and by the bytes of their files among {source.searched:,} of {len(files):,}."
        )
    return source


def _counts(names: list[str], labels: list[str]) -> dict[str, int]:
    found = collections.Counter(labels)
    return {name: found[name] for name in names}


def _name(file: pathlib.Path) -> str:
    return printable(f"{file.parent.name}/{file.name}")


def _notes(counts: dict[str, int], others: int, shape: tuple[int, ...], resized: bool) -> list[str]:
    notes = [
        "Pixels are divided by 255: distances, epsilon and rate hold for pixels from 0 to 1."
        + (f" Images are resized to {shape[0]} x {shape[1]}; at another size they differ." if resized else "")
    ]
    if others:
        notes.append(f"Files that are no images by their names were left out: {others}.")
    empty = [name for name, amount in counts.items() if not amount]
    if empty:
        notes.append(f"Subfolders without images were left out: {printable(', '.join(empty))}.")
    return notes


def _said_shape(path: pathlib.Path) -> tuple[int, int, int]:
    header = header_of(path)
    return header.height, header.width, header.channels


def _decoded(path: pathlib.Path, least: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 `(height, width, channels)`; of an animation the first frame."""
    image = decode_image(path, least=least)
    # Grey with transparency is grey, and colours with transparency are colours.
    return image[..., : {2: 1, 4: 3}.get(image.shape[-1], image.shape[-1])]


def _shape(shapes: Sequence[tuple[int, ...]], size: int | None) -> tuple[tuple[int, int, int], bool]:
    """The shape that all images get, and whether any changes its size for it.

    Args:
        shapes: of the images looked at.
    """
    channels = max(shape[-1] for shape in shapes)
    sides = {shape[:2] for shape in shapes}
    common = next(iter(sides)) if len(sides) == 1 else None
    if size is None and common is not None and max(common) <= LARGEST_SIDE:
        return (common[0], common[1], channels), False
    if size is None:
        median = np.median([min(shape[:2]) for shape in shapes])
        size = LARGEST_SIDE // 2 if median <= LARGEST_SIDE // 2 else LARGEST_SIDE
    return (size, size, channels), sides != {(size, size)}


def _resized(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """float32 in [0, 1], of `shape`."""
    if image.shape[:2] != shape[:2]:
        image = tf.image.resize(image, shape[:2], antialias=True).numpy()
    image = image.astype(np.float32) / 255
    if image.shape[-1] > shape[-1]:
        image = image.mean(axis=-1, keepdims=True)
    return np.broadcast_to(image, shape)


def _blocks(
    paths: list[pathlib.Path], labels: np.ndarray, shape: tuple[int, int, int], resized: bool, notes: list[str]
) -> Iterator[Block]:
    """Images and labels; what was unlike all images looked at before is noted."""
    rows = min(256, rows_of_a_block(int(np.prod(shape))))
    others, coloured = 0, 0
    for start in range(0, len(paths), rows):
        images = []
        for path in paths[start : start + rows]:
            others += _said_shape(path)[:2] != shape[:2]
            image = _decoded(path, shape[:2])
            coloured += image.shape[-1] > shape[-1]
            # At once, so that not all of a block's photographs are held as large as they are.
            images.append(_resized(image, shape))
        yield Block(np.stack(images), labels[start : start + rows])
    if others and not resized:
        notes.append(f"Images of another size than {shape[0]} x {shape[1]} were resized to it: {others}.")
    if coloured:
        notes.append(f"Most images are grey, so these, which have colours, were made grey: {coloured}.")


def contradictory_copies(files: list[pathlib.Path], labels: list[str]) -> tuple[list[list[int]], int]:
    """Groups of files of equal bytes and different labels, by their places, and in how many files they were sought.

    Only those of equal size are read.
    """

    def disagree(places: list[int]) -> bool:
        return len({labels[place] for place in places}) > 1

    by_size = collections.defaultdict(list)
    for place, file in enumerate(files):
        by_size[file.stat().st_size].append(place)
    groups: list[list[int]] = []
    searched, left = 0, _MOST_BYTES
    for size, places in sorted(by_size.items()):
        if disagree(places):
            left -= size * len(places)
            if left < 0:
                break
            by_bytes = collections.defaultdict(list)
            for place in places:
                by_bytes[hashlib.blake2b(files[place].read_bytes(), digest_size=16).digest()].append(place)
            groups += by_bytes.values()
        searched += len(places)
    return sorted(filter(disagree, groups)), searched
