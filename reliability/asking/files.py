"""Files that are given to commands."""

import pathlib
import struct
import zlib
from collections.abc import Callable
from typing import IO


def written(name: str, content: bytes, size: int = 0) -> Callable[[pathlib.Path], list[object]]:
    """A file that begins so and goes on, to so many bytes, with zeros that are not on the disk."""

    def make(folder: pathlib.Path) -> list[object]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.truncate(max(size, len(content)))
        return [path]

    return make


def sparse(path: pathlib.Path, dtype: str, shape: tuple[int, ...]) -> pathlib.Path:
    """An .npy of zeros that are not on the disk."""
    import numpy as np

    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return path


def write_array(file: IO[bytes], shape: tuple[int, int]) -> None:
    """Zeros of four bytes, a few megabytes at a time."""
    import numpy as np

    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    left = 4 * shape[0] * shape[1]
    while left:
        left -= file.write(bytes(min(left, 2**24)))


def png(width: int, height: int) -> bytes:
    """Which claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(min(3 * width + 1, 2**16) * min(height, 2**10)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def in_folders(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    """A folder of images."""
    for name, content in files.items():
        written(f"d/{name}", content)(folder)
    return folder / "d"


def columns() -> tuple[str, ...]:
    """Files that PyArrow reads, where it is there."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return ()
    return ("parquet", "feather")
