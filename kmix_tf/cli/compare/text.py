"""What was found, for a terminal."""

import textwrap
from typing import Any

from rich.text import Text

from kmix_tf.cli.terminal import Grid, heading, plain
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import CANNOT_SAY, HELPS, UNDECIDED

_STYLES = {HELPS: "bold green", CANNOT_SAY: "bold yellow", UNDECIDED: "bold yellow"}


def described(report: dict[str, Any]) -> str:
    """What was tried, in a line."""
    data = report["data"]
    shape = " x ".join(map(str, data["shape"]))
    return f"{data['name']}: {report['rows'] or data['kept']:,} of {data['rows']:,} rows of {shape} values."


def compare_text(report: dict[str, Any], trial: Trial, width: int) -> list[str | Text | Grid]:
    """The parts, one below another; only code is longer than `width`."""
    parts: list[str | Text | Grid] = [textwrap.fill(plain(described(report)), width)]
    parts += [heading(f"\n{trial.verdict[0].upper()}{trial.verdict[1:]}", _STYLES.get(trial.verdict, "bold"))]
    parts += [textwrap.fill(plain(trial.reason), width), ""]
    if trial.findings:
        parts += [Grid(*trial.rows_of_table()), *code_lines(report)]
    items = textwrap.TextWrapper(width, initial_indent="  - ", subsequent_indent="    ")
    return [*parts, *(items.fill(plain(note)) for note in all_notes(report))]


def code_lines(report: dict[str, Any]) -> list[str]:
    """The line of code of the winner, and what must come before it; none if there is none."""
    if report["best"] is None:
        return []
    return [f"    {line}" for line in (report["prepare"], report["code"]) if line] + [""]


def all_notes(report: dict[str, Any]) -> list[str]:
    """Of reading and of the trial."""
    return [*report["data"]["notes"], *report["notes"]]
