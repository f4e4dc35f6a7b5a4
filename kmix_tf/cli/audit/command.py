"""The audit's command line and its course."""

import argparse
import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

from kmix_tf import _extras
from kmix_tf.cli.audit.errors import AuditError
from kmix_tf.cli.audit.measuring import STEPS, measure
from kmix_tf.cli.audit.reading import FORMATS, Options, Sample, collect, open_data
from kmix_tf.cli.audit.report import drawing
from kmix_tf.cli.audit.report.build import build
from kmix_tf.cli.audit.report.page import page
from kmix_tf.cli.audit.report.pictures import offenders
from kmix_tf.cli.audit.report.strict_json import dumps
from kmix_tf.cli.audit.report.table import text

MAX_SAMPLES = 10_000
# How often it is tried again with half of the samples where memory is short.
_HALVINGS = 2


def add_parser(commands: Any) -> None:
    """Adds `audit` to the commands of `kmix-tf`."""
    parser = commands.add_parser(
        "audit",
        help="will mixing hurt on my data, and with which k and alpha to start",
        description="Reads a dataset with classes and reports what mixing does to its labels: a verdict, a layer to "
        "start with, and warnings, in the terminal, as a page (report.html) and for programs (report.json).",
    )
    parser.add_argument("data", nargs="+", metavar="DATA", help=FORMATS)
    parser.add_argument("--target", metavar="NAME", help="a table's column of labels (default: the last)")
    parser.add_argument(
        "--drop", action="append", default=[], metavar="NAME", help="a column to leave out; may be given again"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="height and width of images (default: their common size up to 64, else 32 or 64)",
    )
    parser.add_argument(
        "--standardize", action="store_true", help="divide each feature by its spread before distances are taken"
    )
    parser.add_argument(
        "--max-samples",
        type=int,
        default=MAX_SAMPLES,
        metavar="N",
        help=f"measure at most so many, drawn at random (default: {MAX_SAMPLES:,}, fewer if samples are large)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all draws (default: 0)")
    parser.add_argument("--out", default="audit", metavar="DIR", help="folder for the report (default: audit)")
    parser.add_argument("--json", action="store_true", help="print JSON only, no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the audit; 0 on success, whatever the verdict."""
    started = time.monotonic()
    for name, value, low, high in (
        ("--max-samples", arguments.max_samples, 3, 1_000_000),
        ("--image-size", arguments.image_size if arguments.image_size is not None else 1, 1, 4096),
        ("--seed", arguments.seed, 0, 2**32 - 1),
    ):
        if not low <= value <= high:
            raise AuditError(f"{name} must be from {low} to {high}. Received: {value}.")
    # Before the work, not after it.
    out = _folder(arguments.out)
    try:
        report, html = _audit(arguments)
    except MemoryError as error:
        raise AuditError(
            f"there is not enough memory for {arguments.max_samples:,} samples of these data. Lower --max-samples"
            + (" or --image-size." if arguments.image_size else ".")
        ) from error
    encoded = dumps(report)
    (out / "report.json").write_text(encoded + "\n", encoding="utf-8")
    (out / "report.html").write_text(html, encoding="utf-8")
    if arguments.json:
        _print(encoded, dumps(report, ascii_only=True))
    else:
        files = f"The report: {out / 'report.html'}, and for programs {out / 'report.json'}."
        _print(f"\n{text(report)}\n\n{files}\n{time.monotonic() - started:.0f} seconds.")
    return 0


def _print(words: str, plain: str | None = None) -> None:
    """Prints words; where the terminal cannot show them, `plain`, or question marks for the letters it lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        words.encode(encoding)
    except UnicodeEncodeError:
        words = words.replace("±", "+/-").encode(encoding, "replace").decode(encoding) if plain is None else plain
    print(words)


def _folder(path: str) -> pathlib.Path:
    """The folder to write into, made if it does not exist.

    Raises:
        AuditError: if it cannot be written to.
    """
    out = pathlib.Path(path)
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".kmix-tf-audit"
        probe.touch()
        probe.unlink()
    except FileExistsError as error:
        raise AuditError(f"--out must be a folder. Received: {path}, which is a file.") from error
    except OSError as error:
        raise AuditError(f"--out: cannot write into {path} ({error.strerror}).") from error
    return out


def _audit(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The report, and its page."""
    tqdm = _extras.require("tqdm", "examples", "kmix-tf audit").tqdm
    drawing.need()
    options = Options(
        arguments.target, tuple(arguments.drop), arguments.image_size, arguments.max_samples, arguments.seed
    )
    source = open_data(arguments.data, options)
    count = len(source.names) if source.names else source.total
    with tqdm(total=count, desc="reading", unit="sample", disable=arguments.json) as bar:
        sample = collect(source, arguments.max_samples, arguments.seed, bar.update)
    with tqdm(total=STEPS, unit="measure", disable=arguments.json) as bar:

        def tell(what: str, done: int) -> None:
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        sample, measures = _measured(sample, arguments, tell)
    setting = {
        "seed": arguments.seed,
        "max_samples": arguments.max_samples,
        "standardize": arguments.standardize,
    }
    report = build(sample, measures, setting)
    return report, page(report, sample, offenders(sample, measures["intrusion"]["examples"]))


def _measured(
    sample: Sample, arguments: argparse.Namespace, tell: Callable[[str, int], object]
) -> tuple[Sample, dict[str, Any]]:
    """What was measured, and the measures: of all samples read, or of fewer where memory does not do for all.

    Raises:
        MemoryError: if it does not for a quarter of them, or they are too few to tell classes apart.
    """
    read, notes = len(sample.x), sample.notes
    for _ in range(_HALVINGS):
        try:
            return sample, measure(sample, arguments.standardize, arguments.seed, tell)
        except MemoryError:
            fewer = sample.thinned(len(sample.x) // 2, arguments.seed)
            if not fewer.is_enough:
                raise
        # Outside, where the error no longer holds what did not fit.
        note = f"Memory was short, so that {len(fewer.x):,} samples were measured of the {read:,} read."
        sample = dataclasses.replace(fewer, notes=[*notes, note])
    return sample, measure(sample, arguments.standardize, arguments.seed, tell)
