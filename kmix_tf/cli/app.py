"""The command line: what may be asked of `kmix-tf`, and how it answers what it cannot do."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import tensorflow as tf

from kmix_tf._version import __version__
from kmix_tf.cli.reading import FORMATS
from kmix_tf.cli.reading.source import first_line
from kmix_tf.cli.terminal import refuse

# As in `kmix_tf.trial`, which would take its time to import.
TASKS = ("auto", "classes", "multilabel", "regression")
_SETTINGS = {"show_default": True, "help_option_names": ["-h", "--help"]}
# Of a program whose reader has gone, as click has it.
_UNREAD = 1


class _Stopped(click.ClickException):
    """A command that was stopped, which click would tell with an empty line. status: as the shell has it."""

    def __init__(self, number: int):
        super().__init__("stopped.")
        self.status = 128 + number


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Stopped(getattr(error, "number", signal.SIGINT)) from error


def run(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status."""
    status = _answered(None if argv is None else list(argv))
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up_stdout()
        status = _UNREAD if error.errno == errno.EPIPE else refuse(_unwritten(error))
    return status


def _answered(arguments: list[str] | None) -> int:
    try:
        return commands.main(arguments, prog_name="kmix-tf", standalone_mode=False) or 0
    except _Stopped as error:
        return refuse(error.format_message(), error.status)
    except click.UsageError as error:
        return refuse(f"{error.format_message()} See {error.ctx.command_path if error.ctx else 'kmix-tf'} --help.")
    except click.ClickException as error:
        return refuse(error.format_message())
    except OSError as error:
        if error.filename is None and _is_of_stdout(error):
            return refuse(_unwritten(error))
        told = f"{error.filename} cannot be read or written ({error.strerror})."
        return refuse(told if error.filename is not None and error.strerror else str(error))
    except ImportError as error:
        return refuse(str(error))
    except MemoryError as error:
        return refuse(
            f"there is not enough memory for these data ({first_line(error)}). Bring fewer or smaller samples."
        )
    except tf.errors.OpError as error:
        return refuse(f"TensorFlow cannot do this with these data ({first_line(error)}).")


def _is_of_stdout(error: OSError) -> bool:
    """Whether it was the standard output that could not be written; what is left of it then fails again."""
    try:
        sys.stdout.flush()
    except OSError as again:
        _give_up_stdout()
        return again.errno == error.errno
    return False


def _unwritten(error: OSError) -> str:
    return f"the standard output cannot be written ({error.strerror})."


def _give_up_stdout() -> None:
    """Lets Python write the rest to nowhere at its end, where it would complain once more."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@click.group(cls=_Commands, context_settings=_SETTINGS, no_args_is_help=False)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Mixup for Keras and TensorFlow."""


def _number(name: str, least: int, most: int | None, words: str, default: Any = None, **options: Any) -> Callable:
    options = {"metavar": "N", **options}
    return click.option(name, type=click.IntRange(least, most), default=default, help=words, **options)


_TIME = click.option("--time", metavar="NAME", help="A table's column of dates or numbers: train before, test after.")
_SPEC = click.option(
    "--spec", metavar="FILE.json", help="A TFRecord file's features: {name: {dtype: ..., shape: ...}}."
)
_GROUP = click.option(
    "--group", metavar="NAME", help="A table's column: rows of one group are on one side of a split."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON only, no progress bar.")


@commands.command(short_help="Will mixing help or hurt on my data, and why?")
@click.argument("data", nargs=-1, required=True)
@click.option("--target", metavar="NAME", show_default="the last", help="A table's column of labels.")
@click.option("--drop", metavar="NAME", multiple=True, help="A column to leave out; may be given again.")
@_TIME
@_GROUP
@_SPEC
@_number(
    "--image-size", 1, 4096, "Height and width of images; without it their common size up to 64, else 32 or 64.",
    metavar="PIXELS",
)  # fmt: skip
@click.option(
    "--alpha", type=click.FloatRange(0.01, 1000), metavar="ALPHA", default=1.0, help="Of the mixup that is judged."
)
@click.option("--standardize", is_flag=True, help="Divide each feature by its spread before distances are taken.")
@click.option("--task", type=click.Choice(TASKS), default="auto", help="What the target is.")
@click.option(
    "--trial/--no-trial", default=True, help="Train a small network with and without mixing, and judge by it."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 10_000, min_open=True),
    metavar="N",
    default=0.5,
    help="What a trial may take.",
)
@_number("--max-samples", 3, 1_000_000, "Measure at most so many, drawn at random; fewer if they are large.", 10_000)
@_number("--seed", 0, 2**32 - 1, "Of all draws.", 0)
@click.option("--out", metavar="DIR", default="audit", help="Folder for the report.")
@_JSON
def audit(**options: Any) -> None:
    """Say whether mixing helps or hurts on a dataset: what it does to labels, and what a short trial finds."""
    from kmix_tf.cli.audit.auditing import AuditRequest, run_audit

    run_audit(AuditRequest(**options))


audit.help = f"""{audit.help}

Gives a verdict, why, and a layer to start with: in the terminal, with figures and warnings as a page (report.html),
and for programs (report.json). Samples whose labels contradict one another are listed in report-contradictions.csv.
DATA is {FORMATS}."""


