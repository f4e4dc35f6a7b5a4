"""How long the records of a TFRecord file say they are.

TensorFlow takes as much memory as a record claims before it looks whether it is there, and the process ends where
there is not so much.
"""

import gzip
import os
import pathlib
import struct
import zlib
from typing import IO

# Bytes of a record, as of an encoded image.
MOST_BYTES = 2**28
_LENGTH, _AFTER = struct.Struct("<Q"), 4
# Length and its check sum before the bytes of a record; a check sum after them.
_BEFORE = _LENGTH.size + 4
_PIECE = 2**20
# Of what gzip unpacks, so much comes without question.
_UNPACKED, _RATIO = 2**28, 200


def longest_record(path: pathlib.Path, is_packed: bool) -> int:
    """In bytes; 0 where there is none.

    Raises:
        ValueError: for a record that is not all there, or longer than any should be, or what gzip did not make.
    """
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file:
        if not is_packed:
            return _longest(file)
        try:
            return _longest_packed(file)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"no whole gzip file: {error}") from error


def _longest(file: IO[bytes]) -> int:
    # Mapped, all of it would count as memory of the process.
    place, longest, size = 0, 0, os.fstat(file.fileno()).st_size
    while place < size:
        file.seek(place)
        length = _length(file.read(_BEFORE))
        place += _BEFORE + length + _AFTER
        if place > size:
            raise ValueError(f"a record of {length:,} bytes is cut short")
        longest = max(longest, length)
    return longest


def _longest_packed(file: IO[bytes]) -> int:
    longest = total = 0
    with gzip.GzipFile(fileobj=file) as unpacked:
        while begin := unpacked.read(_BEFORE):
            length = _length(begin)
            left, total = length + _AFTER, total + _BEFORE
            while left:
                piece = len(unpacked.read(min(left, _PIECE)))
                if not piece:
                    raise ValueError(f"a record of {length:,} bytes is cut short")
                left, total = left - piece, total + piece
                if total > max(_UNPACKED, _RATIO * file.tell()):
                    raise ValueError(
                        f"it unpacks to more than {_RATIO} times its size; gunzip it first if it is meant"
                    )
            longest = max(longest, length)
    return longest


def _length(begin: bytes) -> int:
    if len(begin) < _BEFORE:
        raise ValueError("the length of a record is cut short")
    (length,) = _LENGTH.unpack_from(begin)
    if not length:
        # Files of zeros are full of them, and take minutes.
        raise ValueError("a record is empty")
    if length > MOST_BYTES:
        raise ValueError(f"it claims a record of {length:,} bytes, and {MOST_BYTES:,} are the most")
    return int(length)
