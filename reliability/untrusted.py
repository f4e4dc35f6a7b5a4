"""`kmix-tf audit` of files that are large, or were made to fill memory, time or a disk.

Held is an answer, or a refusal in one line, within five seconds of the processor and a gigabyte of memory beyond what
a command takes that finds no file. In full each is a command of its own; in short a fork of one that has imported
TensorFlow.
"""

import gzip
import pathlib
import struct
import zipfile
from collections.abc import Callable, Iterator

from asking.commands import Asker, Case
from asking.files import columns, in_folders, png, sparse, write_array, written
from harness import Row, main

TITLE = "Files that are large, or claim to be"
SECONDS, MEGABYTES = 5.0, 1024.0
LARGE = 10 * 2**30
# Of an image of 4000 x 3000, decoded whole.
PHOTOGRAPHS, SIZE = 300, (4000, 3000)


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
            for kind in columns()
        ),
        *arrays(),
    ]


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
    """Which are read, in part; few of them are measured, which takes longer than reading does."""
    few = ["--max-samples", 300]
    return [Case("all equal", lambda to: [*few, *paired(2)(to)], "all samples are equal", status=0)]


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


def nested(folder: pathlib.Path) -> list[object]:
    """A hundred thousand lists in one another."""
    return ["--spec", *written("s.json", b"[" * 100_000)(folder), *written("d.tfrecord", b"")(folder)]


main(__name__, __doc__)
