"""The audit's course: read, measure, judge, and write it down."""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import Any

import click

from kmix_tf._writing import write_files
from kmix_tf.cli.audit.contradicting import FILE, table
from kmix_tf.cli.audit.measuring import ALPHAS, STEPS, measure
from kmix_tf.cli.audit.numbers import measure_numbers, task_for
from kmix_tf.cli.audit.report import build, build_numbers, build_unknown, figures, strict_json
from kmix_tf.cli.audit.report.page import numbers_page, report_page, unknown_page
from kmix_tf.cli.audit.report.text import report_text
from kmix_tf.cli.audit.trying import tried
from kmix_tf.cli.places import writable_folder
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.labels import labels_as_written
from kmix_tf.cli.reading.rows import Rows, rows_of
from kmix_tf.cli.reading.sample import Sample, look_through, sample_of
from kmix_tf.cli.reading.source import printable
from kmix_tf.cli.terminal import WIDTH, CannotSay, UserError, console, progress, show
from kmix_tf.cli.trials import run_trial
from kmix_tf.trial import Trial
from kmix_tf.trial.problem import CLASSES

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
    alpha: float = 1.0
    task: str = "auto"
    trial: bool = True
    minutes: float = 0.5
    time: str | None = None
    group: str | None = None
    spec: str | None = None

    def setting(self) -> dict[str, Any]:
        """What the report says of it."""
        names = ("seed", "max_samples", "standardize", "alpha", "trial", "minutes", "time", "group")
        return {name: getattr(self, name) for name in names}


def run_audit(request: AuditRequest) -> None:
    """Audits a dataset, writes report.html, report.json and a list of labels to mend, and prints the verdict."""
    started = time.monotonic()
    # Before the work, not after it.
    out = writable_folder(request.out, files=("report.json", "report.html", FILE))
    figures.need()
    try:
        report, html = _audit(request)
    except CannotSay as error:
        report, html = _without_answer(request, error.format_message())
    except MemoryError as error:
        raise UserError(
            f"there is not enough memory for {request.max_samples:,} samples of these data. Lower --max-samples"
            + (" or --image-size." if request.image_size else ".")
        ) from error
    contents = {"report.json": strict_json(report) + "\n", "report.html": html, FILE: table(report["contradicting"])}
    write_files({out / name: content for name, content in contents.items()})
    if request.as_json:
        click.echo(strict_json(report, ascii_only=True))
        return
    files = (
        f"The report: {out / 'report.html'}, and for programs report.json; {time.monotonic() - started:.0f} seconds."
    )
    show(*report_text(report, min(WIDTH, console().width)), files)


def _without_answer(request: AuditRequest, reason: str) -> tuple[dict[str, Any], str]:
    name = ", ".join(printable(pathlib.Path(path).name) for path in request.data)
    report = build_unknown(name, reason, request.setting())
    return report, unknown_page(report)


def _audit(request: AuditRequest) -> tuple[dict[str, Any], str]:
    """The report, and its page."""
    options = Options(
        request.target,
        request.drop,
        request.image_size,
        request.max_samples,
        request.seed,
        request.time,
        request.group,
        request.spec,
    )
    source = open_data(list(request.data), options)
    with progress("reading", source.expected, request.as_json) as advance:
        seen = look_through(source, request.max_samples, request.seed, advance)
    known = seen.labels if source.labels is None else source.labels
    written = labels_as_written(known, source.target)[0] if source.kind == "table" else known
    task = task_for(request.task, written)
    if task != CLASSES:
        return _audit_numbers(request, rows_of(source, seen), task)
    sample = sample_of(source, seen)
    with progress("measuring", STEPS, request.as_json) as advance:
        sample, measures = _measured(sample, request, lambda what, done: advance(int(done > 0), what))
    trial = _tried(request, sample, task)
    report = build(sample, measures, request.setting(), trial)
    return report, report_page(report, sample, measures["intrusion"]["examples"], trial)


def _audit_numbers(request: AuditRequest, rows: Rows, task: str) -> tuple[dict[str, Any], str]:
    alphas = tuple(sorted({*ALPHAS, request.alpha}))
    measures = measure_numbers(rows, task, request.standardize, request.seed, alphas)
    trial = _tried(request, rows, task)
    report = build_numbers(rows, task, measures, request.setting(), trial)
    return report, numbers_page(report, trial)


def _tried(request: AuditRequest, data: Sample | Rows, task: str) -> Trial | None:
    """What a trial says, unless there is to be none."""
    if not request.trial:
        return None

    def ask(tell: Callable[[float, str], None]) -> Trial:
        return tried(data.x, data.y, task, request.alpha, request.minutes, request.seed, tell, **data.beside)

    return run_trial(data.source.name, "trying", request.as_json, ask)


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
            return sample, measure(sample, request.standardize, request.seed, tell, request.alpha)
        except MemoryError:
            fewer = sample.thinned(len(sample.x) // 2, request.seed)
            if not fewer.is_enough:
                raise
        # Outside, where the error no longer holds what did not fit.
        note = f"Memory was short, so that {len(fewer.x):,} samples were measured of the {read:,} read."
        sample = dataclasses.replace(fewer, notes=[*notes, note])
    return sample, measure(sample, request.standardize, request.seed, tell, request.alpha)
