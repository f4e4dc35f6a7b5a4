"""What a reader hands on, whatever the file was: blocks of samples and their labels."""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Values of a block: at 8 bytes each, 16 MiB.
BLOCK_VALUES = 2**21


class Block(NamedTuple):
    """x: numbers `(rows, ...)`. y: labels as they were found, `(rows,)`, or one-hot `(rows, classes)`."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass
class Source:
    """A dataset that is about to be read.

    name: what to call it. kind: "arrays", "table", "images" or "tf.data". blocks: its samples, once through.
    total: samples, or None if only reading tells. columns: names of a table's features. counts: samples of each label
    where blocks hold only some of them. names: of the samples in blocks, where they have any (files). target: what
    the labels are called. notes: what was done while reading; a reader may add to them until its last block.
    copies: groups of equal files with different labels, by name, also of those that blocks leave out. searched: how
    many files they were looked for in.
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

    def __post_init__(self) -> None:
        self.name = printable(self.name)


def printable(text: str) -> str:
    """Text that files in UTF-8 can hold: names of folders need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def rows_of_a_block(values_of_a_sample: int) -> int:
    """How many samples make a block."""
    return max(1, BLOCK_VALUES // max(1, values_of_a_sample))


def first_line(error: Exception) -> str:
    """The first line of an error, without what TensorFlow says about where in its graph it was."""
    lines = re.sub(r"\{\{.*?\}\} ?| ?\[Op:\w+\]", "", str(getattr(error, "message", error))).splitlines()
    return lines[0] if lines else repr(error)
