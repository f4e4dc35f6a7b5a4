"""The report as one page: no script, no font, no image, no style from elsewhere."""

import html
from typing import Any

from kmix_tf._version import __version__
from kmix_tf.cli.audit import advice
from kmix_tf.cli.audit.reading import Sample
from kmix_tf.cli.audit.report import figures
from kmix_tf.cli.audit.report.style import STYLE
from kmix_tf.cli.audit.report.table import ALPHA_HEAD, alpha_k, alpha_rows, described, usual
from kmix_tf.cli.audit.report.words import balance, escaped, estimate, near_other, number, percent, sentence

_TONES = {advice.SAFE: "good", advice.CARE_DUE: "fair", advice.FAILING: "bad", advice.CONTRADICTORY: "bad"}
_HEADLINES = {
    advice.SAFE: "Safe: mixing does no harm that was found here",
    advice.CARE_DUE: "Mix locally, or with care",
    advice.FAILING: "Mixup fails here",
    advice.CONTRADICTORY: "Labels contradict one another, which mixing cannot mend",
}


def page(report: dict[str, Any], sample: Sample, strips: list[dict[str, Any]]) -> str:
    """HTML of a report; the sample serves pictures only."""
    name = html.escape(report["data"]["name"])
    body = "\n".join(
        [
            f"<header><p class='kicker'>Mixup audit</p><h1>{name}</h1>",
            f"<p class='lede'>{escaped(described(report))}</p></header>",
            _verdict(report["verdict"]),
            _suggestion(report["suggestion"]),
            _items("Warnings", report["warnings"]),
            *_sections(report, sample, strips),
            _notes(report),
            f"<footer>kmix_tf {__version__}, kmix-tf audit, seed {report['setting']['seed']}. "
            "The numbers are in report.json.</footer>",
        ]
    )
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>Mixup audit: {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _verdict(found: dict[str, Any]) -> str:
    reasons = "".join(f"<li>{escaped(reason)}</li>" for reason in found["reasons"])
    tone, headline = _TONES[found["level"]], _HEADLINES[found["level"]]
    return f"<section class='verdict {tone}'><h2>{headline}</h2><ul>{reasons}</ul></section>"


def _suggestion(found: dict[str, Any]) -> str:
    before = ""
    if found["prepare"]:
        before = _code(found["prepare"], "before, as the layer takes integers from 0 (below, Classes)")
    parts = [f"<section><h2>Start with</h2>{before}{_code(found['code'], found['why'])}"]
    if found["alternatives"]:
        parts.append("<h3>Or</h3>" + "".join(_code(other["code"], other["why"]) for other in found["alternatives"]))
    parts += [f"<p>{escaped(note)}</p>" for note in found["notes"]]
    return "".join(parts) + "</section>"


def _code(code: str, why: str) -> str:
    return f"<pre><code>{html.escape(code)}</code></pre><p class='why'>{escaped(sentence(why))}</p>"


def _items(title: str, found: list[dict[str, str]]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<li><strong>{escaped(sentence(item['about']))}</strong> {escaped(item['text'])}</li>" for item in found
    )
    return f"<section><h2>{title}</h2><ul class='warnings'>{rows}</ul></section>"


def _sections(report: dict[str, Any], sample: Sample, strips: list[dict[str, Any]]) -> list[str]:
    measures = report["measures"]
    sections = [
        _section(
            "What mixing does to labels",
            "A label is contradicted where a model that fits all mixtures predicts another class at the training "
            "sample itself. A mixture is in conflict if its nearest sample, its own two ends aside, is of a class "
            "that has no part in it; the dashed line is the same share for samples as they are.",
            figures.harm(measures),
            _alpha_table(measures),
        )
    ]
    if strips:
        sections.append(_strips(strips))
    if measures["matching"]["by_k"]:
        sections.append(_matching_section(measures))
    sections.append(_distance_section(measures))
    if sample.x.ndim == 2 and sample.x.shape[1] == 2:
        names = sample.source.columns or ["feature 0", "feature 1"]
        scatter = figures.scatter(sample.x, sample.y, sample.classes, names, report["setting"]["seed"])
        sections.append(_section("The samples", "A dot a sample, a colour a class.", scatter))
    sections.append(_balance_section(report))
    return sections


def _section(title: str, words: str, *parts: str) -> str:
    """Words, then figures and tables beside one another where there is room."""
    shown = [
        f"<figure>{part}</figure>" if part.startswith("<svg") else f"<div>{part}</div>" for part in parts if part
    ]
    return f"<section><h2>{title}</h2><p>{escaped(words)}</p><div class='columns'>{''.join(shown)}</div></section>"


def _alpha_table(measures: dict[str, Any]) -> str:
    return _table(ALPHA_HEAD[:3], [row[:3] for row in alpha_rows(measures)])


def _strips(strips: list[dict[str, Any]]) -> str:
    rows = []
    for strip in strips:
        shown = "".join(
            f"<figure><img src='{uri}' alt='{html.escape(caption, quote=True)}'>"
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for uri, caption in strip["images"]
        )
        rows.append(f"<div class='strip'>{shown}</div>")
    words = "Pairs whose mixtures come nearest to a sample of a class that has no part in them, at alpha = 1."
    shown = f"<div class='strips'>{''.join(rows)}</div>"
    return f"<section><h2>The worst mixtures</h2><p>{escaped(words)}</p>{shown}</section>"


def _matching_section(measures: dict[str, Any]) -> str:
    rows = measures["matching"]["by_k"]
    head = (
        "k",
        "across classes",
        "distance",
        *(f"alpha_k for {rows[0]['alphas'][place]['alpha']:g}" for place in usual(rows)),
    )
    cells = [
        (
            str(row["k"]),
            estimate(row["cross_share"], row["standard_error"]),
            number(row["distance"]),
            *(alpha_k(row, place) for place in usual(rows)),
        )
        for row in rows
    ]
    words = (
        "The larger k, the nearer are matched pairs and the fewer join different classes, so the less is perturbed. "
        "With alpha_k, k-mixup perturbs as much as plain mixup with alpha; none: no ratio perturbs so much. "
        "±: the standard error of an estimate from random groups."
    )
    # A line needs two points.
    if len(rows) > 1:
        words += (
            " On average over groups, no matching has fewer matches across than the dashed line; if classes "
            "were far apart, the best matching would lie within the grey band. Bars are two standard errors."
        )
    draw = (figures.crossing, figures.cost, figures.alphas) if len(rows) > 1 else ()
    return _section("What k does", words, *(figure(measures) for figure in draw), _table(head, cells))


def _distance_section(measures: dict[str, Any]) -> str:
    found, near = measures["locality"], measures["closeness"]
    kept, plain = found["same_class"], found["plain_same_class"]
    words = (
        f"{near_other(near)} epsilon = {number(found['epsilon'])} estimates that median from some of the "
        f"samples. With that threshold, a batch of {found['batch_size']} counts as "
        f"{number(found['effective_batch'])} mixtures, and {percent(kept)} of the weight lies within classes; "
        f"without, {percent(plain)}."
    )
    rows = [(f"{pair['first']}, {pair['second']}", number(pair["distance"])) for pair in near["examples"]]
    words += " Below the nearest pairs: how far samples are from the nearest mixture of other classes."
    pairs = _table(("nearest pairs", "distance"), rows)
    mixtures = _table(("alpha", *ALPHA_HEAD[3:]), [(row[0], *row[3:]) for row in alpha_rows(measures)])
    return _section("Distances", words, figures.distances(measures), pairs + mixtures)


def _balance_section(report: dict[str, Any]) -> str:
    encoding = report["data"]["encoding"]
    classes = len(report["data"]["classes"])
    words = balance(report["measures"]["balance"]["classes"])
    if classes > figures.NAMED:
        words += f" Shown are the {figures.NAMED // 2} largest and as many of the smallest."
    table = ""
    if encoding:
        words += " Labels are encoded as numbers, in this order:"
        table = _table(("label", "class"), [(label, str(number)) for label, number in encoding.items()])
    return _section("Classes", words, figures.balance(report["measures"]), table)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    cells = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table></div>"


def _notes(report: dict[str, Any]) -> str:
    notes = report["data"]["notes"]
    if not notes:
        return ""
    return "<section><h2>Notes</h2><ul>" + "".join(f"<li>{escaped(note)}</li>" for note in notes) + "</ul></section>"
