"""A table's columns, some rows at a time: as numbers, where all that is there are numbers, and as words."""

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from kmix_tf.cli.terminal import UserError

MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
# ISO 8601 as far as it is common: a day, and maybe a time of it, of a zone.
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_SECONDS = 86_400
# Columns of a table: each is looked at by itself.
MOST_COLUMNS = 100_000


class Column(Protocol):
    """is_date: whether numbers are days since 1970. is_other: whether it holds neither numbers nor words."""

    is_date: bool
    is_other: bool

    def numbers(self) -> np.ndarray | None:
        """float64 `(rows,)`, NaN where one is missing; None if something is no number."""

    def words(self) -> list[str | None]:
        """What is there as text, None where it is missing."""


class Chunk(NamedTuple):
    """Some rows of a table. where: of a row of the chunk, as a person would look for it, such as "line 7"."""

    columns: Sequence[Column]
    rows: int
    where: Callable[[int], str]


class Table(NamedTuple):
    """path: for errors. names: of columns. chunks: begins anew at the first row. notes: of how it was read."""

    path: Any
    names: list[str]
    chunks: Callable[[], Iterator[Chunk]]
    notes: list[str]


def refuse_wide(path: Any, columns: int) -> None:
    """Refuses tables whose columns are too many to be looked at one by one."""
    if columns > MOST_COLUMNS:
        raise UserError(
            f"{path}: a table may have at most {MOST_COLUMNS:,} columns. Received: {columns:,}. Numbers so wide are "
            "read as arrays, from an .npz with x (n, ...) and y (n,)."
        )


class Cells:
    """A column of text, as CSV has it."""

    is_date = is_other = False

    def __init__(self, cells: Sequence[str]):
        self._cells = cells

    def numbers(self) -> np.ndarray | None:
        try:
            return np.array([float(cell) for cell in self._cells])
        except ValueError:
            pass
        try:
            return np.array([np.nan if is_missing(cell) else float(cell) for cell in self._cells])
        except ValueError:
            return None

    def words(self) -> list[str | None]:
        return [None if is_missing(cell) else cell.strip() for cell in self._cells]


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is nothing."""
    return cell.strip().lower() in MISSING


def are_dates(words: Sequence[str]) -> bool:
    """Whether all of them are dates."""
    return all(map(_DATE.fullmatch, words))


def days(words: Sequence[str | None]) -> np.ndarray:
    """Dates as days since 1970, float64; NaN where one is missing.

    Raises:
        ValueError: for what looks like a date and is none, such as a 31st of June.
    """
    found = np.array([np.datetime64("NaT") if word is None else _moment(word) for word in words])
    seconds = found.astype("datetime64[s]").astype(np.int64).astype(np.float64)
    return np.where(np.isnat(found), np.nan, seconds / _SECONDS)


def _moment(word: str) -> np.datetime64:
    """A date, in the time of Greenwich if it says its zone."""
    if word[-6:-5] in ("+", "-") and len(word) > len("2026-01-31"):
        moved = datetime.datetime.fromisoformat(word)
        return np.datetime64(moved.astimezone(datetime.UTC).replace(tzinfo=None), "s")
    return np.datetime64(word.rstrip("Z"), "s")
