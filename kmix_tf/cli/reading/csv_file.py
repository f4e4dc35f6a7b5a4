"""A CSV file: lines of cells, and names above them."""

import csv
import gzip
import itertools
import pathlib
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, TextIO

from kmix_tf.cli.reading.columns import Cells, Chunk, Table
from kmix_tf.cli.reading.labels import is_number
from kmix_tf.cli.reading.source import rows_of_a_block
from kmix_tf.cli.terminal import UserError


class _Line(NamedTuple):
    """number: of the line in the file, from 1, as an editor counts."""

    number: int
    cells: list[str]


def csv_table(path: pathlib.Path) -> Table:
    """A CSV file, maybe compressed by gzip, whose first line holds names unless it is like the second."""
    lines = _lines(path)
    first, second = next(lines, None), next(lines, None)
    lines.close()
    if first is None:
        raise UserError(f"{path} is empty.")
    is_headed = _is_header(first.cells, second.cells if second else [])
    if is_headed and second is None:
        raise UserError(f"{path} has a line of names and no samples.")
    names = [cell.strip() if is_headed else f"column {i + 1}" for i, cell in enumerate(first.cells)]
    note = "The first line holds numbers as the next does, so it counts as a sample: columns have no names."
    return Table(path, names, lambda: _chunks(path, len(names), is_headed), [] if is_headed else [note])


def _chunks(path: pathlib.Path, columns: int, is_headed: bool) -> Iterator[Chunk]:
    lines = itertools.islice(_lines(path), int(is_headed), None)
    while taken := list(itertools.islice(lines, rows_of_a_block(columns))):
        for number, cells in taken:
            if len(cells) != columns:
                raise UserError(
                    f"{path}: every line must have {columns} cells. Received: {len(cells)} in line {number}."
                )
        numbers = [line.number for line in taken]
        each = [Cells(cells) for cells in zip(*(line.cells for line in taken), strict=True)]
        yield Chunk(each, len(taken), _line_of(numbers))


def _line_of(numbers: list[int]) -> Callable[[int], str]:
    return lambda row: f"line {numbers[row]}"


def _lines(path: pathlib.Path) -> Generator[_Line, None, None]:
    """All lines that are not blank."""
    try:
        with _opened(path) as file:
            reader = csv.reader(file, delimiter=_delimiter(file, path), skipinitialspace=True, strict=True)
            for cells in reader:
                if len(cells) > 1 or "".join(cells).strip():
                    yield _Line(reader.line_num, cells)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no CSV file in UTF-8 ({error.reason}).") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}).") from error
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error}).") from error


def _opened(path: pathlib.Path) -> TextIO:
    options: dict[str, Any] = {"newline": "", "encoding": "utf-8-sig"}
    return gzip.open(path, "rt", **options) if path.suffix.lower() == ".gz" else path.open(**options)


def _delimiter(file: TextIO, path: pathlib.Path) -> str:
    sample = file.read(65_536)
    file.seek(0)
    if "\0" in sample:
        raise UserError(f"{path} is no CSV file: it holds binary data.")
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|").delimiter
    except csv.Error:
        return ","


def _is_header(first: list[str], second: list[str]) -> bool:
    """Names stand above numbers; a first sample whose class is a word has its numbers where the next has them."""
    above = [is_number(cell) for cell in first]
    return not any(above) or any(is_number(cell) and not number for cell, number in zip(second, above, strict=False))
