"""The report for a terminal: the verdict, why, what to do, and the line to copy. The rest is on the page."""

import textwrap
from typing import Any

from rich.text import Text

from kmix_tf.cli.audit import geometry, judging, wording
from kmix_tf.cli.audit.contradicting import described
from kmix_tf.cli.terminal import WIDTH, heading, in_one_line, plain

_STYLES = {
    judging.HELPS: "bold green",
    judging.NO_DIFFERENCE: "bold",
    geometry.SAFE: "bold green",
    geometry.CARE_DUE: "bold yellow",
    geometry.UNKNOWN: "bold yellow",
}
# Of each part at most, so that they are 15 with the verdict, two lines of code and the files.
_LINES = {"why": 2, "would change": 2, "to do": 2, "remark": 1, "but": 1, "warnings": 1, "to mend": 1}


def report_text(report: dict[str, Any], width: int = WIDTH) -> list[str | Text]:
    """The parts of the report, one below another, at most 14 lines; only code is longer than `width`."""
    judged, suggested, looked_at = report["verdict"], report["suggestion"], _described(report)
    told = {
        "why": judged["why"],
        "would change": judged["would_change"],
        "to do": judged["to_do"],
        wording.remark_of(judged): (judged["remarks"] or [None])[0],
        "warnings": _warnings(report["warnings"]),
        "to mend": described(report["contradicting"]),
    }
    return [
        *([] if looked_at is None else [_filled(looked_at, width, 2, "")]),
        heading(
            f"Verdict at alpha = {judged['alpha']:g}: {wording.headed(judged)}",
            _STYLES.get(judged["level"], "bold red"),
        ),
        *(
            _filled(f"{name}: {wording.sentence(words)}", width, _LINES[name])
            for name, words in told.items()
            if words
        ),
        *(f"    {in_one_line(line)}" for line in _code(suggested)),
    ]


def _described(report: dict[str, Any]) -> str | None:
    """What was looked at; nothing where nothing could be read of it."""
    if "shape" not in report["data"]:
        return None
    return wording.described_numbers(report) if "task" in report["data"] else wording.described(report)


def _code(suggested: dict[str, Any] | None) -> list[str]:
    """Lines to copy: the one that mixes, with what must come before it."""
    if suggested is None:
        return []
    before = [] if suggested["code"].startswith("#") else [suggested["prepare"]]
    return [line for line in (*before, suggested["code"]) if line]


def _warnings(warnings: list[dict[str, str]]) -> str | None:
    """What there are warnings about; their sentences are on the page."""
    return wording.listed([*dict.fromkeys(warning["about"] for warning in warnings)], most=2) if warnings else None


def _filled(words: str, width: int, lines: int, indent: str = "  ") -> str:
    filler = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False)
    filler.max_lines, filler.placeholder = lines, " ..."
    return filler.fill(wording.kept_together(plain(words))).replace("\N{NO-BREAK SPACE}", " ")
