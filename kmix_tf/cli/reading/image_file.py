"""One image: its size before it is decoded, which a few bytes tell, and its pixels, as few of them as are needed.

A small file may claim a huge image, and TensorFlow would take the memory for it; a photograph is mostly shrunk next.
"""

import io
import pathlib
import struct
from collections.abc import Callable
from typing import IO, NamedTuple

import numpy as np
import tensorflow as tf

from kmix_tf.cli.reading.source import first_line
from kmix_tf.cli.terminal import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif"}
# Values of an image, one byte each: 89 megapixels in colours. And bytes of a file, which are read at once.
MOST_VALUES, MOST_BYTES = 2**28, 2**29
# By how much what is decoded may be larger than what it is shrunk to: the rest of the way filters well.
_LARGER = 4
# What JPEG can be decoded at a fraction of, as it is made of blocks of 8 x 8.
_RATIOS = (8, 4, 2)
# Markers of JPEG: those that stand before the size of an image, those behind which there is none, and those that have
# no length.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ENDS = (0xD9, 0xDA)
_ALONE = (0x00, 0x01, *range(0xD0, 0xD9))
# Pieces of a file that are passed over before it must have said its size: a second's work.
_STEPS = 2**20
_NO_FRAME = "it holds no frame of an image"


class Header(NamedTuple):
    """kind: "png", "jpeg", "gif" or "bmp". channels: without transparency, 1 or 3. end: of a GIF's first frame."""

    kind: str
    height: int
    width: int
    channels: int
    end: int | None = None


def header_of(path: pathlib.Path) -> Header:
    """What a file says about its image, or a UserError; its pixels are not read."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, and {MOST_BYTES:,} are the most")
        with path.open("rb") as file:
            return _header(file)
    except ValueError as error:
        raise unreadable(path, error) from error


def decode_image(path: pathlib.Path, channels: int = 0, least: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 `(height, width, channels)`, of an animation the first frame; or a UserError.

    Args:
        channels: 0 for those that it has.
        least: height and width that it is shrunk to next: what is much larger comes in a part of its size.
    """
    header_of(path)
    try:
        return decoded(path.read_bytes(), channels, least)
    except ValueError as error:
        raise unreadable(path, error) from error


def decoded(content: bytes, channels: int = 0, least: tuple[int, int] | None = None) -> np.ndarray:
    """The same of what a file holds; a ValueError for what cannot be decoded."""
    header = _header(io.BytesIO(content))
    if header.end is not None:
        # TensorFlow would decode all frames to return one.
        content = content[: header.end] + b";"
    ratio = _ratio(header, least)
    try:
        if ratio > 1:
            return tf.io.decode_jpeg(content, channels, ratio=ratio).numpy()
        image = tf.io.decode_image(content, channels, expand_animations=False)
        return _thinned(image, header, least).numpy()
    except tf.errors.OpError as error:
        raise ValueError(first_line(error)) from error


def unreadable(path: pathlib.Path, error: Exception) -> UserError:
    """In words."""
    reason = "it is empty" if path.stat().st_size == 0 else first_line(error)
    return UserError(f"{path} is no image that can be read ({reason}).")


def _ratio(header: Header, least: tuple[int, int] | None) -> int:
    """The part of a JPEG's size that will do: one eighth of it, or a quarter, or a half, or all."""
    fitting = [ratio for ratio in _RATIOS if header.kind == "jpeg" and _is_larger(header, least, ratio)]
    return max(fitting, default=1)


def _is_larger(header: Header, least: tuple[int, int] | None, times: int) -> bool:
    """Than is needed, so many times."""
    return least is not None and min(header.height / least[0], header.width / least[1]) >= _LARGER * times


def _thinned(image: tf.Tensor, header: Header, least: tuple[int, int] | None) -> tf.Tensor:
    """What is not a JPEG, by areas, which need no copy of the image in floats."""
    if least is None or not _is_larger(header, least, 2):
        return image
    size = [_LARGER * side for side in least]
    return tf.cast(tf.round(tf.raw_ops.ResizeArea(images=image[tf.newaxis], size=size)[0]), tf.uint8)


def _header(file: IO[bytes]) -> Header:
    begin = file.read(32)
    for magic, read in _READERS.items():
        if begin.startswith(magic):
            file.seek(0)
            try:
                header = read(file)
            except struct.error as error:
                raise ValueError("it ends before it says how large it is") from error
            return _possible(header)
    raise ValueError("it does not begin as PNG, JPEG, GIF and BMP do" if begin else "it is empty")


def _possible(header: Header) -> Header:
    height, width, channels = header[1:4]
    if not (height > 0 and width > 0):
        raise ValueError(f"it says that it has {height} x {width} pixels")
    if height * width * channels > MOST_VALUES:
        raise ValueError(
            f"it says that it has {height:,} x {width:,} pixels of {channels} values; {MOST_VALUES:,} values are the "
            "most. Shrink it, or take it out, if it is meant"
        )
    return header


def _unpacked(form: str, file: IO[bytes]) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _png(file: IO[bytes]) -> Header:
    file.seek(16)
    width, height, _, colours = _unpacked(">IIBB", file)
    return Header("png", height, width, 3 if colours & 2 else 1)


def _bmp(file: IO[bytes]) -> Header:
    file.seek(18)
    width, height, _, bits = _unpacked("<iiHH", file)
    return Header("bmp", abs(height), width, 1 if bits <= 8 else 3)


def _jpeg(file: IO[bytes]) -> Header:
    file.seek(2)
    for _ in range(_STEPS):
        (mark,) = _unpacked("B", file)
        if mark != 0xFF:
            # What libjpeg passes over as well.
            continue
        while mark == 0xFF:
            (mark,) = _unpacked("B", file)
        if mark in _FRAMES:
            _, _, height, width, components = _unpacked(">HBHHB", file)
            return Header("jpeg", height, width, 1 if components == 1 else 3)
        if mark in _ENDS:
            raise ValueError(_NO_FRAME)
        if mark not in _ALONE:
            (length,) = _unpacked(">H", file)
            file.seek(max(0, length - 2), io.SEEK_CUR)
    raise ValueError(_NO_FRAME)


def _gif(file: IO[bytes]) -> Header:
    file.seek(10)
    flags, _, _ = _unpacked("3B", file)
    _skip_colours(file, flags)
    while True:
        (block,) = _unpacked("B", file)
        if block == 0x2C:
            _, _, width, height, flags = _unpacked("<4HB", file)
            _skip_colours(file, flags)
            _skip_blocks(file)
            return Header("gif", height, width, 3, file.tell())
        if block != 0x21:
            raise ValueError(_NO_FRAME)
        _skip_blocks(file)


def _skip_colours(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), io.SEEK_CUR)


def _skip_blocks(file: IO[bytes]) -> None:
    """A byte that says what they are, and blocks up to an empty one, each of which begins with its length."""
    _unpacked("B", file)
    for _ in range(_STEPS):
        (length,) = _unpacked("B", file)
        if not length:
            return
        file.seek(length, io.SEEK_CUR)
    raise ValueError("its first frame is in too many pieces")


_READERS: dict[bytes, Callable[[IO[bytes]], Header]] = {
    b"\x89PNG": _png,
    b"\xff\xd8\xff": _jpeg,
    b"GIF8": _gif,
    b"BM": _bmp,
}
