"""From a source to the sample that is measured."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kmix_tf.cli.audit.errors import AuditError
from kmix_tf.cli.audit.reading.labels import encode
from kmix_tf.cli.audit.reading.sampling import Reservoir
from kmix_tf.cli.audit.reading.scanning import Scanner
from kmix_tf.cli.audit.reading.source import Source

# Values of a sample: 400 MB at 8 bytes each. Measures hold two or three copies of it.
MOST_VALUES = 50_000_000
# Two to mix and a third that the mixture may fall upon.
LEAST_SAMPLES = 3


@dataclasses.dataclass
class Sample:
    """What is measured, and what was seen on the way.

    x: float32 or float64 `(m, ...)`, as read. y: int64 `(m,)`, classes from 0. index: places in the dataset.
    classes: names. counts: samples of each class in the whole dataset, int `(classes,)`. total: samples in all.
    constant: features that never change. contradictions: groups of places with equal features and different labels.
    scanned: samples that the two were looked for in.
    """

    source: Source
    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    classes: list[str]
    encoded: bool
    counts: np.ndarray
    total: int
    constant: list[str]
    contradictions: list[list[int]]
    scanned: int
    notes: list[str]

    @property
    def is_sampled(self) -> bool:
        """Whether only some of the data are measured."""
        return len(self.x) < self.total

    def place(self, row: int) -> int | str:
        """Where in the dataset a row of the sample is: its number, or its file."""
        return self.source.names[self.index[row]] if self.source.names else int(self.index[row])


def collect(source: Source, limit: int, seed: int, on_rows: Callable[[int], object] = lambda rows: None) -> Sample:
    """Reads all of a source and keeps at most `limit` samples, fewer where they are large.

    Args:
        on_rows: is called with the number of samples of each block read.

    Raises:
        AuditError: if there are no samples, or their features or labels cannot be used.
    """
    scanner = Scanner(source.name, source.columns)
    reservoir, labels, shape = None, [], None
    for x, y in source.blocks:
        if shape not in (None, x.shape[1:]):
            raise AuditError(f"{source.name}: samples must have one shape. Received: {shape} and {x.shape[1:]}.")
        if reservoir is None:
            shape = x.shape[1:]
            reservoir = Reservoir(_allowed(source, limit, x[0].size), seed)
        scanner.add(x)
        reservoir.add(x)
        labels.append(y)
        on_rows(len(x))
    if reservoir is None:
        raise AuditError(f"{source.name} is empty: it holds no samples.")
    sample = _sample(source, scanner, reservoir, np.concatenate(labels))
    if len(sample.x) < LEAST_SAMPLES or len(np.unique(sample.y)) < 2:
        kinds = len(np.unique(sample.y))
        raise AuditError(
            f"{source.name}: at least {LEAST_SAMPLES} samples of two classes must be measured. Received: "
            f"{len(sample.x)} of {kinds} after drawing from {sample.total}. Raise --max-samples or bring more data."
        )
    return sample


def _allowed(source: Source, limit: int, values: int) -> int:
    if values == 0:
        raise AuditError(f"{source.name}: samples must have features. Received: samples of no values.")
    if values > MOST_VALUES // 2:
        raise AuditError(
            f"{source.name}: a sample must hold at most {MOST_VALUES // 2:,} values. Received: {values:,}. "
            "Shrink samples first, or embed them."
        )
    return min(limit, MOST_VALUES // values)


def _sample(source: Source, scanner: Scanner, reservoir: Reservoir, labels: np.ndarray) -> Sample:
    if source.kind == "table" and all(map(_is_number, np.unique(labels))):
        labels = labels.astype(np.float64)
    is_text = labels.dtype.kind == "U"
    target = source.target if source.kind == "table" else f"{source.name}: {source.target}"
    y, names = encode(labels, target, list(source.counts) if source.counts else None)
    x, index = reservoir.sample()
    classes = [str(name) for name in names]
    counts = np.bincount(y, minlength=len(classes))
    if source.counts is not None:
        counts = np.array([source.counts[name] for name in classes])
    encoded = is_text or not np.array_equal(names, np.arange(len(names)))
    return Sample(
        source=source,
        x=x,
        y=y[index],
        index=index,
        classes=classes,
        encoded=encoded,
        counts=counts,
        total=source.total or len(y),
        constant=scanner.constant(),
        contradictions=scanner.contradictions(y),
        scanned=len(y),
        notes=list(source.notes),
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