@commands.command(short_help="Does a mix help on my data? A small network tries several.")
@click.argument("data", nargs=-1, required=True)
@click.option("--target", metavar="NAME", show_default="the last", help="A table's column of labels or numbers.")
@click.option("--drop", metavar="NAME", multiple=True, help="A column to leave out; may be given again.")
@_TIME
@_GROUP
@_SPEC
@_number(
    "--image-size", 1, 4096, "Height and width of images; without it their common size up to 64, else 32 or 64.",
    metavar="PIXELS",
)  # fmt: skip
@click.option("--standardize/--no-standardize", default=True, help="Bring features to mean 0 and spread 1.")
@click.option("--task", type=click.Choice(TASKS), default="auto", help="What the target is.")
@click.option(
    "--minutes", type=click.FloatRange(0, 10_000, min_open=True), metavar="N", default=2.0, help="What it may take."
)
@_number("--seed", 0, 2**31 - 1, "Of splits, first weights, batches and mixes.", 0)
@click.option("--out", metavar="DIR", default="compare", help="Folder for the report.")
@_JSON
def compare(**options: Any) -> None:
    """Train a small network on a dataset with and without mixing, and say whether a mix is better.

    Repeated splits, equal first weights and equal batches; error, loss and calibration as paired differences with
    intervals; and the line of code of the best mix, or the advice not to mix.
    """
    from kmix_tf.cli.compare.comparing import CompareRequest, run_compare

    run_compare(CompareRequest(**options))


compare.help = f"{compare.help}\n\nDATA is {FORMATS}. Targets may be classes, several labels, or numbers."


@commands.command(short_help="Train with and without mixup, side by side, and serve the result.")
@click.option("--data", metavar="FILE.npz", show_default="digits", help="Your own arrays x (n, ...) and y (n,).")
@_number("--seeds", 1, 1000, "Use seeds 0 to N - 1.", 5)
@_number("--epochs", 1, 100_000, "Epochs of each run.", 60)
@_number("--train", 2, None, "Training samples.", show_default="1000, or two thirds of your own")
@click.option(
    "--wrong-labels",
    type=click.FloatRange(0, 0.9),
    metavar="SHARE",
    default=0.0,
    help="Share of training labels to replace by wrong ones.",
)
@click.option("--out", metavar="DIR", default="demo", help="Folder for figures and tables.")
@click.option("--export", metavar="DIR", default="saved_models/demo", help="Folder for the SavedModel.")
@_JSON
def demo(**options: Any) -> None:
    """Train the same small network without mixing, with mixup and with k-mixup on the same data.

    They are compared over several seeds: error, error under attack, calibration. k-mixup perturbs as much as mixup
    does. Draws figures, exports a rescaled k-mixup model and serves it from a fresh process.
    """
    from kmix_tf.cli.demo.comparing import DemoRequest, run_demo

    run_demo(DemoRequest(**options))


@commands.command(short_help="Show what each blend makes of real images, on one page.")
@click.option("--out", metavar="FILE.html|DIR", default="gallery.html", help="The page, or its folder.")
@click.option("--images", metavar="FOLDER", show_default="scikit-learn's", help="Your own, named by subfolders.")
@_number("--seed", 0, 2**31 - 1, "Of all draws.", 0)
@_JSON
def gallery(out: str, images: str | None, seed: int, as_json: bool) -> None:
    """Mix real images by every blend, with random and with matched partners.

    Shows one and several mixtures of each pair, with their labels' weights and the code that made them, on one page
    that needs nothing but itself.
    """
    from kmix_tf.cli.gallery.showing import run_gallery

    run_gallery(out, images, seed, as_json)


@commands.command(short_help="Measure the papers' tables and figures anew.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--list", "show_list", is_flag=True, help="List every table and figure of the papers.")
@click.option("--quick", is_flag=True, help="Seconds instead of minutes each, into RESULTS/quick; no evidence.")
@_number(
    "--seeds", 1, 10_000, "Have seeds 0 to N - 1; more that are kept count, too.", show_default="as many as each says"
)
@_number("--jobs", 1, 1024, "Seeds measured at the same time, each by one core.", show_default="cores", default=None)
@click.option("--data-dir", metavar="DIR", help="Folder of data that are not bundled, such as Fashion-MNIST.")
@click.option("--results", metavar="DIR", default="results", help="Folder for numbers, pages and figures.")
@click.option("--anew", is_flag=True, help="Begin anew, in place of the seeds that are kept.")
@_JSON
def reproduce(jobs: int | None, **options: Any) -> None:
    """Run experiments, by NAME, by paper, or all.

    Seeds that are done are kept: after an interrupt the same command goes on. Writes numbers as JSON, a page and a
    figure for each, and RESULTS.md with the verdict on every claim.

    What needs data that are not there, or days of a graphics card, is named and left out, unless asked for by NAME.
    """
    from kmix_tf.cli.reproduce.command import ReproduceRequest, run_reproduce

    run_reproduce(ReproduceRequest(jobs=jobs or os.cpu_count() or 1, **options))
