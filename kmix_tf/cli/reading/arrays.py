"""NumPy's files: an .npz with x and y, or a pair of .npy; mapped into memory where they are not compressed."""

import lzma
import math
import mmap
import pathlib
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from kmix_tf.cli.reading.source import Block, Source, first_line, refuse_long, refuse_many, rows_of_a_block
from kmix_tf.cli.terminal import UserError

# A local header of a zip file is 30 bytes, whose last four are the lengths of the name and of what follows it.
_ZIP_HEADER = 30
# Bytes that are read at a time where they are only looked at.
_PIECE = 2**20
# Of an array, for NumPy of whichever version.
_MOST_AXES = 32
# Bytes that a compressed array may unpack to: it is read whole.
_MOST_UNPACKED = 2**30
# Bytes of x that are looked at, a few seconds: of more, pieces of so many bytes, or of one row, drawn at random.
_MOST_LOOKED_AT, _DRAWN = 2**30, 2**18
# Bytes of y, all of which is kept.
_MOST_LABELS = 2**31
# Names in a sentence.
_NAMED = 20
# What damaged, encrypted and otherwise compressed files raise. Not MemoryError: claims of a file are held against its
# size first, so that too little memory is no fault of the file's.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, OSError, LookupError, RuntimeError,
    TypeError, OverflowError, AttributeError, SyntaxError,
)  # fmt: skip


def read_npz(path: pathlib.Path, seed: int = 0) -> Source:
    """Arrays `x` `(n, ...)` and `y` of one file."""
    names, arrays = open_npz(path)
    if len(arrays) < 2:
        raise UserError(f"{path} must hold arrays x and y. Received: {', '.join(names[:_NAMED]) or 'none'}.")
    return _source(path.name, arrays["x"], arrays["y"], seed)


def open_npz(path: pathlib.Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of all arrays of one file, and of them `x` and `y`, whole and of plain values; or a UserError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            arrays: dict[str, np.ndarray] = {}
            arrays |= {name: _member(path, archive, members[name]) for name in ("x", "y") if name in members}
    except DAMAGED as error:
        raise _no_such_file(path, ".npz file of plain arrays", error) from error
    return sorted(members), arrays


def read_npy_pair(x_path: pathlib.Path, y_path: pathlib.Path, seed: int = 0) -> Source:
    """Features of one .npy file and labels of another."""
    arrays: list[np.ndarray] = []
    for path in (x_path, y_path):
        try:
            if not zipfile.is_zipfile(path):
                with path.open("rb") as file:
                    _read_header(file, "the array", path.stat().st_size)
            arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        except DAMAGED as error:
            raise _no_such_file(path, ".npy file of one plain array", error) from error
        if not isinstance(arrays[-1], np.ndarray):
            raise UserError(f"{path} is no .npy file of one plain array: it holds several.")
    return _source(f"{x_path.name}, {y_path.name}", arrays[0], arrays[1], seed)


def _no_such_file(path: pathlib.Path, kind: str, error: Exception) -> UserError:
    reason = "it is empty" if path.stat().st_size == 0 else first_line(error)
    return UserError(f"{path} is no {kind} ({reason}).")


def _member(path: pathlib.Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an .npz: mapped if it is stored as it is, read otherwise.

    Its check sum is right, unless it is larger than what is looked at.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        if info.file_size > _MOST_UNPACKED:
            raise ValueError(
                f"{info.filename} unpacks to {info.file_size:,} bytes, and {_MOST_UNPACKED:,} are the most; save it "
                "with np.savez, which does not compress, and it is read piece by piece"
            )
        with archive.open(info) as file:
            _read_header(file, info.filename, info.file_size)
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False)
            _read_on(file)
            return array
    if info.compress_size != info.file_size:
        raise ValueError(f"{info.filename} is of two sizes")
    if info.file_size <= _MOST_LOOKED_AT:
        with archive.open(info) as file:
            _read_on(file)
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_ZIP_HEADER)
        skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(info.header_offset + _ZIP_HEADER + skip)
        shape, fortran, dtype = _read_header(file, info.filename, file.tell() + info.file_size)
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _read_on(file: IO[bytes]) -> None:
    """To the end, where a file in a zip knows whether it was what had been put there."""
    while file.read(_PIECE):
        pass


