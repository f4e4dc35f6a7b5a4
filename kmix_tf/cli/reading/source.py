"""What a reader hands on, whatever the file was: blocks of samples, and what is learnt and kept of them."""

import collections
import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from kmix_tf.cli.terminal import UserError

# Values of a block: at 8 bytes each, 16 MiB.
BLOCK_VALUES = 2**21
# Samples of a dataset, of each of which its label and a hash are kept, and bytes of labels that are words.
MOST_SAMPLES, MOST_TEXT = 100_000_000, 2**30
# Bytes of a file of JSON: settings and names, no data.
_MOST_JSON = 2**24


class Block(NamedTuple):
    """x: numbers `(rows, ...)`. y: labels as they were found, `(rows,)`, or one-hot `(rows, classes)`.

    time: float64 `(rows,)`, group: text `(rows,)`, where a table is to be split by them.
    """

    x: np.ndarray
    y: np.ndarray
    time: np.ndarray | None = None
    group: np.ndarray | None = None


@dataclasses.dataclass
class Source:
    """A dataset that is about to be read.

    name: what to call it. kind: "arrays", "table", "images" or "tf.data". blocks: its samples, once through.
    total: samples, or None if only reading tells. columns: names of a table's features. counts: samples of each label
    where blocks hold only some of them. names: of the samples in blocks, where they have any (files). target: what
    the labels are called. notes: what was done while reading; a reader may add to them until its last block.
    copies: groups of equal files with different labels, by name, also of those that blocks leave out. searched: how
    many files they were looked for in. labels: of all samples, where they are known before they are read. places:
    in the dataset, int `(m,)`, of the samples in blocks where these are numbered and not all.
    """

    name: str
    kind: str
    blocks: Iterator[Block]
    total: int | None = None
    columns: list[str] | None = None
    counts: dict[str, int] | None = None
    names: list[str] | None = None
    target: str = "y"
    notes: list[str] = dataclasses.field(default_factory=list)
    copies: list[list[str]] = dataclasses.field(default_factory=list)
    searched: int = 0
    labels: np.ndarray | None = None
    places: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.name = printable(self.name)

    @property
    def expected(self) -> int | None:
        """How many samples its blocks hold; None if only reading tells."""
        known = self.places if self.names is None else self.names
        return self.total if known is None else len(known)

    def place(self, row: int) -> int | str:
        """Of a row of the blocks, where it is in the dataset: its number, or its file."""
        if self.names:
            return self.names[row]
        return row if self.places is None else int(self.places[row])


