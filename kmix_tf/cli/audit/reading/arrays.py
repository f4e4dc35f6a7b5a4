"""NumPy's files: an .npz with x and y, or a pair of .npy; mapped into memory where they are not compressed."""

import lzma
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from kmix_tf.cli.audit.reading.source import Block, Source, rows_of_a_block
from kmix_tf.cli.terminal import UserError

# A local header of a zip file is 30 bytes, whose last four are the lengths of the name and of what follows it.
_ZIP_HEADER = 30
# What damaged, encrypted and otherwise compressed files raise.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, OSError, KeyError, RuntimeError)


def read_npz(path: pathlib.Path) -> Source:
    """Arrays `x` `(n, ...)` and `y` of one file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = [_member(path, names[name]) for name in ("x", "y") if name in names]
    except DAMAGED as error:
        raise _no_such_file(path, ".npz file of plain arrays", error) from error
    if len(arrays) < 2:
        raise UserError(f"{path} must hold arrays x and y. Received: {', '.join(sorted(names)) or 'none'}.")
    return _source(path.name, *arrays)


def read_npy_pair(x_path: pathlib.Path, y_path: pathlib.Path) -> Source:
    """Features of one .npy file and labels of another."""
    arrays = []
    for path in (x_path, y_path):
        try:
            if not zipfile.is_zipfile(path):
                with path.open("rb") as file:
                    _read_header(file, "the array")
            arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            raise _no_such_file(path, ".npy file of one plain array", error) from error
        if not isinstance(arrays[-1], np.ndarray):
            raise UserError(f"{path} is no .npy file of one plain array: it holds several.")
    return _source(f"{x_path.name}, {y_path.name}", *arrays)


def _no_such_file(path: pathlib.Path, kind: str, error: Exception) -> UserError:
    reason = "it is empty" if path.stat().st_size == 0 else str(error).splitlines()[0]
    return UserError(f"{path} is no {kind} ({reason}).")


def _member(path: pathlib.Path, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an .npz: mapped if it is stored as it is, read otherwise."""
    if info.compress_type != zipfile.ZIP_STORED:
        with zipfile.ZipFile(path) as archive, archive.open(info) as file:
            _read_header(file, info.filename)
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_ZIP_HEADER)
        skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(info.header_offset + _ZIP_HEADER + skip)
        shape, fortran, dtype = _read_header(file, info.filename)
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and dtype, with the file left at the first value."""
    try:
        version = np.lib.format.read_magic(file)
    except ValueError as error:
        raise ValueError(f"{name} does not begin as arrays saved by NumPy do") from error
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is of version {version} of NumPy's format, whose names of fields are no numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(
            f"{name} holds Python objects, which are not opened; save strings as y.astype(str), numbers as "
            "x.astype('float32')"
        )
    return shape, fortran, dtype


def _source(name: str, x: np.ndarray, y: np.ndarray) -> Source:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise UserError(
            f"{name}: x must be (n, ...) and y (n,), equally long. Received: x of shape {x.shape} and y of {y.shape}."
        )
    if x.dtype.kind not in "fiub":
        raise UserError(f"{name}: x must be numbers. Received: x of dtype {x.dtype}.")
    if x.size == 0:
        raise UserError(f"{name} is empty. Received: x of shape {x.shape}.")
    return Source(name, "arrays", _blocks(x, np.asarray(y)), total=len(x))


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[Block]:
    rows = rows_of_a_block(x[0].size)
    for start in range(0, len(x), rows):
        yield Block(np.asarray(x[start : start + rows]), y[start : start + rows])
