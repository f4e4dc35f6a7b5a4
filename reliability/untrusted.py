"""`kmix-tf audit` of files that are large, or were made to fill memory, time or a disk, or to show or run something.

Held is an answer, or a refusal in one line, within five seconds of the processor and a gigabyte of memory beyond what
a command takes that finds no file. In full each is a command of its own; in short a fork of one that has imported
TensorFlow.
"""

import gzip
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from asking.commands import Answer, Asker, Case
from harness import Row, main

TITLE = "Files that are large, or made to do harm"
SECONDS, MEGABYTES = 5.0, 1024.0
LARGE = 10 * 2**30
# Of an image of 4000 x 3000, decoded whole.
PHOTOGRAPHS, SIZE = 300, (4000, 3000)
SECRET = "a secret of this disk"
# Of a file, empty, at its place: a pickle that ran makes it.
RAN = "it-ran"


def measure(short: bool) -> Iterator[Row]:
    """The rows."""
    asker = Asker(is_fork=short)
    count = 12 if short else PHOTOGRAPHS
    photographs = Case("photographs", lambda to: photographed(to, count), "Verdict", status=0)
    # Decoding takes its time, and is no refusal.
    yield asker.row(f"{count} photographs of 4000 x 3000 are audited in a gigabyte", [photographs], 1e9, MEGABYTES)
    # What is read takes longer than a refusal; once, all of it was read.
    yield asker.row("Images of 10 GB in an .npy are answered from a gigabyte of them", looked_at(), 30.0, MEGABYTES)
    cases = large(10**8 if short else 10**9)
    yield asker.row("Files of up to 10 GB that cannot be used are refused", cases, SECONDS, MEGABYTES)
    cases = bombs(1.1 * 2**30 if short else LARGE)
    yield asker.row("Files that claim, or unpack to, far more than they are are refused", cases, SECONDS, MEGABYTES)
    yield asker.row("Pickles are refused and do not run", pickles(), SECONDS, MEGABYTES)
    yield asker.row("Links and names that lead out of a folder are refused", links(), SECONDS, MEGABYTES)