def _read_header(file: IO[bytes], name: str, end: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and dtype, with the file left at the first value.

    Args:
        end: where in the file the last value ends.

    Raises:
        ValueError: for what is no header, or claims more values than there are.
    """
    try:
        version = np.lib.format.read_magic(file)
    except ValueError as error:
        raise ValueError(f"{name} does not begin as arrays saved by NumPy do") from error
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is of version {version} of NumPy's format, whose names of fields are no numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            # What Python thinks of a header's style is nobody's concern.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(file)
    except Exception as error:
        # It is read as an expression of Python, in which there is hardly an error that may not be.
        raise ValueError(f"{name} has no header that NumPy can read: {first_line(error)}") from error
    if dtype.hasobject:
        raise ValueError(
            f"{name} holds Python objects, which are not opened; save strings as y.astype(str), numbers as "
            "x.astype('float32')"
        )
    if len(shape) > _MOST_AXES or not all(0 <= size <= sys.maxsize for size in shape) or not dtype.itemsize:
        raise ValueError(f"{name} claims to hold {dtype} of shape {shape}, which cannot be")
    if file.tell() + math.prod(shape) * dtype.itemsize > end:
        raise ValueError(f"{name} claims to hold {dtype} of shape {shape}, for which it is too short")
    return shape, fortran, dtype


def _source(name: str, x: np.ndarray, y: np.ndarray, seed: int) -> Source:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise UserError(
            f"{name}: x must be (n, ...) and y (n,), equally long. Received: x of shape {x.shape} and y of {y.shape}."
        )
    if x.dtype.kind not in "fiub":
        raise UserError(f"{name}: x must be numbers. Received: x of dtype {x.dtype}.")
    if x.size == 0:
        raise UserError(f"{name} is empty. Received: x of shape {x.shape}.")
    refuse_many(name, len(x))
    _refuse_large_labels(name, y)
    source = Source(name, "arrays", iter(()), total=len(x), labels=y)
    pieces = _pieces(x, seed)
    if pieces is None:
        source.blocks = _blocks(x, y)
        return source
    source.places = np.concatenate([np.arange(piece.start, min(piece.stop, len(x))) for piece in pieces])
    source.blocks = _drawn_blocks(x, y, pieces)
    source.notes.append(
        f"Of {x.nbytes:,} bytes of x, {len(source.places):,} of {len(x):,} samples were looked at, drawn at random: "
        "values that are not finite, equal samples and features that never change were sought in these alone."
    )
    return source


def _refuse_large_labels(name: str, y: np.ndarray) -> None:
    if y.dtype.kind in "US":
        refuse_long(f"{name}: y", len(y), y.dtype.itemsize)
    if y.nbytes > _MOST_LABELS:
        raise UserError(
            f"{name}: y must hold at most {_MOST_LABELS:,} bytes. Received: {y.nbytes:,}, y of shape {y.shape} and "
            f"dtype {y.dtype}. Save classes as integers (n,), or take a part of the samples, drawn at random."
        )


def _pieces(x: np.ndarray, seed: int) -> list[slice] | None:
    """Rows that are looked at, in order; None for all. Rows of a piece are neighbours, as disks like them."""
    if x.nbytes <= _MOST_LOOKED_AT:
        return None
    rows = max(1, _DRAWN // x[:1].nbytes)
    chosen = np.random.default_rng([seed, 11]).permutation(-(-len(x) // rows))
    starts = rows * np.sort(chosen[: max(1, _MOST_LOOKED_AT // (rows * x[:1].nbytes))])
    return [slice(start, start + rows) for start in starts.tolist()]


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[Block]:
    rows = rows_of_a_block(x[0].size)
    for start in range(0, len(x), rows):
        yield Block(np.asarray(x[start : start + rows]), np.asarray(y[start : start + rows]))
        _let_go(x)


def _drawn_blocks(x: np.ndarray, y: np.ndarray, pieces: list[slice]) -> Iterator[Block]:
    together = max(1, rows_of_a_block(x[0].size) // (pieces[0].stop - pieces[0].start))
    for start in range(0, len(pieces), together):
        taken = pieces[start : start + together]
        rows = np.concatenate([_piece(x, piece) for piece in taken])
        yield Block(rows, np.concatenate([y[piece] for piece in taken]))
        _let_go(x)


def _piece(x: np.ndarray, rows: slice) -> np.ndarray:
    """Some rows: of a file by reading, as a mapped one is read with all that lies near what is looked at."""
    if not (isinstance(x, np.memmap) and x.filename and x.flags.c_contiguous):
        return x[rows]
    start, stop, _ = rows.indices(len(x))
    size = x[:1].nbytes
    read = np.fromfile(x.filename, x.dtype, (stop - start) * x[0].size, offset=x.offset + start * size)
    return read.reshape(stop - start, *x.shape[1:])


def _let_go(x: np.ndarray) -> None:
    """What was read of a file counts as memory of the process until it is said to be needed no more."""
    mapped = getattr(x, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
