"""The report for a terminal: a verdict, lines to copy, tables and warnings."""

import textwrap
from typing import Any

from rich.text import Text

from kmix_tf.cli.audit import advice
from kmix_tf.cli.audit.report.wording import (
    balance,
    by_alpha,
    by_k,
    described,
    kept_together,
    listed,
    near_other,
    sentence,
)
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


def text(report: dict[str, Any], width: int = WIDTH) -> list[str | Text | Grid]:
    """The parts of the report, one below another; only code is longer than `width`."""
    found, measures = report["verdict"], report["measures"]
    level = found["level"]
    parts = [
        textwrap.fill(described(report), width),
        heading(f"\nVerdict: {level}", _STYLES.get(level, "bold red")),
        *_items(found["reasons"], width),
        heading("\nStart with"),
        *_suggested(report["suggestion"], width),
        heading("\nClasses"),
        *_items(_classes(report), width),
        by_alpha(measures),
        textwrap.fill(_ON_ALPHA, width),
        by_k(measures),
        textwrap.fill(_ON_K, width),
    ]
    for title, told in (
        ("Warnings", [warning["text"] for warning in report["warnings"]]),
        ("Notes", report["data"]["notes"]),
    ):
        parts += [heading(f"\n{title}"), *_items(told, width)] if told else []
    return parts


def _classes(report: dict[str, Any]) -> list[str]:
    encoding = report["data"]["encoding"]
    numbered = listed([f"{name!r} is {place}" for name, place in encoding.items()]) if encoding else ""
    return [
        balance(report["measures"]["balance"]["classes"]),
        *([f"Labels are numbered: {numbered}."] if encoding else []),
        near_other(report["measures"]["closeness"]),
    ]


def _suggested(found: dict[str, Any], width: int) -> list[str]:
    lines = [f"    {found['prepare']}"] if found["prepare"] else []
    lines += [f"    {found['code']}", *_items([found["why"]], width)]
    for other in found["alternatives"]:
        lines += [f"  or {other['code']}", *_items([other["why"]], width)]
    return lines + _items(found["notes"], width)


def _items(told: list[str], width: int) -> list[str]:
    filler = textwrap.TextWrapper(width, initial_indent="  - ", subsequent_indent="    ", break_long_words=False)
    return [filler.fill(kept_together(plain(sentence(words)))).replace("\N{NO-BREAK SPACE}", " ") for words in told]
