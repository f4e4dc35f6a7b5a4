"""The report for a terminal: the verdict, why, what to do, and the line to copy. The rest is on the page."""

import textwrap
from typing import Any

from rich.text import Text

from kmix_tf.cli.audit import judging, wording
from kmix_tf.cli.audit.contradicting import described
from kmix_tf.cli.terminal import WIDTH, heading, in_one_line, plain

_STYLES = {judging.SAFE: "bold green", judging.CARE_DUE: "bold yellow", judging.UNKNOWN: "bold yellow"}
# Of each part at most, so that they are 15 with the verdict, two lines of code and the files.
_LINES = {"why": 2, "would change": 2, "to do": 2, "remark": 1, "warnings": 1, "to mend": 1}


def report_text(report: dict[str, Any], width: int = WIDTH) -> list[str | Text]:
    """The parts of the report, one below another, at most 14 lines; only code is longer than `width`."""
    judged, suggested = report["verdict"], report["suggestion"]
    told = {
        "why": judged["why"],
        "would change": judged["would_change"],
        "to do": judged["to_do"],
        "remark": (judged["remarks"] or [None])[0],
        "warnings": _warnings(report["warnings"]),
        "to mend": described(report["contradicting"]),
    }
    lines = [] if suggested is None else [code for code in (suggested["prepare"], suggested["code"]) if code]
    return [
        *([] if suggested is None else [_filled(wording.described(report), width, 2, "")]),
        heading(
            f"Verdict at alpha = {judged['alpha']:g}: {judged['level']}", _STYLES.get(judged["level"], "bold red")
        ),
        *(
            _filled(f"{name}: {wording.sentence(words)}", width, _LINES[name])
            for name, words in told.items()
            if words
        ),
        *(f"    {in_one_line(line)}" for line in lines),
    ]


def _warnings(warnings: list[dict[str, str]]) -> str | None:
    """What there are warnings about; their sentences are on the page."""
    return wording.listed([*dict.fromkeys(warning["about"] for warning in warnings)], most=2) if warnings else None


def _filled(words: str, width: int, lines: int, indent: str = "  ") -> str:
    filler = textwrap.TextWrapper(width, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False)
    filler.max_lines, filler.placeholder = lines, " ..."
    return filler.fill(wording.kept_together(plain(words))).replace("\N{NO-BREAK SPACE}", " ")
