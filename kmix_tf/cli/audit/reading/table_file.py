"""A CSV file: numbers in columns, one of which is the target."""

import csv
import itertools
import math
import pathlib
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import numpy as np

from kmix_tf.cli.audit.reading.labels import is_number
from kmix_tf.cli.audit.reading.source import Block, Source, rows_of_a_block
from kmix_tf.cli.terminal import UserError

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


def read_csv(path: pathlib.Path, target: str | None, drop: list[str]) -> Source:
    """Features and labels of a CSV file, whose first line holds names unless it is like the second.

    Args:
        target: the column of the labels; None for the last.
        drop: columns to leave out.

    Raises:
        UserError: if it is no table of numbers, naming the line and the column.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise UserError(f"{path} is empty.")
    second = next(lines, None)
    lines = lines if second is None else itertools.chain([second], lines)
    headed = _is_header(first.cells, second.cells if second else [])
    width = len(first.cells)
    names = [cell.strip() for cell in first.cells] if headed else [f"column {i + 1}" for i in range(width)]
    rows = lines if headed else itertools.chain([first], lines)
    head = next(rows, None)
    if head is None:
        raise UserError(f"{path} has a line of names and no samples.")
    label, features = _choose(path, names, target, drop)
    _refuse_strings(path, names, head.cells, features)
    table = _Table(path, names, label, features)
    source = Source(path.name, "table", table.blocks(itertools.chain([head], rows)))
    source.columns = [names[i] for i in features]
    source.target = f"the target column {names[label]!r}"
    source.notes = _notes(names, headed, drop)
    return source


def _is_header(first: list[str], second: list[str]) -> bool:
    """Names stand above numbers; a first sample whose class is a word has its numbers where the next has them."""
    above = [is_number(cell) for cell in first]
    return not any(above) or any(is_number(cell) and not number for cell, number in zip(second, above, strict=False))


def _notes(names: list[str], headed: bool, drop: list[str]) -> list[str]:
    notes = []
    if not headed:
        notes.append(
            "The first line holds numbers as the next does, so it counts as a sample: columns have no names."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        notes.append(f"Several columns have one name, and all of them count: {', '.join(map(repr, twice))}.")
    if drop:
        notes.append(f"Columns left out as asked: {', '.join(drop)}.")
    return notes


class _Line(NamedTuple):
    """number: of the line in the file, from 1, as an editor counts."""

    number: int
    cells: list[str]


def _lines(path: pathlib.Path) -> Iterator[_Line]:
    """All lines that are not blank.

    Raises:
        UserError: where they are no text or quotes do not close.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=_delimiter(file, path), skipinitialspace=True, strict=True)
            for cells in reader:
                if len(cells) > 1 or "".join(cells).strip():
                    yield _Line(reader.line_num, cells)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no CSV file in UTF-8 ({error.reason}).") from error
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error}).") from error


def _delimiter(file: TextIO, path: pathlib.Path) -> str:
    sample = file.read(65_536)
    file.seek(0)
    if "\0" in sample:
        raise UserError(f"{path} is no CSV file: it holds binary data.")
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|").delimiter
    except csv.Error:
        return ","


def _choose(path: pathlib.Path, names: list[str], target: str | None, drop: list[str]) -> tuple[int, list[int]]:
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    for option, name in [("--target", target), *(("--drop", name) for name in drop)]:
        if name is not None and names.count(name) != 1:
            found = f"{names.count(name)} columns" if name in names else "no column"
            raise UserError(f"{option}: {path} has {found} {name!r}. Its columns: {listed}.")
    if target is None and not names[-1] and "" not in drop:
        raise UserError(
            f"{path}: the last column has no name, as if lines ended with a delimiter. Others: "
            f"{', '.join(filter(None, names[:20]))}. Leave it "
            "out with --drop '', or name the target with --target."
        )
    left = [i for i, name in enumerate(names) if name not in drop]
    label = names.index(target) if target is not None else (left or [-1])[-1]
    features = [i for i in left if i != label]
    if label not in left or not features:
        raise UserError(f"{path} must have a target column and at least one other, after --drop. Columns: {listed}.")
    return label, features


def _refuse_strings(path: pathlib.Path, names: list[str], row: list[str], features: list[int]) -> None:
    if len(row) != len(names):
        return  # said with its line when it is read
    strings = [names[i] for i in features if not is_number(row[i]) and row[i].strip().lower() not in _MISSING]
    if strings and all(is_number(row[names.index(name)].replace(",", ".")) for name in strings):
        raise UserError(
            f"{path}: features must be numbers with decimal points. Received: {row[names.index(strings[0])]!r} in "
            f"column {strings[0]!r}. Write points for commas first."
        )
    if strings:
        named = ", ".join(strings)
        raise UserError(
            f"{path}: features must be numbers; strings are in: {named}. Encode them first (one-hot, for instance), "
            f"leave them out with {' '.join('--drop ' + repr(name) for name in strings[:3])}, or name the target: "
            f"--target {strings[0]!r}."
        )


class _Table:
    """Lines to blocks, with errors that name the line and the column."""

    def __init__(self, path: pathlib.Path, names: list[str], label: int, features: list[int]):
        self.path, self.names, self.label, self.features = path, names, label, features

    def blocks(self, lines: Iterator[_Line]) -> Iterator[Block]:
        size = rows_of_a_block(len(self.features))
        while chunk := list(itertools.islice(lines, size)):
            yield self._block(chunk)

    def _block(self, chunk: list[_Line]) -> Block:
        for number, cells in chunk:
            if len(cells) != len(self.names):
                raise UserError(
                    f"{self.path}: every line must have {len(self.names)} cells. "
                    f"Received: {len(cells)} in line {number}."
                )
            if cells[self.label].strip().lower() in _MISSING:
                raise UserError(
                    f"{self.path}: the target {self.names[self.label]!r} is missing in line {number}. "
                    "Remove such lines first."
                )
        labels = np.array([cells[self.label].strip() for _, cells in chunk])
        try:
            x = np.array([[float(cells[i]) for i in self.features] for _, cells in chunk])
        except ValueError:
            raise self._bad_cell(chunk) from None
        if not np.isfinite(x).all():
            raise self._bad_cell(chunk)
        return Block(x, labels)

    def _bad_cell(self, chunk: list[_Line]) -> UserError:
        number, column, cell = next(
            (number, i, cells[i]) for number, cells in chunk for i in self.features if not _is_finite(cells[i])
        )
        what = "a missing value" if cell.strip().lower() in _MISSING else repr(cell)
        return UserError(
            f"{self.path}: features must be finite numbers. Received: {what} in line {number}, column "
            f"{self.names[column]!r}. Fill it in, remove such lines, or leave the column out with --drop."
        )


def _is_finite(cell: str) -> bool:
    return is_number(cell) and math.isfinite(float(cell))
