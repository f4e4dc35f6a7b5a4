"""A CSV file: numbers in columns, one of which is the target."""

import collections
import csv
import itertools
import math
import pathlib
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import numpy as np

from kmix_tf.cli.reading.labels import is_number
from kmix_tf.cli.reading.source import Block, Source, rows_of_a_block
from kmix_tf.cli.terminal import UserError

_NAMED = 20
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


class _Line(NamedTuple):
    """number: of the line in the file, from 1, as an editor counts."""

    number: int
    cells: list[str]


class _Columns(NamedTuple):
    """path: of the file, for errors. label: the target's place, features: those of the others that count."""

    path: pathlib.Path
    names: list[str]
    label: int
    features: list[int]


def read_csv(path: pathlib.Path, target: str | None, drop: list[str]) -> Source:
    """Features and labels of a CSV file, whose first line holds names unless it is like the second.

    Args:
        target: the column of the labels; None for the last.
        drop: columns to leave out.
    """
    lines = _lines(path)
    first, second = next(lines, None), next(lines, None)
    if first is None:
        raise UserError(f"{path} is empty.")
    headed = _is_header(first.cells, second.cells if second else [])
    names = [cell.strip() if headed else f"column {i + 1}" for i, cell in enumerate(first.cells)]
    heads = [line for line in ([second] if headed else [first, second]) if line is not None]
    if not heads:
        raise UserError(f"{path} has a line of names and no samples.")
    columns = _choose(path, names, target, drop)
    _refuse_strings(columns, heads[0].cells)
    source = Source(path.name, "table", _blocks(columns, itertools.chain(heads, lines)))
    source.columns = [names[i] for i in columns.features]
    source.target = f"the target column {names[columns.label]!r}"
    source.notes = _notes(names, headed, drop)
    return source


def _lines(path: pathlib.Path) -> Iterator[_Line]:
    """All lines that are not blank."""
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


def _is_header(first: list[str], second: list[str]) -> bool:
    """Names stand above numbers; a first sample whose class is a word has its numbers where the next has them."""
    above = [is_number(cell) for cell in first]
    return not any(above) or any(is_number(cell) and not number for cell, number in zip(second, above, strict=False))


def _choose(path: pathlib.Path, names: list[str], target: str | None, drop: list[str]) -> _Columns:
    listed, dropped = _listed(names), set(drop)
    counts = collections.Counter(names)
    for option, name in [("--target", target), *(("--drop", name) for name in drop)]:
        if name is not None and counts[name] != 1:
            found = f"{counts[name]} columns" if counts[name] else "no column"
            raise UserError(f"{option}: {path} has {found} {name!r}. Its columns: {listed}.")
    if target is None and not names[-1] and "" not in drop:
        raise UserError(
            f"{path}: the last column has no name, as if lines ended with a delimiter. Others: "
            f"{', '.join(filter(None, names[:20]))}. Leave it out with --drop '', or name the target with --target."
        )
    left = [i for i, name in enumerate(names) if name not in dropped]
    label = names.index(target) if target is not None else (left or [-1])[-1]
    features = [i for i in left if i != label]
    if label not in left or not features:
        raise UserError(f"{path} must have a target column and at least one other, after --drop. Columns: {listed}.")
    return _Columns(path, names, label, features)


def _listed(names: list[str]) -> str:
    """The first of them: tables have thousands of columns, too."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _refuse_strings(columns: _Columns, row: list[str]) -> None:
    path, names, _, features = columns
    if len(row) != len(names):
        return  # said with its line when it is read
    strings = {names[i]: row[i] for i in features if not (is_number(row[i]) or _is_missing(row[i]))}
    if not strings:
        return
    name, cell = next(iter(strings.items()))
    if all(is_number(cell.replace(",", ".")) for cell in strings.values()):
        raise UserError(
            f"{path}: features must be numbers with decimal points. Received: {cell!r} in column {name!r}. Write "
            "points for commas first."
        )
    drops = " ".join(f"--drop {name!r}" for name in list(strings)[:3])
    raise UserError(
        f"{path}: features must be numbers; strings are in: {_listed(list(strings))}. Encode them first (one-hot, "
        f"for instance), leave them out with {drops}, or name the target: --target {name!r}."
    )


def _notes(names: list[str], headed: bool, drop: list[str]) -> list[str]:
    twice = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    told = {
        "The first line holds numbers as the next does, so it counts as a sample: columns have no names.": not headed,
        f"Several columns have one name, and all of them count: {_listed(list(map(repr, twice)))}.": bool(twice),
        f"Columns left out as asked: {', '.join(drop)}.": bool(drop),
    }
    return [note for note, is_so in told.items() if is_so]


def _blocks(columns: _Columns, lines: Iterator[_Line]) -> Iterator[Block]:
    """Lines as samples, with errors that name the line and the column."""
    path, names, label, features = columns
    while chunk := list(itertools.islice(lines, rows_of_a_block(len(features)))):
        x = []
        for line in chunk:
            number, cells = line
            if len(cells) != len(names):
                raise UserError(
                    f"{path}: every line must have {len(names)} cells. Received: {len(cells)} in line {number}."
                )
            if _is_missing(cells[label]):
                raise UserError(
                    f"{path}: the target {names[label]!r} is missing in line {number}. Remove such lines first."
                )
            try:
                x.append([_finite(cells[i]) for i in features])
            except ValueError:
                raise _bad_cell(columns, line) from None
        yield Block(np.array(x), np.array([cells[label].strip() for _, cells in chunk]))


def _bad_cell(columns: _Columns, line: _Line) -> UserError:
    found = {i: line.cells[i] for i in columns.features}
    place, cell = next((i, cell) for i, cell in found.items() if not (is_number(cell) and math.isfinite(float(cell))))
    what = "a missing value" if _is_missing(cell) else repr(cell)
    return UserError(
        f"{columns.path}: features must be finite numbers. Received: {what} in line {line.number}, column "
        f"{columns.names[place]!r}. Fill it in, remove such lines, or leave the column out with --drop."
    )


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError
    return value


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING
