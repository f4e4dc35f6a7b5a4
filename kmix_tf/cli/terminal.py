"""What a person at the terminal sees: errors, words, tables and progress."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

import click
from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kmix_tf._stopping import undoing

# Of text, where nobody watches or the terminal is wider: longer lines are hard to read.
WIDTH = 100
# What moves the cursor, rings, colours or turns the direction of writing; and halves of letters.
_CONTROLS = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)

# Signs that code pages lack, and that numbers mean nothing without: plus-minus, the minus sign, the dash of "none".
_SPELT = str.maketrans({"\u00b1": "+/-", "\u2212": "-", "\u2013": "-"})


class UserError(click.ClickException):
    """Data or an option that a command cannot use; the message says what would do."""


class CannotSay(UserError):
    """Data that were read, but of which the question asked has no answer: all of one class, say."""


def plain(words: str) -> str:
    """Words in which control characters are spelt out: names in data must not command the terminal."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), words)


def in_one_line(words: str) -> str:
    """`plain`, and ends of lines are spelt out as well: a name must not look like a line of ours."""
    return plain(words).replace("\n", r"\n")


def escaped(text: str) -> str:
    """JSON in which control characters are escaped: the same values, which may be shown on a terminal."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def refuse(message: str, status: int = 2) -> int:
    """Says in one line on stderr what is wrong. Returns the exit status."""
    click.echo("kmix-tf: " + plain(" ".join(message.splitlines())), err=True)
    return status


def console(is_error: bool = False) -> Console:
    """The terminal, which is given no markup and shows question marks for letters it lacks."""
    stream = sys.stderr if is_error else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    width = None if stream.isatty() else WIDTH
    return _as_written(stream, width)


def _as_written(file: IO[str], width: int | None, is_terminal: bool | None = None) -> Console:
    """Words are shown as they are: square brackets, colons and numbers mean nothing. None: as the file is."""
    return Console(file=file, width=width, force_terminal=is_terminal, markup=False, highlight=False, emoji=False)


def heading(words: str, style: str = "bold") -> Text:
    """A line that stands out where colours do."""
    return Text(plain(words), style)


class Grid(NamedTuple):
    """A table: names of its columns, and rows of as many cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(*parts: str | Text | Grid, to: Console | None = None) -> None:
    """Prints parts one below another; lines of text are not broken."""
    to = to or console()
    for part in parts:
        if isinstance(part, Grid):
            to.print(_table(part, to))
        else:
            to.print(_shown(part, to) if isinstance(part, str) else part, soft_wrap=True)


def written(*parts: str | Text | Grid) -> str:
    """What `show` prints where nobody watches."""
    file = io.StringIO()
    show(*parts, to=_as_written(file, WIDTH, is_terminal=False))
    return "\n".join(map(str.rstrip, file.getvalue().splitlines()))


def _table(grid: Grid, to: Console) -> Table:
    """Columns ranged right under their names, the first of them left; Markdown where nobody watches."""
    made = Table(box=SIMPLE_HEAD if to.is_terminal else MARKDOWN)
    for place, name in enumerate(grid.head):
        made.add_column(_shown(in_one_line(name), to), justify="right" if place else "left")
    for row in grid.rows:
        made.add_row(*(_shown(in_one_line(cell), to) for cell in row))
    return made


def _shown(words: str, to: Console) -> str:
    words = plain(words)
    return words.translate(_SPELT) if to.options.ascii_only else words


@contextlib.contextmanager
def progress(what: str, total: int | None, is_quiet: bool) -> Iterator[Callable[..., None]]:
    """A bar on stderr, if somebody watches and is not quiet.

    Yields:
        `advance(steps=1, what=None)`, to be called with what is done next.
    """
    to = console(is_error=True)
    if is_quiet or not to.is_terminal:
        # Bars that are disabled print empty lines in old versions of Rich.
        yield lambda steps=1, what=None: None
        return
    columns = BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn()
    described = TextColumn("{task.description}", markup=False)
    # A bar hides the cursor. Its own end could wait for ever for what the signal has cut off.
    shown = undoing(lambda: os.write(2, b"\x1b[?25h\n"))
    with shown, Progress(described, *columns, console=to) as bars:
        task = bars.add_task(in_one_line(what), total=total)
        yield lambda steps=1, what=None: bars.update(task, advance=steps, description=what and in_one_line(what))
