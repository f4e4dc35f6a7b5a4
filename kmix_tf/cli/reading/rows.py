"""Reads a dataset with its targets as they are: classes, several labels, or numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kmix_tf.cli.reading.labels import labels_as_written, preparation
from kmix_tf.cli.reading.sample import Seen, look_through
from kmix_tf.cli.reading.source import Source


@dataclasses.dataclass
class Rows:
    """x, y: rows that were kept, y as found. total: how many there were. notes: what was done while reading.

    beside: `time` or `groups` of the rows, where they are to be split by them.
    """

    source: Source
    x: np.ndarray
    y: np.ndarray
    total: int
    notes: list[str]
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)

    def prepare(self) -> str | None:
        """A line of Python after which classes are what layers take, or None if they are so already."""
        labels = self.y.argmax(axis=1) if self.y.ndim == 2 else self.y
        return preparation(self.y, np.unique(labels), self.source.kind)


def read_rows(source: Source, limit: int, seed: int, on_rows: Callable[[int], object]) -> Rows:
    """All of a source looked through, and at most `limit` rows kept, drawn at random.

    Raises:
        UserError: as `look_through`.
    """
    return rows_of(source, look_through(source, limit, seed, on_rows))


def rows_of(source: Source, seen: Seen) -> Rows:
    """The rows that were kept of a source that was looked through."""
    (x, index), y = seen.reservoir.sample(), seen.labels
    notes = list(source.notes)
    if source.kind == "table":
        y, of_labels = labels_as_written(y, source.target)
        notes += of_labels
    total = source.total or len(y)
    if len(index) < total:
        notes.append(f"{len(index):,} of {total:,} rows were kept, drawn at random.")
    return Rows(source, x.reshape(len(x), -1) if x.ndim == 1 else x, y[index], total, notes, seen.beside(index))
