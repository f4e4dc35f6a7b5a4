"""The report as one page: no script, no font, no image, no style from elsewhere."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kmix_tf._version import __version__
from kmix_tf.cli import pages
from kmix_tf.cli.audit import geometry, judging, wording
from kmix_tf.cli.audit.contradicting import FILE
from kmix_tf.cli.audit.reasons import steepness
from kmix_tf.cli.audit.report import figures
from kmix_tf.cli.reading.sample import Sample
from kmix_tf.cli.trials import differences
from kmix_tf.trial import Trial

# Groups of samples whose labels contradict one another, of those that the file has, and samples of a group.
_GROUPS, _MEMBERS = 8, 6
# Pixels of a picture's longer side, at least one half of it.
_SIDE = 96
# The colour of a verdict and its words.
_HEADLINES = {
    judging.HELPS: ("good", "Mixup helps here"),
    judging.NO_DIFFERENCE: ("fair", "Mixup makes no difference here"),
    judging.HURTS: ("bad", "Mixup hurts here"),
    judging.FAILS: ("bad", "Mixup fails here: it hurts, and contradicts labels"),
    geometry.SAFE: ("good", "Safe: no harm to labels was found"),
    geometry.CARE_DUE: ("fair", "Mix locally, or with care"),
    geometry.FAILING: ("bad", "Mixup fails here"),
    geometry.CONTRADICTORY: ("bad", "Labels contradict one another, which mixing cannot mend"),
    geometry.UNKNOWN: ("fair", "It cannot be said whether mixing helps or hurts here"),
}
_FILTERS: dict[str, Callable[..., Any]] = {
    "chance": wording.chance_of,
    "number": wording.number,
    "percent": wording.percent,
    "sentence": wording.sentence,
    "together": wording.kept_together,
}


def report_page(
    report: dict[str, Any], sample: Sample, examples: list[dict[str, Any]], trial: Trial | None = None
) -> str:
    """HTML of a report. sample: serves pictures only. examples: of `measure_intrusion`, with rows of the sample."""
    measures = report["measures"]
    tone, headline = _HEADLINES[report["verdict"]["level"]]
    return pages.render(
        "audit.html",
        _FILTERS,
        report=report,
        tone=tone,
        headline=headline,
        described=wording.described(report),
        **_of_trial(trial),
        by_alpha=wording.by_alpha(measures),
        by_k=wording.by_k(measures),
        near_other=wording.near_other(measures["closeness"]),
        steepness=steepness(measures),
        contradictions_file=FILE,
        listed=_listed(report["contradicting"]),
        class_sizes=wording.class_sizes(measures["balance"]["classes"]),
        most_named=figures.NAMED,
        figures=_figures(report, sample),
        strips=strips(sample, examples),
        version=__version__,
    )


def numbers_page(report: dict[str, Any], trial: Trial | None) -> str:
    """HTML of a report of data whose targets are no classes."""
    tone, headline = _HEADLINES[report["verdict"]["level"]]
    shown = {"report": report, "tone": tone, "headline": headline, "version": __version__}
    by_alpha = wording.of_numbers(report["measures"]) if report["measures"] else None
    told = {"described": wording.described_numbers(report), "by_alpha": by_alpha}
    return pages.render("audit_numbers.html", _FILTERS, **shown, **told, **_of_trial(trial))


def _of_trial(trial: Trial | None) -> dict[str, Any]:
    """What the page shows of a trial: a figure, and tables of head and rows; nothing without one."""
    if trial is None or not trial.findings:
        return {"trial_figure": None, "trial_tables": [], "trial_notes": []}
    tables = [trial.rows_of_table(), trial.rows_of_differences()]
    return {"trial_figure": differences(trial), "trial_tables": tables, "trial_notes": trial.notes}


def unknown_page(report: dict[str, Any]) -> str:
    """HTML of a report that holds no measures."""
    tone, headline = _HEADLINES[report["verdict"]["level"]]
    shown = {"report": report, "tone": tone, "headline": headline, "version": __version__}
    return pages.render("audit_unknown.html", _FILTERS, **shown)


def _listed(groups: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The first groups of samples that contradict one another, as rows of a table."""
    return [
        (
            wording.listed([str(place) for place in group["samples"]], _MEMBERS),
            wording.listed(group["labels"], _MEMBERS),
            group["kind"],
            wording.number(group["distance"]),
        )
        for group in groups[:_GROUPS]
    ]


def _figures(report: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """SVG by name; none where there is nothing to draw."""
    measures = report["measures"]
    draw = [figures.harm, figures.distances, figures.balance]
    # A line needs two points.
    if len(measures["matching"]["by_k"]) > 1:
        draw += [figures.crossing, figures.cost, figures.alphas]
    drawn = {figure.__name__: figure(measures) for figure in draw}
    if sample.x.ndim == 2 and sample.x.shape[1] == 2:
        names = sample.source.columns or ["feature 0", "feature 1"]
        drawn["scatter"] = figures.scatter(sample.x, sample.y, sample.classes, names, report["setting"]["seed"])
    return drawn


def is_images(x: np.ndarray) -> bool:
    """Whether samples look like images: grey `(n, height, width)`, or with 1 or 3 channels."""
    return min(x.shape[1:3], default=0) >= 4 and (x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3)))


def strips(sample: Sample, examples: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """For each example four of (data URI, caption): the two mixed, their mixture, and whom it comes near to."""
    if not is_images(sample.x):
        return []
    low, high = float(sample.x.min()), float(sample.x.max())
    made = []
    for example in examples:
        rows = [example[name] for name in ("first", "second", "sample")]
        first, second, near = (sample.x[row].astype(np.float64) for row in rows)
        names, ratio = [sample.classes[sample.y[row]] for row in rows], example["ratio"]
        shown = [
            (first, f"{names[0]}, {ratio:.0%}"),
            (second, f"{names[1]}, {1 - ratio:.0%}"),
            (ratio * first + (1 - ratio) * second, "mixture"),
            (near, f"near it: {names[2]}"),
        ]
        made.append([(pages.png_uri(_pixels(image, low, high)), caption) for image, caption in shown])
    return made


def _pixels(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 `(height, width, channels)`, all images on one scale; large ones thinned out."""
    image = image if image.ndim == 3 else image[..., np.newaxis]
    step = max(1, max(image.shape[:2]) // _SIDE)
    scaled = (image[::step, ::step] - low) / ((high - low) or 1.0)
    return np.round(255 * scaled).astype(np.uint8)
