"""The course of `kmix-tf compare`: read, try, and write it down."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import click

from kmix_tf._writing import write_files
from kmix_tf.cli.audit.report import figures, strict_json
from kmix_tf.cli.compare.page import compare_page
from kmix_tf.cli.compare.text import compare_text
from kmix_tf.cli.places import writable_folder
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.rows import Rows, read_rows
from kmix_tf.cli.terminal import WIDTH, console, progress, show
from kmix_tf.cli.trials import run_trial
from kmix_tf.trial import Trial, compare_mixes
from kmix_tf.trial.comparing import rows_in
from kmix_tf.trial.problem import CLASSES


@dataclasses.dataclass(frozen=True)
class CompareRequest:
    """What the command line asks for, by its options; see their help."""

    data: tuple[str, ...]
    target: str | None
    drop: tuple[str, ...]
    image_size: int | None
    standardize: bool
    task: str
    minutes: float
    seed: int
    out: str
    as_json: bool
    time: str | None = None
    group: str | None = None
    spec: str | None = None


def run_compare(request: CompareRequest) -> None:
    """Tries mixes on a dataset, writes report.html and report.json, and prints what was found."""
    # Before the work, not after it.
    out = writable_folder(request.out, files=("report.json", "report.html"))
    figures.need()
    rows = _read(request)
    trial = _tried(rows, request)
    report = _report(rows, trial, request)
    written = {out / "report.json": strict_json(report) + "\n", out / "report.html": compare_page(report, trial)}
    write_files(written)
    if request.as_json:
        click.echo(strict_json(report, ascii_only=True))
        return
    files = f"\nThe report: {out / 'report.html'}, and for programs {out / 'report.json'}."
    show("", *compare_text(report, trial, min(WIDTH, console().width)), files, f"{trial.seconds:.0f} seconds.")


def _read(request: CompareRequest) -> Rows:
    limit = rows_in(request.minutes)
    options = Options(
        request.target,
        request.drop,
        request.image_size,
        limit,
        request.seed,
        request.time,
        request.group,
        request.spec,
    )
    source = open_data(list(request.data), options)
    with progress("reading", source.expected, request.as_json) as advance:
        return read_rows(source, limit, request.seed, advance)


def _tried(rows: Rows, request: CompareRequest) -> Trial:
    def ask(tell: Callable[[float, str], None]) -> Trial:
        return compare_mixes(
            rows.x,
            rows.y,
            minutes=request.minutes,
            task=request.task,
            standardize=request.standardize,
            seed=request.seed,
            progress=tell,
            **rows.beside,
        )

    return run_trial(rows.source.name, "comparing", request.as_json, ask)


def _report(rows: Rows, trial: Trial, request: CompareRequest) -> dict[str, Any]:
    """What report.json holds: the trial as `Trial.to_json` has it, and what it was of.

    data: name, kind, rows, kept, shape, target, notes. setting: minutes, seed, standardize, task. prepare: a line
    that makes labels what layers take, or null.
    """
    found = json.loads(trial.to_json())
    data = {
        "name": rows.source.name,
        "kind": rows.source.kind,
        "rows": rows.total,
        "kept": len(rows.x),
        "shape": list(rows.x.shape[1:]),
        "target": rows.source.target,
        "notes": rows.notes,
    }
    setting = {name: getattr(request, name) for name in ("minutes", "seed", "standardize", "task", "time", "group")}
    prepare = rows.prepare() if trial.task == CLASSES else None
    return {"format": found.pop("format"), "data": data, "setting": setting, "prepare": prepare, **found}
