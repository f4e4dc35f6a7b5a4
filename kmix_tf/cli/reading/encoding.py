"""What a table's columns become: numbers stay, dates are days, words of a few values columns of 0 and 1."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kmix_tf.cli.reading import survey
from kmix_tf.cli.reading.columns import Chunk, Column, Table, days
from kmix_tf.cli.reading.survey import MOST_WORDS, Seen, Survey
from kmix_tf.cli.terminal import UserError

# Columns named in a sentence.
_NAMED = 20
# What stands for a missing word.
_NO_WORD = "missing"


@dataclasses.dataclass(frozen=True)
class Feature:
    """A column that counts. fill: what stands for a missing number. values: of words, each a column of 0 and 1."""

    place: int
    kind: str
    fill: float = 0.0
    values: tuple[str, ...] = ()

    def names(self, name: str) -> list[str]:
        """Of the columns it becomes."""
        return [f"{name}={value}" for value in self.values] if self.values else [name]

    def encoded(self, column: Column) -> np.ndarray:
        """Of some rows, float64 `(rows, columns)`."""
        if self.kind == survey.WORDS:
            words = [_NO_WORD if word is None else word for word in column.words()]
            return np.array([[word == value for value in self.values] for word in words], np.float64)
        numbers = column.numbers()
        found = days(column.words()) if numbers is None else numbers
        return np.where(np.isnan(found), self.fill, found)[:, np.newaxis]


def features_of(table: Table, found: Survey) -> tuple[list[Feature], list[str]]:
    """The columns that count, and sentences about what became of others.

    Raises:
        UserError: for numbers that are not finite, numbers with stray words or decimal commas among them, or no
            column left.
    """
    kinds: dict[str, list[int]] = {}
    for place, seen in found.seen.items():
        _refuse(table, place, seen)
        kinds.setdefault(seen.kind, []).append(place)
    features = [_feature(place, seen) for place, seen in found.seen.items() if seen.kind in _COUNT]
    if not features:
        raise UserError(
            f"{table.path}: at least one column of numbers, dates or a few words must be left. Received: "
            f"{_listed(table, list(found.seen))}, which hold many different words each, neither numbers nor words, "
            "or nothing."
        )
    return features, _notes(table, found, kinds)


_COUNT = (survey.NUMBER, survey.DATE, survey.WORDS)


def _feature(place: int, seen: Seen) -> Feature:
    if seen.kind == survey.WORDS:
        values = sorted(seen.values | ({_NO_WORD} if seen.missing else set()))
        # Of two words one column tells all.
        return Feature(place, survey.WORDS, values=tuple(values[1:] if len(values) == 2 else values))
    return Feature(place, seen.kind, seen.median() if seen.missing else np.nan)


def _refuse(table: Table, place: int, seen: Seen) -> None:
    name = table.names[place]
    if seen.bad is not None:
        where, number = seen.bad
        raise UserError(
            f"{table.path}: features must be finite numbers. Received: {number} in {where}, column {name!r}. Fill it "
            "in, remove such rows, or leave the column out with --drop."
        )
    if seen.kind == survey.STRAY and seen.stray is not None:
        where, word = seen.stray
        raise UserError(
            f"{table.path}: features must be finite numbers. Received: {word!r} in {where}, column {name!r}, whose "
            "other cells are numbers. Mend it, remove such rows, or leave the column out with --drop."
        )
    if seen.words and _have_decimal_commas(seen):
        where, word = seen.stray or ("", "")
        raise UserError(
            f"{table.path}: features must be numbers with decimal points. Received: {word!r} in {where}, column "
            f"{name!r}. Write points for commas first."
        )


def _have_decimal_commas(seen: Seen) -> bool:
    with_commas = [value for value in seen.values if "," in value]
    try:
        return bool(with_commas) and all(np.isfinite(float(value.replace(",", "."))) for value in seen.values)
    except ValueError:
        return False


def _notes(table: Table, found: Survey, kinds: dict[str, list[int]]) -> list[str]:
    def said(kind: str) -> str:
        return _listed(table, kinds[kind])

    told = {
        survey.WORDS: "Words of a few values became columns of 0 and 1: {}.",
        survey.DATE: "Dates became days since 1970: {}.",
        survey.MANY: f"Left out, as they hold more than {MOST_WORDS} different words each: {{}}.",
        survey.OTHER: "Left out, as they hold neither numbers nor words: {}.",
        survey.EMPTY: "Left out, as nothing is in them: {}.",
    }
    notes = [words.format(said(kind)) for kind, words in told.items() if kind in kinds]
    return notes + _of_missing(table, found)


def _of_missing(table: Table, found: Survey) -> list[str]:
    filled = {place: seen for place, seen in found.seen.items() if seen.missing and seen.kind in _COUNT}
    if not filled:
        return []
    counts = [f"{table.names[place]} ({seen.missing:,})" for place, seen in filled.items()]
    more = ", ..." if len(counts) > _NAMED else ""
    return [
        "Missing cells were filled in, numbers and dates with their column's median, words with "
        f"{_NO_WORD!r}: {', '.join(counts[:_NAMED])}{more}."
    ]


def _listed(table: Table, places: Sequence[int]) -> str:
    """The first of them: tables have thousands of columns, too."""
    names = [table.names[place] for place in places[:_NAMED]]
    return ", ".join(names) + (", ..." if len(places) > _NAMED else "")


def encoded(features: Sequence[Feature], chunk: Chunk) -> np.ndarray:
    """float64 `(rows, columns)`."""
    return np.concatenate([each.encoded(chunk.columns[each.place]) for each in features], axis=1)
