"""Files of the idx format, in which MNIST and its relatives are published."""

import gzip
import pathlib
import zlib

import numpy as np

# Two zero bytes, 8 for unsigned bytes, and how many axes.
_MAGIC = b"\0\0\x08"


def read_idx(path):
    """The uint8 array of an idx file, compressed if its name ends in .gz.

    Raises:
        ValueError: by the file's name, if it is no idx file of bytes, is cut off or goes on behind its end.
    """
    content = _content(pathlib.Path(path))
    if len(content) < 4 or content[:3] != _MAGIC:
        raise ValueError(f"{path}: an idx file of bytes begins with 00 00 08. Received: {content[:4].hex(' ')}.")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path}: is cut off within its header, after {len(content)} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    expected, received = int(np.prod(shape, dtype=object)), len(content) - start
    if expected != received:
        raise ValueError(f"{path}: {shape} in the header are {expected} bytes. Received: {received}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path):
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: is no whole gzip file: {error}.") from error
