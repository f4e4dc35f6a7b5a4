"""A first look through a table: what each column holds, so that it can be made numbers on the second."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from kmix_tf.cli.reading.columns import Chunk, Column, are_dates, days
from kmix_tf.cli.reading.labels import is_number

# A column of more different words is left out: as many columns of 0 and 1 would say little each.
MOST_WORDS = 20
# Where so few of a column's cells are words, they are errors, and the rest is what it holds.
_STRAY = 0.1
# Numbers of all columns, of which medians are taken.
_KEPT = 2_000_000
NUMBER, DATE, WORDS, MANY, OTHER, EMPTY, STRAY = (
    "number", "date", "words", "many words", "other", "empty", "stray words",
)  # fmt: skip


@dataclasses.dataclass
class Seen:
    """Of one column. missing, numbers, words: how many cells. values: the words, up to one more than `MOST_WORDS`.

    stray: where the first word is, and the word. bad: where the first number that is not finite is, and the number.
    kept: some of the numbers.
    """

    missing: int = 0
    numbers: int = 0
    words: int = 0
    values: set[str] = dataclasses.field(default_factory=set)
    all_dates: bool = True
    is_date: bool = False
    is_other: bool = False
    stray: tuple[str, str] | None = None
    bad: tuple[str, str] | None = None
    kept: list[np.ndarray] = dataclasses.field(default_factory=list)

    @property
    def kind(self) -> str:
        """What the column holds."""
        if self.is_other:
            return OTHER
        if not self.numbers + self.words:
            return EMPTY
        if not self.words:
            return DATE if self.is_date else NUMBER
        if self.all_dates and not self.numbers:
            return DATE
        if self.words < _STRAY * (self.words + self.numbers):
            return STRAY
        return WORDS if len(self.values) <= MOST_WORDS else MANY

    def median(self) -> float:
        """Of its numbers, as far as they were kept."""
        kept = np.concatenate(self.kept)
        return float(np.median(kept[np.isfinite(kept)]))


class Survey:
    """Looks at some of a table's columns, chunk by chunk; numbers are kept of every so many rows."""

    def __init__(self, places: Sequence[int]):
        self.seen = {place: Seen() for place in places}
        self.rows, self._every, self._most = 0, 1, max(200, _KEPT // max(1, len(places)))

    def add(self, chunk: Chunk) -> None:
        """Looks at the next rows."""
        these = np.flatnonzero((self.rows + np.arange(chunk.rows)) % self._every == 0)
        for place, seen in self.seen.items():
            column = chunk.columns[place]
            seen.is_other |= column.is_other
            if not seen.is_other:
                self._look(seen, column, chunk, these)
        self.rows += chunk.rows
        while self.rows // self._every > self._most:
            self._every *= 2
            for seen in self.seen.values():
                # Every second of those kept: their rows are at equal steps.
                seen.kept = [np.concatenate(seen.kept)[::2]] if seen.kept else []

    def _look(self, seen: Seen, column: Column, chunk: Chunk, these: np.ndarray) -> None:
        numbers = column.numbers()
        # Once there were words, numbers may be some of them.
        if numbers is None or (seen.words and not column.is_date):
            _look_at_words(seen, column.words(), chunk, these)
            return
        is_there = ~np.isnan(numbers)
        seen.is_date |= column.is_date
        seen.missing += int(chunk.rows - is_there.sum())
        seen.numbers += int(is_there.sum())
        infinite = np.flatnonzero(np.isinf(numbers))
        if len(infinite) and seen.bad is None:
            seen.bad = (chunk.where(int(infinite[0])), f"{numbers[infinite[0]]}")
        if len(seen.values) <= MOST_WORDS and not column.is_date:
            # They are words if words come later.
            seen.values.update(word for word in column.words() if word is not None)
        seen.kept.append(numbers[these])


def _look_at_words(seen: Seen, words: list[str | None], chunk: Chunk, these: np.ndarray) -> None:
    for row, word in enumerate(words):
        if word is None:
            seen.missing += 1
        elif is_number(word):
            seen.numbers += 1
        else:
            seen.words += 1
            seen.stray = seen.stray or (chunk.where(row), word)
    if len(seen.values) <= MOST_WORDS:
        seen.values.update(word for word in words if word is not None)
    seen.all_dates = seen.all_dates and are_dates([word for word in words if word is not None])
    if seen.all_dates:
        try:
            seen.kept.append(days(words)[these])
        except ValueError:
            seen.all_dates = False


def surveyed(chunks: Iterator[Chunk], places: Sequence[int]) -> Survey:
    """All of a table."""
    survey = Survey(places)
    for chunk in chunks:
        survey.add(chunk)
    return survey
