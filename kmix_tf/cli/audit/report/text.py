"""The report for a terminal: a verdict, lines to copy, tables and warnings."""

import textwrap
from typing import Any

from rich.text import Text

from kmix_tf.cli.audit import advice
from kmix_tf.cli.audit.report import wording
from kmix_tf.cli.terminal import WIDTH, Grid, heading, plain

_STYLES = {advice.SAFE: "bold green", advice.CARE_DUE: "bold yellow"}
_ON_ALPHA = (
    "Contradicted: where a model that fits all mixtures predicts another class at the sample itself. In conflict: a "
    "mixture whose nearest sample, its own two aside, is of a class that has no part in it. Distance: of a sample to "
    "the nearest mixture of other classes, the least and the mean."
)
_ON_K = (
    "±: the standard error of an estimate from random groups. At least: what any matching of such groups has on "
    "average, exactly. Distance: of matched pairs, root mean square. alpha_k: with it, k-mixup perturbs as much as "
    "mixup at the alpha named, if there is one; far above 4, it is not worth having."
)


def report_text(report: dict[str, Any], width: int = WIDTH) -> list[str | Text | Grid]:
    """The parts of the report, one below another; only code is longer than `width`."""
    level, measures = report["verdict"]["level"], report["measures"]
    told = {
        "Warnings": [warning["text"] for warning in report["warnings"]],
        "Notes": report["data"]["notes"],
    }
    return [
        textwrap.fill(plain(wording.described(report)), width),
        heading(f"\nVerdict: {level}", _STYLES.get(level, "bold red")),
        *_items(report["verdict"]["reasons"], width),
        heading("\nStart with"),
        *_suggested(report["suggestion"], width),
        heading("\nClasses"),
        *_items(_classes(report), width),
        wording.by_alpha(measures),
        textwrap.fill(_ON_ALPHA, width),
        wording.by_k(measures),
        textwrap.fill(_ON_K, width),
        *_told(told, width),
    ]


def _classes(report: dict[str, Any]) -> list[str]:
    words = [wording.class_sizes(report["measures"]["balance"]["classes"])]
    if report["data"]["encoding"]:
        numbered = [f"{name!r} is {place}" for name, place in report["data"]["encoding"].items()]
        words.append(f"Labels are numbered: {wording.listed(numbered)}.")
    return [*words, wording.near_other(report["measures"]["closeness"])]


def _suggested(found: dict[str, Any], width: int) -> list[str]:
    lines = [f"    {found['prepare']}"] if found["prepare"] else []
    lines += [f"    {found['code']}", *_items([found["why"]], width)]
    for other in found["alternatives"]:
        lines += [f"  or {other['code']}", *_items([other["why"]], width)]
    return lines + _items(found["notes"], width)


def _told(lists: dict[str, list[str]], width: int) -> list[str | Text | Grid]:
    """Each list that is not empty, under its title."""
    parts: list[str | Text | Grid] = []
    for title, found in lists.items():
        if found:
            parts += [heading(f"\n{title}"), *_items(found, width)]
    return parts


def _items(told: list[str], width: int) -> list[str]:
    filler = textwrap.TextWrapper(width, initial_indent="  - ", subsequent_indent="    ", break_long_words=False)
    kept = (wording.kept_together(plain(wording.sentence(words))) for words in told)
    return [filler.fill(words).replace("\N{NO-BREAK SPACE}", " ") for words in kept]
