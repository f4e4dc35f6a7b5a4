"""The audit's course: read, measure, judge, and write it down."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import click

from kmix_tf._writing import write_files
from kmix_tf.cli.audit.measuring import STEPS, measure
from kmix_tf.cli.audit.reading import Options, open_data
from kmix_tf.cli.audit.reading.sample import Sample, collect
from kmix_tf.cli.audit.report import build, figures, strict_json
from kmix_tf.cli.audit.report.page import report_page
from kmix_tf.cli.audit.report.text import report_text
from kmix_tf.cli.places import writable_folder
from kmix_tf.cli.terminal import WIDTH, UserError, console, progress, show

# How often it is tried again with half of the samples where memory is short.
_HALVINGS = 2


@dataclasses.dataclass(frozen=True)
class AuditRequest:
    """What the command line asks for, by its options; see their help."""

    data: tuple[str, ...]
    target: str | None
    drop: tuple[str, ...]
    image_size: int | None
    standardize: bool
    max_samples: int
    seed: int
    out: str
    as_json: bool


def run_audit(request: AuditRequest) -> None:
    """Audits a dataset, writes report.html and report.json, and prints the report."""
    started = time.monotonic()
    # Before the work, not after it.
    out = writable_folder(request.out)
    figures.need()
    try:
        report, html = _audit(request)
    except MemoryError as error:
        raise UserError(
            f"there is not enough memory for {request.max_samples:,} samples of these data. Lower --max-samples"
            + (" or --image-size." if request.image_size else ".")
        ) from error
    write_files({out / "report.json": strict_json(report) + "\n", out / "report.html": html})
    if request.as_json:
        click.echo(strict_json(report, ascii_only=True))
        return
    files = f"\nThe report: {out / 'report.html'}, and for programs {out / 'report.json'}."
    width = min(WIDTH, console().width)
    show("", *report_text(report, width), files, f"{time.monotonic() - started:.0f} seconds.")


def _audit(request: AuditRequest) -> tuple[dict[str, Any], str]:
    """The report, and its page."""
    options = Options(request.target, request.drop, request.image_size, request.max_samples, request.seed)
    source = open_data(list(request.data), options)
    total = len(source.names) if source.names else source.total
    with progress("reading", total, request.as_json) as advance:
        sample = collect(source, request.max_samples, request.seed, advance)
    with progress("measuring", STEPS, request.as_json) as advance:
        sample, measures = _measured(sample, request, lambda what, done: advance(int(done > 0), what))
    setting = {"seed": request.seed, "max_samples": request.max_samples, "standardize": request.standardize}
    report = build(sample, measures, setting)
    return report, report_page(report, sample, measures["intrusion"]["examples"])


def _measured(
    sample: Sample, request: AuditRequest, tell: Callable[[str, int], object]
) -> tuple[Sample, dict[str, Any]]:
    """What was measured, and the measures: of all samples read, or of fewer where memory does not do for all.

    Raises:
        MemoryError: if it does not for a quarter of them, or they are too few to tell classes apart.
    """
    read, notes = len(sample.x), sample.notes
    for _ in range(_HALVINGS):
        try:
            return sample, measure(sample, request.standardize, request.seed, tell)
        except MemoryError:
            fewer = sample.thinned(len(sample.x) // 2, request.seed)
            if not fewer.is_enough:
                raise
        # Outside, where the error no longer holds what did not fit.
        note = f"Memory was short, so that {len(fewer.x):,} samples were measured of the {read:,} read."
        sample = dataclasses.replace(fewer, notes=[*notes, note])
    return sample, measure(sample, request.standardize, request.seed, tell)
