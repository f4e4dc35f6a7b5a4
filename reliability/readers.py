"""The readers of `kmix-tf audit` and `compare` on valid files that were changed at random.

Bits are flipped, bytes are cut out, doubled and put in from other files, numbers become huge, encodings change; half
of the time below the check sums (of zip, gzip, TFRecord), which would catch it otherwise. Held is an input that was
read to the end, or refused by one of our errors in one line, within five seconds of the processor, a gigabyte of
memory, and without the end of the process.
"""

import collections
import dataclasses
import gzip
import io
import json
import multiprocessing
import pathlib
import random
import resource
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from harness import Row, main

TITLE = "Readers, and files that are damaged"
# Inputs in full, and seconds in short.
INPUTS, SECONDS = 100_000, 40.0
# Of one input: seconds of the processor, and bytes more than ever before. And seconds after which it counts as hung.
SLOW, LARGE, HUNG = 5.0, 2**30, 120.0
SEED = 19
_NUMBERS = (
    b"0",
    b"-1",
    b"1e400",
    b"nan",
    b"inf",
    b"99999999999999999999",
    b"9" * 500,
    b"1e-400",
    b"007",
    b"\xff\xfe",
)


def changed(content: bytes, random_: random.Random, others: list[bytes]) -> bytes:
    """The same with one to four changes."""
    made = bytearray(content)
    for _ in range(random_.choice((1, 1, 2, 4))):
        random_.choice(_CHANGES)(made, random_, others)
    return bytes(made)


def _place(made: bytearray, random_: random.Random) -> int:
    """More often near the beginning, where headers are."""
    return random_.randrange(min(len(made), random_.choice((64, 512, len(made)))) or 1) if made else 0


