"""The report for a terminal."""

import textwrap
from typing import Any

from kmix_tf.cli.audit.report.words import (
    balance,
    count,
    estimate,
    kept_together,
    near_other,
    number,
    numbered,
    percent,
    sentence,
)

WIDTH = 100
ALPHA_HEAD = ("alpha", "labels contradicted", "mixtures in conflict", "least distance", "mean distance")


def text(report: dict[str, Any]) -> str:
    """A verdict, a line to copy, tables and warnings."""
    found = report["verdict"]
    parts = [
        textwrap.fill(described(report), WIDTH),
        "",
        f"Verdict: {found['level']}",
        *(_item(reason) for reason in found["reasons"]),
        "",
        "Start with",
        *_suggested(report["suggestion"]),
        "",
        *_classes(report),
        "",
        *_tables(report["measures"]),
        *(
            ["", "Warnings", *(_item(warning["text"]) for warning in report["warnings"])]
            if report["warnings"]
            else []
        ),
        *(["", "Notes", *(_item(note) for note in report["data"]["notes"])] if report["data"]["notes"] else []),
    ]
    return "\n".join(parts)


def described(report: dict[str, Any]) -> str:
    """What was looked at, in one sentence or two."""
    data, setting = report["data"], report["setting"]
    shape = " x ".join(map(str, data["shape"])) or "1"
    words = f"{data['name']}: {count(data['samples'], 'sample')} of shape {shape}, {len(data['classes'])} classes."
    if data["measured"] < data["samples"]:
        words += f" Measured on {data['measured']:,} of them, drawn at random with seed {setting['seed']}."
    if setting["standardize"]:
        words += " Features were divided by their spread."
    return words


def _classes(report: dict[str, Any]) -> list[str]:
    measures, encoding = report["measures"], report["data"]["encoding"]
    words = [balance(measures["balance"]["classes"]), near_other(measures["closeness"])]
    if encoding:
        words.insert(1, f"Labels are numbered: {numbered(encoding)}.")
    return ["Classes", *map(_item, words)]


def _suggested(found: dict[str, Any]) -> list[str]:
    lines = [f"    {found['prepare']}"] if found["prepare"] else []
    lines += [f"    {found['code']}", _item(found["why"])]
    for other in found["alternatives"]:
        lines += [f"  or {other['code']}", _item(other["why"])]
    return lines + [_item(note) for note in found["notes"]]


def _tables(measures: dict[str, Any]) -> list[str]:
    legends = (
        "Contradicted: where a model that fits all mixtures predicts another class at the sample itself. In "
        "conflict: a mixture whose nearest sample, its own two aside, is of a class that has no part in it. "
        "Distance: of a sample to the nearest mixture of other classes, the least and the mean.",
        "±: the standard error of an estimate from random groups. At least: what any matching of such groups has on "
        "average, exactly. Distance: of matched pairs, root mean square. alpha_k: with it, k-mixup perturbs as much "
        "as mixup at the alpha named, if there is one; far above 4, it is not worth having.",
    )
    first, second = (textwrap.fill(words, WIDTH) for words in legends)
    return [*by_alpha(measures), first, "", *by_k(measures), second]


def by_alpha(measures: dict[str, Any]) -> list[str]:
    """Contradicted labels, conflicts and distances, a row for each alpha."""
    return aligned([ALPHA_HEAD, *alpha_rows(measures)])


def alpha_rows(measures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Cells under `ALPHA_HEAD`."""
    found = (measures[name]["by_alpha"] for name in ("contradictions", "conflicts", "intrusion"))
    return [
        (
            f"{first['alpha']:g}",
            percent(first["share"]),
            percent(second["share"]),
            number(third["least"]),
            number(third["mean"]),
        )
        for first, second, third in zip(*found, strict=True)
    ]


def by_k(measures: dict[str, Any]) -> list[str]:
    """What matching does, a row for each k."""
    rows = measures["matching"]["by_k"]
    shown = usual(rows)
    head = (
        "k",
        "matches across classes",
        "at least",
        "distance",
        *(f"alpha_k for {rows[0]['alphas'][place]['alpha']:g}" for place in shown),
    )
    cells = [
        (
            str(row["k"]),
            estimate(row["cross_share"], row["standard_error"]),
            percent(row["least_share"]),
            number(row["distance"]),
            *(alpha_k(row, place) for place in shown),
        )
        for row in rows
    ]
    return aligned([head, *cells])


def usual(rows: list[dict[str, Any]]) -> list[int]:
    """Places of the alphas that are shown: up to 1, for few k perturb as much as plain mixup beyond."""
    return [place for place, found in enumerate(rows[0]["alphas"]) if found["alpha"] <= 1] if rows else []


def alpha_k(row: dict[str, Any], place: int) -> str:
    """The alpha of a row that perturbs as much as plain mixup, or none."""
    found = row["alphas"][place]["alpha_k"]
    return "none" if found is None else number(found)


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns ranged right, a line under the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _item(words: str) -> str:
    filled = textwrap.fill(
        kept_together(sentence(words)), WIDTH, initial_indent="  - ", subsequent_indent="    ", break_long_words=False
    )
    return filled.replace("\N{NO-BREAK SPACE}", " ")
