"""A CSV file: lines of cells, and names above them."""

import csv
import gzip
import io
import itertools
import pathlib
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import IO, NamedTuple, TextIO, cast

from kmix_tf.cli.reading.columns import Cells, Chunk, Table, refuse_wide
from kmix_tf.cli.reading.delimiter import delimiter_of
from kmix_tf.cli.reading.labels import is_number
from kmix_tf.cli.reading.source import rows_of_a_block
from kmix_tf.cli.terminal import UserError

# Characters of a line, and about as many of a block of lines.
_LONGEST, _BLOCK = 2**24, 2**26
# Of what gzip unpacks, so much comes without question; tables rarely shrink to less than a fiftieth.
_UNPACKED, _RATIO = 2**21, 200


class _Line(NamedTuple):
    """number: of the line in the file, from 1, as an editor counts. size: in characters, at least one."""

    number: int
    cells: list[str]
    size: int


def csv_table(path: pathlib.Path) -> Table:
    """A CSV file, maybe compressed by gzip, whose first line holds names unless it is like the second."""
    lines = _lines(path)
    first, second = next(lines, None), next(lines, None)
    lines.close()
    if first is None:
        raise UserError(f"{path} is empty.")
    refuse_wide(path, len(first.cells))
    is_headed = _is_header(first.cells, second.cells if second else [])
    if is_headed and second is None:
        raise UserError(f"{path} has a line of names and no samples.")
    names = [cell.strip() if is_headed else f"column {i + 1}" for i, cell in enumerate(first.cells)]
    note = "The first line holds numbers as the next does, so it counts as a sample: columns have no names."
    return Table(path, names, lambda: _chunks(path, len(names), is_headed), [] if is_headed else [note])


def _chunks(path: pathlib.Path, columns: int, is_headed: bool) -> Iterator[Chunk]:
    lines = itertools.islice(_lines(path), int(is_headed), None)
    while taken := _taken(lines, rows_of_a_block(columns)):
        for number, cells, _ in taken:
            if len(cells) != columns:
                raise UserError(
                    f"{path}: every line must have {columns} cells. Received: {len(cells)} in line {number}."
                )
        numbers = [line.number for line in taken]
        each = [Cells(cells) for cells in zip(*(line.cells for line in taken), strict=True)]
        yield Chunk(each, len(taken), _line_of(numbers))


def _taken(lines: Iterator[_Line], most: int) -> list[_Line]:
    """The next so many; fewer, if they are long."""
    taken, size = [], 0
    for line in itertools.islice(lines, most):
        taken.append(line)
        size += line.size
        if size >= _BLOCK:
            break
    return taken


def _line_of(numbers: list[int]) -> Callable[[int], str]:
    return lambda row: f"line {numbers[row]}"


class _Text:
    """Lines of a file for `csv`, none without end: a file of one line would be taken into memory whole.

    taken: characters since the last row began.
    """

    def __init__(self, path: pathlib.Path, text: TextIO, raw: IO[bytes]):
        self._path, self._text, self._raw = path, text, raw
        self._is_packed = path.suffix.lower() == ".gz"
        self.taken = self._total = 0

    def __iter__(self) -> "_Text":
        return self

    def __next__(self) -> str:
        line = self._text.readline(_LONGEST + 1)
        if not line:
            raise StopIteration
        self.taken += len(line)
        self._total += len(line)
        if self.taken > _LONGEST:
            raise UserError(
                f"{self._path}: a line may have at most {_LONGEST:,} characters. Received: one that is longer, after "
                f"{self._total - self.taken:,} characters before it. A table has one line for each sample; numbers "
                "without lines are read as arrays, from an .npz with x (n, ...) and y (n,)."
            )
        if self._is_packed and self._total > max(_UNPACKED, _RATIO * self._raw.tell()):
            raise UserError(
                f"{self._path} unpacks to more than {_RATIO} times its size, as files do that are made to fill a "
                "disk. Unpack it with gunzip first if it is meant."
            )
        return line


def _lines(path: pathlib.Path) -> Generator[_Line, None, None]:
    """All lines that are not blank."""
    try:
        with path.open("rb") as raw, _opened(path, raw) as file:
            delimiter = _delimiter(file, path)
            text = _Text(path, file, raw)
            reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
            for cells in reader:
                size, text.taken = text.taken, 0
                if len(cells) > 1 or "".join(cells).strip():
                    yield _Line(reader.line_num, cells, size)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no CSV file in UTF-8 ({error.reason}).") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}).") from error
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error}).") from error


def _opened(path: pathlib.Path, raw: IO[bytes]) -> TextIO:
    binary = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
    return io.TextIOWrapper(cast(IO[bytes], binary), encoding="utf-8-sig", newline="")


def _delimiter(file: TextIO, path: pathlib.Path) -> str:
    sample = file.read(65_536)
    file.seek(0)
    if "\0" in sample:
        raise UserError(f"{path} is no CSV file: it holds binary data.")
    return delimiter_of(sample)


def _is_header(first: list[str], second: list[str]) -> bool:
    """Names stand above numbers; a first sample whose class is a word has its numbers where the next has them."""
    above = [is_number(cell) for cell in first]
    return not any(above) or any(is_number(cell) and not number for cell, number in zip(second, above, strict=False))
