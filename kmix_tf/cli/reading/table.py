"""From a table to samples: which column is the target, which count, and what they become."""

import collections
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kmix_tf.cli.reading.columns import Chunk, Table, are_dates, days, refuse_wide
from kmix_tf.cli.reading.encoding import Feature, encoded, features_of
from kmix_tf.cli.reading.source import Block, Source, as_text
from kmix_tf.cli.reading.survey import surveyed
from kmix_tf.cli.terminal import UserError

_NAMED = 20


class Roles(NamedTuple):
    """What options say of a table's columns. target: None for the last. drop: left out.

    time, group: left out of features; rows are split by them.
    """

    target: str | None = None
    drop: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None


class Chosen(NamedTuple):
    """Places of columns. features: those that may count."""

    label: int
    features: list[int]
    time: int | None
    group: int | None


def read_table(table: Table, roles: Roles) -> Source:
    """Features and labels of a table, which is looked through once before."""
    refuse_wide(table.path, len(table.names))
    if not table.names:
        raise UserError(f"{table.path} is empty: it holds no columns.")
    chosen = choose(table, roles)
    features, notes = features_of(table, surveyed(table.chunks(), chosen.features))
    source = Source(table.path.name, "table", _blocks(table, chosen, features))
    source.columns = [name for each in features for name in each.names(table.names[each.place])]
    source.target = f"the target column {table.names[chosen.label]!r}"
    source.notes = [*table.notes, *_notes(table.names, roles), *notes]
    return source


def choose(table: Table, roles: Roles) -> Chosen:
    """Which columns are what.

    Raises:
        UserError: for names that are not there, or there twice, or a target that is missing or alone.
    """
    path, names = table.path, table.names
    listed, counts = _listed(names), collections.Counter(names)
    asked = [("--target", roles.target), *(("--drop", name) for name in roles.drop)]
    for option, name in [*asked, ("--time", roles.time), ("--group", roles.group)]:
        if name is not None and counts[name] != 1:
            found = f"{counts[name]} columns" if counts[name] else "no column"
            raise UserError(f"{option}: {path} has {found} {name!r}. Its columns: {listed}.")
    if roles.target is None and not names[-1] and "" not in roles.drop:
        raise UserError(
            f"{path}: the last column has no name, as if lines ended with a delimiter. Others: "
            f"{', '.join(filter(None, names[:20]))}. Leave it out with --drop '', or name the target with --target."
        )
    dropped = {*roles.drop, *(name for name in (roles.time, roles.group) if name is not None)}
    left = [i for i, name in enumerate(names) if name not in dropped]
    label = names.index(roles.target) if roles.target is not None else (left or [-1])[-1]
    features = [i for i in left if i != label]
    if label not in left or not features:
        raise UserError(f"{path} must have a target column and at least one other, after --drop. Columns: {listed}.")
    time, group = (None if name is None else names.index(name) for name in (roles.time, roles.group))
    return Chosen(label, features, time, group)


def _listed(names: list[str]) -> str:
    """The first of them: tables have thousands of columns, too."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _notes(names: list[str], roles: Roles) -> list[str]:
    twice = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    beside = [name for name in (roles.time, roles.group) if name is not None]
    told = {
        f"Several columns have one name, and all of them count: {_listed(list(map(repr, twice)))}.": bool(twice),
        f"Columns left out as asked: {', '.join(roles.drop)}.": bool(roles.drop),
        f"Left out of the features, as rows are split by it: {', '.join(beside)}.": bool(beside),
    }
    return [note for note, is_so in told.items() if is_so]


def _blocks(table: Table, chosen: Chosen, features: list[Feature]) -> Iterator[Block]:
    for chunk in table.chunks():
        y = _text(table, chunk, chosen.label, "the target")
        time = None if chosen.time is None else _times(table, chunk, chosen.time)
        group = None if chosen.group is None else _text(table, chunk, chosen.group, "the group")
        yield Block(encoded(features, chunk), y, time, group)


def _text(table: Table, chunk: Chunk, place: int, what: str) -> np.ndarray:
    return as_text(f"{table.path}: {what}", _all_of(table, chunk, place, what))


def _all_of(table: Table, chunk: Chunk, place: int, what: str) -> list[str]:
    """A column's cells, none of which may be missing."""
    column = chunk.columns[place]
    if column.is_other:
        raise UserError(f"{table.path}: {what} {table.names[place]!r} must hold numbers or words.")
    found = []
    for row, word in enumerate(column.words()):
        if word is None:
            raise UserError(
                f"{table.path}: {what} {table.names[place]!r} is missing in {chunk.where(row)}. Remove such "
                "lines first."
            )
        found.append(word)
    return found


def _times(table: Table, chunk: Chunk, place: int) -> np.ndarray:
    words = _all_of(table, chunk, place, "the time")
    numbers = chunk.columns[place].numbers()
    try:
        found = days(words) if numbers is None and are_dates(words) else numbers
    except ValueError:
        found = None
    if found is None or not np.isfinite(found).all():
        raise UserError(
            f"{table.path}: the time {table.names[place]!r} must be numbers, or dates as 2026-01-31. Received: "
            f"{words[0]!r} in {chunk.where(0)}, or another further on."
        )
    return found