def photographed(folder: pathlib.Path, count: int) -> list[object]:
    """Two classes of JPEGs, no two of them equal."""
    import numpy as np
    from PIL import Image

    random_ = np.random.default_rng(0)
    for number in range(count):
        (folder / "d" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        small = random_.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize(SIZE, Image.Resampling.BILINEAR)
        image.save(folder / "d" / "ab"[number % 2] / f"{number}.jpg", quality=85)
    return [folder / "d"]


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


def large(cells: int) -> list[Case]:
    """Of so many cells in a line, and of 10 GB."""

    def line(folder: pathlib.Path) -> list[object]:
        with (folder / "t.csv").open("wb") as file:
            for _ in range(cells // 10**6):
                file.write(b"0," * 10**6)
        return [folder / "t.csv"]

    def record(folder: pathlib.Path) -> list[object]:
        return ["--spec", *written("s.json", b"{", LARGE)(folder), *written("d.tfrecord", b"")(folder)]

    def image(folder: pathlib.Path) -> list[object]:
        in_folders(folder, {"a/0.png": png(8, 9), "b/0.png": png(8, 9)})
        written("d/b/1.png", png(8, 9), LARGE)(folder)
        return [folder / "d"]

    return [
        Case("a line", line, "a line may have at most"),
        Case("zeros as CSV", written("t.csv", b"", LARGE), "holds binary data"),
        Case("zeros as TFRecord", written("d.tfrecord", b"", LARGE), "a record is empty"),
        Case("zeros as JSON", record, "s.json has 10,737,418,240 bytes"),
        Case("zeros as an image", image, r"b/1\.png is no image .*10,737,418,240 bytes"),
        *(
            Case(f"zeros as {kind}", written(f"d.{kind}", b"", LARGE), f"d.{kind} cannot be read")
            for kind in _columns()
        ),
        *arrays(),
    ]


def _columns() -> tuple[str, ...]:
    """Files that PyArrow reads, where it is there."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return ()
    return ("parquet", "feather")


def paired(
    classes: int, dtype: str = "<f4", shape: tuple[int, ...] = (53_000, 224, 224, 1), labels: int = 53_000
) -> Callable[[pathlib.Path], list[object]]:
    """x of 10 GB, and labels of so many classes."""

    def make(folder: pathlib.Path) -> list[object]:
        import numpy as np

        np.save(folder / "y.npy", np.arange(labels) % classes)
        return [sparse(folder / "x.npy", dtype, shape), folder / "y.npy"]

    return make


def arrays() -> list[Case]:
    """A pair of .npy, of which one has 10 GB of zeros."""

    def many(folder: pathlib.Path) -> list[object]:
        return [sparse(folder / "x.npy", "<f8", (10**9, 1)), sparse(folder / "y.npy", "<i1", (10**9,))]

    def labels(folder: pathlib.Path) -> list[object]:
        return [sparse(folder / "x.npy", "<f4", (1000, 2)), sparse(folder / "y.npy", "<f4", (1000, 2_500_000))]

    def none(folder: pathlib.Path) -> list[object]:
        return [*written("x.npy", b"", LARGE)(folder), sparse(folder / "y.npy", "<i8", (100,))]

    return [
        Case("no header", none, "does not begin as arrays saved by NumPy do"),
        Case("10^9 samples", many, "at most 100,000,000 samples"),
        Case("labels of 10 GB", labels, "y must hold at most 2,147,483,648 bytes"),
        Case("fewer labels", paired(2, labels=100), "equally long"),
        Case("complex numbers", paired(2, "<c8", (53_000, 224, 112, 1)), "x must be numbers"),
        Case("one class", paired(1), "all 53000 samples are of class 0", status=0),
    ]


def looked_at() -> list[Case]:
    """Which are read, in part."""
    return [Case("all equal", paired(2), "all samples are equal", status=0)]


def sparse(path: pathlib.Path, dtype: str, shape: tuple[int, ...]) -> pathlib.Path:
    """An .npy of zeros that are not on the disk."""
    import numpy as np

    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return path


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


def bombs(size: float) -> list[Case]:
    """size: what they unpack to."""
    zeros, rows = (gzip.compress(piece) for piece in (bytes(2**26), b"0,0,1\n" * (2**26 // 6)))
    times = int(size) // 2**26
    begin = struct.pack("<Q", 2**62) + bytes(8)

    def packed(folder: pathlib.Path) -> list[object]:
        with zipfile.ZipFile(folder / "d.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, columns in (("x", 2**11), ("y", 1)):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    count = int(size) // 2**26 * 2**13 if columns > 1 else 3
                    write_array(file, (count, columns))
        return [folder / "d.npz"]

    def images(kind: str, content: bytes) -> Case:
        def make(folder: pathlib.Path) -> list[object]:
            return [in_folders(folder, {"a/0.png": png(8, 9), "b/0.png": png(8, 9), f"a/1.{kind}": content})]

        return Case(f"image of {kind}", make, f"a/1.{kind} is no image that can be read .*values are the most")

    return [
        images("png", png(50_000, 50_000)),
        images("gif", b"GIF89a" + bytes(7) + b"\x2c" + bytes(4) + b"\xff" * 4 + bytes(2**10)),
        images("bmp", b"BM" + bytes(16) + struct.pack("<iiHH", 2**30, 2**30, 1, 24) + bytes(2**10)),
        images("jpg", b"\xff\xd8\xff\xc0\x00\x11\x08" + b"\xff" * 4 + b"\x03" + bytes(2**10)),
        Case("zeros of gzip", written("t.csv.gz", zeros * times), "holds binary data"),
        Case("lines of gzip", written("t.csv.gz", rows * times), "unpacks to more than 200 times its size"),
        Case("gzip of gzip", written("t.csv.gz", gzip.compress(rows * times)), "is no CSV file"),
        Case("records of gzip", written("d.tfrecord.gz", zeros * times), "is no|DATA must be"),
        Case("a record's claim", written("d.tfrecord", begin), "claims a record of"),
        Case("a record's claim, packed", written("d.tfrecord", gzip.compress(begin)), "claims a record of"),
        Case("records that grow", written("d.tfrecord", zeros * times), "a record is empty"),
        Case(".npz", packed, r"x\.npy unpacks to [0-9,]+ bytes, and"),
        Case("nested JSON", nested, "must be JSON like"),
    ]


def write_array(file: IO[bytes], shape: tuple[int, int]) -> None:
    """Zeros of four bytes, a few megabytes at a time."""
    import numpy as np

    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    left = 4 * shape[0] * shape[1]
    while left:
        left -= file.write(bytes(min(left, 2**24)))


def nested(folder: pathlib.Path) -> list[object]:
    """A hundred thousand lists in one another."""
    return ["--spec", *written("s.json", b"[" * 100_000)(folder), *written("d.tfrecord", b"")(folder)]


class Runs:
    """What makes a file when it is read as a pickle."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, (str(self.path),)


def pickles() -> list[Case]:
    """Which would run; that they do is seen in a process beside."""

    def made(folder: pathlib.Path) -> "object":
        import numpy as np

        array = np.array([Runs(folder / RAN)] * 4, object)
        # One that runs, if it is let.
        np.save(folder / "proof.npy", array)
        code = f"import numpy; numpy.load({str(folder / 'proof.npy')!r}, allow_pickle=True)"
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        (folder / RAN).rmdir()
        return array

    def npy(folder: pathlib.Path) -> list[object]:
        import numpy as np

        np.save(folder / "x.npy", np.zeros((4, 2)))
        np.save(folder / "y.npy", made(folder))
        return [folder / "x.npy", folder / "y.npy"]

    def npz(folder: pathlib.Path) -> list[object]:
        import numpy as np

        np.savez(folder / "d.npz", x=made(folder), y=np.arange(4) % 2)
        return [folder / "d.npz"]

    def named(name: str) -> Callable[[pathlib.Path], list[object]]:
        return lambda folder: written(name, pickle.dumps(made(folder)))(folder)

    def well(answer: Answer, folder: pathlib.Path) -> bool:
        return not (folder / RAN).exists()

    objects, code = "holds Python objects, which are not opened", "runs whatever code it holds"
    return [
        Case("in an .npy", npy, objects, well=well),
        Case("in an .npz", npz, objects, well=well),
        *(Case(name, named(name), code, well=well) for name in ("d.pkl", "d.joblib")),
        Case("as an .npz", named("d.npz"), "is no .npz file", well=well),
        Case("as a CSV", named("d.csv"), "is no CSV file", well=well),
    ]


def links() -> list[Case]:
    """Of images, and of a saved table."""

    def linked(place: str, to: str) -> Callable[[pathlib.Path], Sequence[object]]:
        def make(folder: pathlib.Path) -> list[object]:
            in_folders(folder, {"a/0.png": png(8, 9), "b/0.png": png(8, 9)})
            written("other/0.png", SECRET.encode())(folder)
            (folder / "d" / place).symlink_to(folder / to)
            return [folder / "d"]

        return make

    def saved(name: str, link: bool = False) -> Callable[[pathlib.Path], Sequence[object]]:
        def make(folder: pathlib.Path) -> list[object]:
            written("secret.arrow", SECRET.encode())(folder)
            written("d/state.json", json.dumps({"_data_files": [{"filename": name}]}).encode())(folder)
            if link:
                (folder / "d" / name).symlink_to(folder / "secret.arrow")
            return [folder / "d"]

        return make

    def well(answer: Answer, folder: pathlib.Path) -> bool:
        return SECRET not in answer.told

    out, name = "is a link that leads out of", "must be named without its folder"
    cases = [
        Case("a file", linked("a/1.png", "other/0.png"), out, well=well),
        Case("a folder", linked("c", "other"), out, well=well),
    ]
    if not _columns():
        return cases
    names = ("../secret.arrow", "/etc/passwd", "..", "a/b.arrow")
    return [
        *cases,
        *(Case(f"saved table of {path}", saved(path), name, well=well) for path in names),
        Case("link of a saved table", saved("data.arrow", link=True), out, well=well),
    ]


main(__name__, __doc__)