def _flip(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    if made:
        made[_place(made, random_)] ^= 1 << random_.randrange(8)


def _set(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    place = _place(made, random_)
    made[place : place + random_.choice((1, 2, 4, 8))] = random_.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * 4


def _cut(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    place = _place(made, random_)
    del made[place : random_.choice((place + 1, place + 16, len(made)))]


def _double(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    place = _place(made, random_)
    made[place:place] = made[place : place + random_.choice((1, 8, 100))] * random_.choice((1, 2, 50))


def _splice(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    place, other = _place(made, random_), random_.choice(others)
    start = random_.randrange(len(other) or 1)
    made[place : place + random_.choice((0, 8, 100))] = other[start : start + random_.choice((4, 50, 500))]


def _number(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    """A huge one, or none, in the place of digits, if there are any."""
    digits = [place for place, byte in enumerate(made[:2000]) if 48 <= byte < 58]
    place = random_.choice(digits) if digits else _place(made, random_)
    made[place : place + 1] = random_.choice(_NUMBERS)


def _sign(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    """A sign that means something to somebody."""
    place = _place(made, random_)
    made[place:place] = random_.choice(
        (b'"', b",", b"\n", b"\r", b"\0", b";", b"\t", b"{", b"[" * 2000, b"\x1b[2J", b"\\")
    )


def _encode(made: bytearray, random_: random.Random, others: list[bytes]) -> None:
    text = bytes(made).decode("latin1")
    made[:] = text.encode(random_.choice(("utf-16", "utf-8-sig", "utf-8", "utf-32")))


_CHANGES = [_flip, _flip, _set, _cut, _double, _splice, _number, _number, _sign, _encode]


@dataclasses.dataclass
class Kind:
    """parts: what the inside of a file is made of. wrap: writes it, in a folder, and says what to open."""

    name: str
    parts: list[bytes]
    wrap: Callable[[list[bytes], pathlib.Path], list[pathlib.Path]]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def written(self, folder: pathlib.Path, random_: random.Random | None, others: list[bytes]) -> list[pathlib.Path]:
        """A changed file: one of its parts, or one of the files themselves; None: as it was."""
        if random_ is None:
            return self.wrap(self.parts, folder)
        parts, is_inside = list(self.parts), random_.random() < 0.5
        if is_inside:
            place = random_.randrange(len(parts))
            parts[place] = changed(parts[place], random_, others)
        paths = self.wrap(parts, folder)
        if not is_inside:
            files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.*")))
            file = random_.choice([file for file in files if file.is_file()])
            file.write_bytes(changed(file.read_bytes(), random_, others))
        return paths


def kinds() -> list[Kind]:
    """All kinds of files that are read, each of a valid one."""
    import numpy as np

    random_ = np.random.default_rng(SEED)
    x, y = random_.normal(size=(24, 3)).astype(np.float32), np.arange(24) % 3
    table = _table(x, y)
    arrays = [_npy(x), _npy(y)]
    return [
        Kind("CSV", [table.encode()], _one("d.csv")),
        Kind("TSV", [table.replace(",", "\t").encode()], _one("d.tsv")),
        Kind("CSV of gzip", [table.encode()], lambda parts, to: _one("d.csv.gz")([gzip.compress(parts[0])], to)),
        Kind(".npy", arrays, lambda parts, to: [*_one("x.npy")(parts[:1], to), *_one("y.npy")(parts[1:], to)]),
        Kind(".npz", arrays, _npz(zipfile.ZIP_STORED)),
        Kind(".npz, compressed", arrays, _npz(zipfile.ZIP_DEFLATED)),
        *_tables(x, y),
        Kind("images", _images(random_), _folder),
        *_records(x, y, random_),
    ]


def _table(x: Any, y: Any) -> str:
    rows = [
        f"{a:.4f},{b:.3g},{'red' if a > 0 else 'blue'},2026-01-{i + 1:02d},{'abc'[label]}"
        for i, ((a, b, _), label) in enumerate(zip(x.tolist(), y, strict=True))
    ]
    return "\n".join(["size,weight,colour,day,kind", *rows]) + "\n"


def _npy(array: Any) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _one(name: str) -> Callable[[list[bytes], pathlib.Path], list[pathlib.Path]]:
    def wrap(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
        (folder / name).write_bytes(parts[0])
        return [folder / name]

    return wrap


def _npz(compression: int) -> Callable[[list[bytes], pathlib.Path], list[pathlib.Path]]:
    def wrap(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
        with zipfile.ZipFile(folder / "d.npz", "w", compression) as archive:
            for name, part in zip(("x.npy", "y.npy"), parts, strict=True):
                archive.writestr(name, part)
        return [folder / "d.npz"]

    return wrap


def _tables(x: Any, y: Any) -> list[Kind]:
    """Parquet, Feather and a saved table of Hugging Face's, where PyArrow is there."""
    try:
        import pyarrow
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError:
        return []
    days = pyarrow.array(range(len(x)), pyarrow.int32()).cast(pyarrow.date32())
    words = ["red" if a > 0 else None for a in x[:, 0]]
    made = pyarrow.table({"a": x[:, 0], "b": x[:, 1].astype("float64"), "c": words, "d": days, "y": y})
    parquet, feather, stream = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pyarrow.parquet.write_table(made, parquet)
    pyarrow.feather.write_feather(made, feather, compression="uncompressed")
    with pyarrow.ipc.new_stream(stream, made.schema) as writer:
        writer.write_table(made)
    told = {"_data_files": [{"filename": "data.arrow"}], "_fingerprint": "1"}
    info = {"features": {"y": {"names": ["p", "q", "r"], "_type": "ClassLabel"}, "a": {"dtype": "float32"}}}

    def saved(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
        for name, part in zip(("state.json", "dataset_info.json", "data.arrow"), parts, strict=True):
            (folder / name).write_bytes(part)
        return [folder]

    return [
        Kind("Parquet", [parquet.getvalue()], _one("d.parquet")),
        Kind("Feather", [feather.getvalue()], _one("d.feather")),
        Kind("saved table", [json.dumps(told).encode(), json.dumps(info).encode(), stream.getvalue()], saved),
    ]


_SUFFIXES = ("png", "jpg", "gif", "bmp")


def _images(random_: Any) -> list[bytes]:
    import numpy as np
    import tensorflow as tf

    image = random_.integers(0, 256, (9, 8, 3)).astype(np.uint8)
    # A GIF and a BMP by hand, as TensorFlow writes none: of one colour, and as it is.
    gif = (
        b"GIF89a\x08\x00\x09\x00\x80\x00\x00\xff\x00\x00\x00\xff\x00,\x00\x00\x00\x00\x08\x00\x09\x00\x00\x02\x0a"
        b"\x84\x8f\xa9\xcb\xed\x0f\xa3\x9c\xb4\x5a\x00;"
    )
    size = 54 + 9 * 24
    bmp = b"BM" + size.to_bytes(4, "little") + bytes(4) + b"\x36\x00\x00\x00\x28\x00\x00\x00\x08\x00\x00\x00\x09"
    bmp += bytes(3) + b"\x01\x00\x18\x00" + bytes(24) + image.tobytes()
    return [tf.io.encode_png(image).numpy(), tf.io.encode_jpeg(image).numpy(), gif, bmp]


def _folder(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
    for label in "ab":
        (folder / label).mkdir(exist_ok=True)
    for suffix, part in zip(_SUFFIXES, parts, strict=True):
        (folder / "a" / f"0.{suffix}").write_bytes(part)
    for i in range(2):
        (folder / "b" / f"{i}.png").write_bytes(parts[0])
    return [folder]


def _records(x: Any, y: Any, random_: Any) -> list[Kind]:
    """Of numbers, of images, of gzip, and a specification of raw bytes."""
    import tensorflow as tf

    def example(**values: Any) -> bytes:
        made = {}
        for name, value in values.items():
            if isinstance(value, bytes):
                made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            elif isinstance(value, int):
                made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            else:
                made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
        return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()

    def wrap(compression: str) -> Callable[[list[bytes], pathlib.Path], list[pathlib.Path]]:
        def write(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
            with tf.io.TFRecordWriter(str(folder / "d.tfrecord"), compression) as writer:
                for part in parts:
                    writer.write(part)
            return [folder / "d.tfrecord"]

        return write

    def specified(parts: list[bytes], folder: pathlib.Path) -> list[pathlib.Path]:
        (folder / "spec.json").write_bytes(parts[0])
        return wrap("")(parts[1:], folder)

    image = _images(random_)[0]
    numbers = [example(a=row, label=int(label)) for row, label in zip(x.tolist(), y, strict=True)][:6]
    raw = [example(a=row.tobytes(), label=int(label)) for row, label in zip(x, y, strict=True)][:6]
    spec = {"a": {"dtype": "float32", "shape": [3]}, "label": {"dtype": "int64", "shape": []}}
    spec["a"]["dtype"] = "uint8"
    spec["a"]["shape"] = [12]
    return [
        Kind("TFRecord", numbers, wrap("")),
        Kind("TFRecord of gzip", numbers, wrap("GZIP")),
        Kind("TFRecord of images", [example(a=image, label=i % 2) for i in range(4)], wrap("")),
        Kind("TFRecord and spec", [json.dumps(spec).encode(), *raw], specified, {"spec": "spec.json"}),
    ]


def outcome(kind: Kind, number: int, first: int, folder: pathlib.Path, others: list[bytes]) -> str:
    """Of one input: "read", "refused", or what else came of it. Numbers below `first` are of files as they were."""
    from kmix_tf.cli.reading import Options, open_data
    from kmix_tf.cli.reading.sample import collect
    from kmix_tf.cli.terminal import UserError

    # The first one is valid, or nothing could be read.
    random_ = random.Random(f"{SEED} {kind.name} {number}") if number >= first else None
    with tempfile.TemporaryDirectory(dir=folder) as place:
        paths = kind.written(pathlib.Path(place), random_, others)
        options = {name: str(pathlib.Path(place) / value) for name, value in kind.options.items()}
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            collect(open_data([str(path) for path in paths], Options(**options)), 1000, 0)
            found = "read"
        except UserError as error:
            found = (
                "refused" if error.message and "\n" not in error.message else f"more than a line: {error.message!r}"
            )
        except Exception as error:
            found = f"{type(error).__name__}: {traceback.format_exc(limit=-2)}"
        seconds = time.process_time() - began
        more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if random_ is None and found != "read":
        return f"the valid file was not read: {found}"
    if seconds > SLOW:
        return f"{seconds:.0f} seconds"
    return f"{more / 2**20:.0f} MB more" if more > LARGE else found


def work(first: int, last: int, pipe: Any) -> None:
    """In a process of its own, which a reader may end: each number before, and what came of it after."""
    every = kinds()
    others = [part for kind in every for part in kind.parts]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            pipe.send((number, None))
            pipe.send((number, outcome(every[number % len(every)], number, len(every), pathlib.Path(folder), others)))


def outcomes(count: int, seconds: float) -> Iterator[tuple[int, str]]:
    """Of so many inputs, the kinds by turns, or as many as there is time for."""
    context, number, ends = multiprocessing.get_context("spawn"), 0, float("inf")
    while number < count:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(number, count, theirs))
        process.start()
        theirs.close()
        try:
            while True:
                if not ours.poll(HUNG):
                    yield number, f"no answer in {HUNG:.0f} seconds"
                    break
                number, found = ours.recv()
                # It counts from when the first process is there.
                ends = min(ends, time.monotonic() + seconds)
                if found is not None:
                    yield number, found
                if time.monotonic() > ends:
                    return
        except EOFError:
            process.join(HUNG)
            if process.exitcode:
                yield number, f"the process ended, {process.exitcode}"
        finally:
            process.kill()
            process.join()
        number += 1


def measure(short: bool) -> Iterator[Row]:
    """A row for each kind of file."""
    names = [kind.name for kind in kinds()]
    found: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in names}
    for number, what in outcomes(INPUTS, SECONDS if short else float("inf")):
        name, is_well = names[number % len(names)], what in ("read", "refused")
        found[name][what if is_well else "failed"] += 1
        if not is_well:
            print(f"{name}, input {number}: {what}", file=sys.stderr)
    for name, counted in found.items():
        yield Row(
            f"{name}: a valid file, changed at random, is read or refused in one line",
            sum(counted.values()),
            counted["read"] + counted["refused"],
            numbers=f"{counted['read']:,} read, {counted['refused']:,} refused",
        )


main(__name__, __doc__)
