"""Reads a dataset with its targets as they are: classes, several labels, or numbers."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kmix_tf.cli.audit.reading.labels import labels_as_written, preparation
from kmix_tf.cli.audit.reading.sample import MOST_VALUES
from kmix_tf.cli.audit.reading.source import Reservoir, Scanner, Source
from kmix_tf.cli.terminal import UserError


@dataclasses.dataclass
class Rows:
    """x, y: rows that were kept, y as found. total: how many there were. notes: what was done while reading."""

    source: Source
    x: np.ndarray
    y: np.ndarray
    total: int
    notes: list[str]

    def prepare(self) -> str | None:
        """A line of Python after which classes are what layers take, or None if they are so already."""
        labels = self.y.argmax(axis=1) if self.y.ndim == 2 else self.y
        return preparation(self.y, np.unique(labels), self.source.kind)


def read_rows(source: Source, limit: int, seed: int, on_rows: Callable[[int], object]) -> Rows:
    """All of a source looked through, and at most `limit` rows kept, drawn at random.

    Raises:
        UserError: for features that are not finite, samples of several shapes, or none.
    """
    scanner, reservoir, labels = Scanner(source.name, source.columns), None, []
    for x, y in source.blocks:
        if reservoir is None:
            shape, values = x.shape[1:], x[0].size
            if not 0 < values <= MOST_VALUES // 2:
                raise UserError(
                    f"{source.name}: a sample must hold 1 to {MOST_VALUES // 2:,} values. Received: {values}."
                )
            reservoir = Reservoir(min(limit, MOST_VALUES // values), seed)
        if x.shape[1:] != shape:
            raise UserError(f"{source.name}: samples must have one shape. Received: {shape} and {x.shape[1:]}.")
        scanner.add(x)
        reservoir.add(x)
        labels.append(y)
        on_rows(len(x))
    if reservoir is None:
        raise UserError(f"{source.name} is empty: it holds no samples.")
    kept, index = reservoir.sample()
    return _rows(source, kept, index, np.concatenate(labels))


def _rows(source: Source, x: np.ndarray, index: np.ndarray, y: np.ndarray) -> Rows:
    notes = list(source.notes)
    if source.kind == "table":
        y, of_labels = labels_as_written(y, source.target)
        notes += of_labels
    total = source.total or len(y)
    if len(index) < total:
        notes.append(f"{len(index):,} of {total:,} rows were kept, drawn at random.")
    return Rows(source, x.reshape(len(x), -1) if x.ndim == 1 else x, y[index], total, notes)
