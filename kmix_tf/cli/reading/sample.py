"""From a source to the sample that is measured."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.cli.reading.labels import encode, labels_as_written, preparation, refuse_one_class
from kmix_tf.cli.reading.source import Reservoir, Scanner, Source, joined, printable, refuse_long, refuse_many
from kmix_tf.cli.terminal import CannotSay, UserError

# Values of a sample: 400 MB at 8 bytes each. Measures hold two or three copies of it.
MOST_VALUES = 50_000_000
# Two to mix and a third that the mixture may fall upon.
LEAST_SAMPLES = 3


@dataclasses.dataclass
class Sample:
    """What is measured, and what was seen on the way.

    x: float32 or float64 `(m, ...)`, as read. y: int64 `(m,)`, classes from 0. index: places among those read.
    classes: names. counts: samples of each class in the whole dataset, int `(classes,)`. total: samples in all.
    prepare: a line of Python that encodes labels as `y`, or None if they are so already. constant: features that
    never change, of `scanned` samples. contradictions: groups of places (see `place`) with equal features and
    different labels, of `searched` samples. contradiction_labels: their labels, in the same groups. beside: `time` or
    `groups` of the samples `(m,)`, where they are to be split by them.
    """

    source: Source
    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    classes: list[str]
    counts: np.ndarray
    total: int
    constant: list[str]
    contradictions: list[list[int | str]]
    scanned: int
    searched: int
    notes: list[str]
    prepare: str | None = None
    contradiction_labels: list[list[str]] = dataclasses.field(default_factory=list)
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        """Whether there is something to measure."""
        return len(self.x) >= LEAST_SAMPLES and len(np.unique(self.y)) >= 2

    @property
    def encoded(self) -> bool:
        """Whether labels are found otherwise than as `y` has them."""
        return self.prepare is not None

    def thinned(self, size: int, seed: int) -> "Sample":
        """So many of the samples, drawn at random."""
        rows = np.sort(np.random.default_rng([seed, 5]).permutation(len(self.x))[:size])
        beside = {name: values[rows] for name, values in self.beside.items()}
        return dataclasses.replace(self, x=self.x[rows], y=self.y[rows], index=self.index[rows], beside=beside)

    def place(self, row: int) -> int | str:
        """Where in the dataset a row of the sample is: its number, or its file."""
        return self.source.place(int(self.index[row]))


def collect(source: Source, limit: int, seed: int, on_rows: Callable[[int], object] = lambda rows: None) -> Sample:
    """Reads all of a source and keeps at most `limit` samples, fewer where they are large.

    Args:
        on_rows: is called with the number of samples of each block read.
    """
    return sample_of(source, look_through(source, limit, seed, on_rows))


class Seen(NamedTuple):
    """What is known of a source that was looked through. labels: of all rows, as found; time and group likewise."""

    scanner: Scanner
    reservoir: Reservoir
    labels: np.ndarray
    time: np.ndarray | None
    group: np.ndarray | None

    def beside(self, index: np.ndarray) -> dict[str, Any]:
        """What rows are split by, `time` or `groups`, of some of them."""
        found = {"time": self.time, "groups": self.group}
        return {name: values[index] for name, values in found.items() if values is not None}


def sample_of(source: Source, seen: Seen) -> Sample:
    """Of a source that was looked through, the sample, whose targets are classes.

    Raises:
        CannotSay: if they are none, or too few were kept.
    """
    sample = _sample(source, seen)
    if not sample.is_enough:
        raise CannotSay(
            f"{source.name}: at least {LEAST_SAMPLES} samples of two classes must be measured. Received: "
            f"{len(sample.x)} of {len(np.unique(sample.y))} after drawing from {sample.total}. "
            "Raise --max-samples or bring more data."
        )
    if np.bincount(sample.y).max() < 2:
        raise CannotSay(
            f"{source.name}: a class must have two samples that are measured. Received: {len(sample.x)} samples, "
            "each of a class of its own. Bring more of each class, or raise --max-samples."
        )
    return sample


def look_through(source: Source, limit: int, seed: int, on_rows: Callable[[int], object]) -> Seen:
    """All of a source: what was seen of features, at most `limit` samples drawn at random, and all labels as found.

    Raises:
        UserError: for features that are not finite, samples of several shapes or too many values, or none.
    """
    if source.labels is not None:
        refuse_one_class(source.labels, f"{source.name}: {source.target}")
    scanner = Scanner(source.name, source.columns)
    reservoir, shape = None, None
    labels: list[np.ndarray] = []
    rows = widest = 0
    beside: dict[str, list[np.ndarray]] = {"time": [], "group": []}
    for x, y, *split_by in source.blocks:
        if shape not in (None, x.shape[1:]):
            raise UserError(f"{source.name}: samples must have one shape. Received: {shape} and {x.shape[1:]}.")
        if reservoir is None:
            shape = x.shape[1:]
            reservoir = Reservoir(_allowed(source, limit, x[0].size), seed)
        scanner.add(x)
        reservoir.add(x)
        labels.append(y)
        rows, widest = rows + len(y), max(widest, y.dtype.itemsize if y.dtype.kind in "US" else 0)
        refuse_many(source.name, rows)
        refuse_long(f"{source.name}: {source.target}", rows, widest)
        for parts, values in zip(beside.values(), split_by, strict=True):
            if values is not None:
                parts.append(values)
        on_rows(len(x))
    if reservoir is None:
        raise UserError(f"{source.name} is empty: it holds no samples.")
    time, group = (np.concatenate(parts) if parts else None for parts in beside.values())
    return Seen(scanner, reservoir, np.concatenate(labels), time, group)


def _allowed(source: Source, limit: int, values: int) -> int:
    if values == 0:
        raise UserError(f"{source.name}: samples must have features. Received: samples of no values.")
    if values > MOST_VALUES // 2:
        raise UserError(
            f"{source.name}: a sample must hold at most {MOST_VALUES // 2:,} values. Received: {values:,}. "
            "Shrink samples first, or embed them."
        )
    return min(limit, MOST_VALUES // values)


def _sample(source: Source, seen: Seen) -> Sample:
    scanner, labels = seen.scanner, seen.labels
    notes, target = list(source.notes), f"{source.name}: {source.target}"
    if source.kind == "table":
        target = source.target
        labels, of_labels = labels_as_written(labels, target)
        notes += of_labels
    if source.labels is not None:
        # Also those of samples that are left out.
        labels = source.labels
    y, names = encode(labels, target, list(source.counts) if source.counts else None)
    counts = np.array([source.counts[name] for name in names]) if source.counts else np.bincount(y)
    y = y if source.places is None else y[source.places]
    x, index = seen.reservoir.sample()
    groups, labelled = _contradictory(source, scanner.contradictions(y), names, y)
    return Sample(
        source=source,
        x=x,
        y=y[index],
        index=index,
        classes=[printable(str(name)) for name in names],
        counts=counts,
        total=source.total or len(y),
        constant=scanner.constant(),
        contradictions=groups,
        contradiction_labels=labelled,
        scanned=len(y),
        searched=max(len(y), source.searched),
        notes=notes,
        prepare=preparation(labels, names, source.kind),
        beside=seen.beside(index),
    )


def _contradictory(
    source: Source, groups: list[list[int]], names: np.ndarray, y: np.ndarray
) -> tuple[list[list[int | str]], list[list[str]]]:
    """Groups of equal samples by place or file, and their labels, which are the folders of files."""
    if not source.names:
        labelled = [[printable(str(names[y[i]])) for i in group] for group in groups]
        return [[source.place(i) for i in group] for group in groups], labelled
    files = joined([[source.names[i] for i in group] for group in groups] + source.copies)
    return files, [[file.partition("/")[0] for file in group] for group in files]