def printable(text: str) -> str:
    """Text that files in UTF-8 can hold: names of folders need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def rows_of_a_block(values_of_a_sample: int) -> int:
    """How many samples make a block."""
    return max(1, BLOCK_VALUES // max(1, values_of_a_sample))


def refuse_many(name: str, samples: int) -> None:
    """Refuses more samples than can be remembered."""
    if samples > MOST_SAMPLES:
        raise UserError(
            f"{name}: at most {MOST_SAMPLES:,} samples are looked through. Received: {samples:,} or more. Take a "
            "part of them, drawn at random: an audit measures some thousands."
        )


def as_text(name: str, words: Sequence[str]) -> np.ndarray:
    """Words as an array, in which each takes as much as the longest; or a UserError, if that is too much."""
    refuse_long(name, len(words), 4 * max(map(len, words), default=0))
    return np.array(words)


def refuse_long(name: str, words: int, size: int) -> None:
    """Refuses so many words, each of so many bytes, that they would not fit into memory."""
    if words * size > MOST_TEXT:
        raise UserError(
            f"{name} must hold labels, which are short. Received: one of {size // 4:,} characters among {words:,}. "
            "Shorten them, or choose another column."
        )


def read_json(path: pathlib.Path) -> Any:
    """What a file of JSON holds.

    Raises:
        ValueError: for a file too large, no UTF-8, no JSON, or JSON nested without end.
    """
    size = path.stat().st_size
    if size > _MOST_JSON:
        raise ValueError(f"{path.name} has {size:,} bytes, and {_MOST_JSON:,} are the most")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deep") from error


def first_line(error: Exception) -> str:
    """The first line of an error, without what TensorFlow says about where in its graph it was."""
    lines = re.sub(r"\{\{.*?\}\} ?| ?\[Op:\w+\]", "", str(getattr(error, "message", error))).splitlines()
    return lines[0] if lines else repr(error)


def joined(groups: list[list]) -> list[list]:
    """Groups such that those with a member in common are one, each in order."""
    whole: dict[Any, set] = {}
    for group in groups:
        members = set(group).union(*(whole.get(member, ()) for member in group))
        whole.update(dict.fromkeys(members, members))
    return sorted(sorted(group) for group in {id(group): group for group in whole.values()}.values())


class Scanner:
    """Looks for values that are not finite, features that never change, and copies with other labels.

    It is shown all blocks of a dataset in order, and remembers 8 bytes a sample.
    """

    def __init__(self, name: str, columns: list[str] | None):
        self._name, self._columns = name, columns
        self._seen = 0
        self._hashes: list[np.ndarray] = []
        self._low: np.ndarray | None = None

    def add(self, x: np.ndarray) -> None:
        """Looks at rows `(rows, ...)`, all of which must be finite."""
        if not np.isfinite(x).all():
            raise self._not_finite(x)
        low, high = x.min(axis=0), x.max(axis=0)
        if self._low is None:
            self._low, self._high = low, high
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        # -0.0 equals 0.0, but its bytes are others.
        flat = np.ascontiguousarray(x.reshape(len(x), -1) + x.dtype.type(0))
        digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in flat)
        self._hashes.append(np.frombuffer(b"".join(digests), np.uint64))
        self._seen += len(x)

    def constant(self) -> list[str]:
        """Names (a table's) or places of the features that have one value in all samples."""
        return [self._place(place) for place in np.argwhere(self._low == self._high)]

    def contradictions(self, y: np.ndarray) -> list[list[int]]:
        """Groups of samples with equal features and different labels, by their places; y: classes `(n,)`."""
        _, group, size = np.unique(np.concatenate(self._hashes), return_inverse=True, return_counts=True)
        groups = collections.defaultdict(list)
        for place in np.flatnonzero(size[group] > 1).tolist():
            groups[group[place]].append(place)
        return sorted(places for places in groups.values() if len(np.unique(y[places])) > 1)

    def _place(self, place: np.ndarray) -> str:
        if self._columns is not None:
            return self._columns[place[0]]
        return str(tuple(place.tolist())) if len(place) > 1 else str(int(place[0]) if len(place) else 0)

    def _not_finite(self, x: np.ndarray) -> UserError:
        row, *place = np.argwhere(~np.isfinite(x))[0]
        return UserError(
            f"{self._name}: x must be finite. Received: {x[(row, *place)]} in sample {self._seen + row}, feature "
            f"{self._place(np.array(place, int))}. Fill it in or remove such samples."
        )


class Reservoir:
    """Keeps `limit` of the rows it is shown, each subset of them equally likely, however the stream is cut.

    Every row draws a key; the rows of the least keys stay. So a stream of unknown length needs the memory of the
    sample alone, and no class is favoured.
    """

    def __init__(self, limit: int, seed: int):
        self._limit = limit
        self._generator = np.random.default_rng(seed)
        self._seen = 0
        self._keys, self._index = np.empty(0), np.empty(0, np.int64)
        self._rows: np.ndarray | None = None

    def add(self, x: np.ndarray) -> None:
        """Shows it the next rows `(rows, ...)`."""
        if self._rows is None:
            # Memory is taken when it is written to.
            self._rows = np.empty((self._limit, *x.shape[1:]), np.result_type(x.dtype, np.float32))
        held = len(self._keys)
        keys = np.concatenate([self._keys, self._generator.random(len(x))])
        index = np.concatenate([self._index, np.arange(self._seen, self._seen + len(x))])
        self._seen += len(x)
        kept = np.argsort(keys, kind="stable")[: self._limit]
        stays, comes = np.sort(kept[kept < held]), np.sort(kept[kept >= held])
        # New rows take the places of those that leave, then those behind.
        free = np.setdiff1d(np.arange(len(kept)), stays)
        self._rows[free] = x[comes - held]
        order = np.empty(len(kept), np.int64)
        order[stays], order[free] = stays, comes
        self._keys, self._index = keys[order], index[order]

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows kept, `(m, ...)`, and their places in the stream, int64 `(m,)`, in the order of the stream."""
        order = np.argsort(self._index)
        rows = np.empty((0,)) if self._rows is None else self._rows
        return rows[order], self._index[order]
