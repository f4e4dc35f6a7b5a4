"""The course of `kmix-tf reproduce`: measure what is not kept yet, then write pages, figures and all claims."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import sys
from collections.abc import Sequence

import click

from kmix_tf import _extras
from kmix_tf._stopping import raising
from kmix_tf._writing import write_files
from kmix_tf.cli.places import writable_file, writable_folder
from kmix_tf.cli.reproduce import summary
from kmix_tf.cli.reproduce.finding import chosen, home, load, titles
from kmix_tf.cli.reproduce.keeping import Kept, told
from kmix_tf.cli.reproduce.report import Found, claims, page
from kmix_tf.cli.reproduce.running import Done, Task, run
from kmix_tf.cli.terminal import UserError, console, escaped, heading, progress, show
from kmix_tf.paired import DataNotFound, Experiment

_QUICK = "quick"
USUAL, SUMMARY = "results", "RESULTS.md"


@dataclasses.dataclass(frozen=True)
class ReproduceRequest:
    """What the command line asks for, by its options; see their help."""

    names: tuple[str, ...]
    show_list: bool
    quick: bool
    seeds: int | None
    jobs: int
    data_dir: str | None
    results: str
    anew: bool
    as_json: bool


def run_reproduce(request: ReproduceRequest) -> None:
    """Runs the experiments that are asked for."""
    if request.show_list:
        _list(request)
        return
    if not request.names:
        raise UserError("name an experiment, a paper or all. kmix-tf reproduce --list shows what there is.")
    names = chosen(request.names)
    matplotlib = _extras.require("matplotlib", "cli", "kmix-tf reproduce")
    matplotlib.use("Agg")
    _extras.require("matplotlib.pyplot", "cli", "kmix-tf reproduce").style.use("tableau-colorblind10")
    results = pathlib.Path(request.results)
    folder = _writable(results, names, request.quick)
    found = [_kept(request, name, folder) for name in names]
    try:
        with raising():
            failed = _measure(request, found)
    except BaseException:
        with contextlib.suppress(OSError):  # What went wrong first is told.
            _write(request, found, folder)
        raise
    done, stale = _write(request, found, folder)
    _tell(request, done, stale)
    if failed:
        more = f" {len(failed) - 1} more failed." if len(failed) > 1 else ""
        raise UserError(failed[0] + more)


def _writable(results: pathlib.Path, names: Sequence[str], is_quick: bool) -> pathlib.Path:
    """The folder for numbers, pages and figures, once all that is to be written is seen to have its place."""
    files = [f"{name}.{kind}" for name in names for kind in ("json", "md", "png")]
    folder = writable_folder(str(results / _QUICK if is_quick else results), "--results", files)
    for within in {(folder / name).parent for name in names}:
        writable_folder(str(within), "--results")
    if not is_quick:
        writable_file(_summary_at(results), "--results")
    return folder


def _summary_at(results: pathlib.Path) -> pathlib.Path:
    """Within the folder, or beside it if it is the usual one."""
    return pathlib.Path(SUMMARY) if results == pathlib.Path(USUAL) else results / SUMMARY


def _list(request: ReproduceRequest) -> None:
    grid = summary.listed(titles(), pathlib.Path(request.results))
    if request.as_json:
        click.echo(escaped(json.dumps([dict(zip(grid.head, row, strict=True)) for row in grid.rows])))
    else:
        show(grid)


def _kept(request: ReproduceRequest, name: str, folder: pathlib.Path) -> Found:
    experiment = load(name)
    settings = experiment.settings_of(request.quick)
    return Found(experiment, Kept(experiment, settings, folder, anew=request.anew))


def _tasks(request: ReproduceRequest, found: list[Found]) -> list[Task]:
    """Seeds that are not done, the first of each experiment first: what fails, fails early."""
    tasks = []
    for experiment, kept in found:
        count = request.seeds or (experiment.quick_seeds if request.quick else experiment.seeds)
        settings = experiment.settings_of(request.quick)
        waiting = [seed for seed in range(count) if seed not in kept.seeds]
        if waiting and _can_run(request, experiment):
            tasks += [Task(experiment.name, seed, settings, request.data_dir, str(home())) for seed in waiting]
    return sorted(tasks, key=lambda task: task.seed)


def _can_run(request: ReproduceRequest, experiment: Experiment) -> bool:
    """Whether it is to be measured; if not, says why.

    Raises:
        UserError: if it is asked for by its own name, and its data are not there.
    """
    is_named, why = experiment.name in request.names, ""
    if experiment.elsewhere and not is_named:
        why = f"{experiment.elsewhere}. Ask for it by its name."
    elif experiment.reads_data:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # Downloads tell how far they are.
                experiment.reads_data(request.data_dir)
        except (DataNotFound, ImportError) as error:
            why = " ".join(str(error).split())
            if is_named:
                raise UserError(f"{experiment.name}: {why}") from error
    if why:
        show(f"{experiment.name} is left out: {why}", to=console(is_error=True))
    return not why


def _measure(request: ReproduceRequest, found: list[Found]) -> list[str]:
    """Measures what is not kept yet; returns what failed."""
    tasks, kept = _tasks(request, found), {each.experiment.name: each.kept for each in found}
    failed: list[str] = []
    if not tasks:
        return failed
    unwritten: dict[str, OSError] = {}
    try:
        bar = progress("measuring", len(tasks), request.as_json)
        # Closed at once if anything goes wrong here: else the interpreter would wait for what is being measured.
        with bar as advance, contextlib.closing(run(tasks, min(request.jobs, len(tasks)))) as ended:
            for done in ended:
                _keep(done, kept[done.task.name], failed, unwritten)
                advance(1, f"{done.task.name}, seed {done.task.seed} done")
    finally:
        rescued = [_rescued(kept[name], error) for name, error in unwritten.items()]
    if any(rescued):
        raise UserError(" ".join(filter(None, rescued)))
    return failed


def _rescued(kept: Kept, error: OSError) -> str:
    """Tries once more to write; says where it was written instead, or "" if it could."""
    try:
        kept.write()
        return ""
    except OSError:
        pass
    try:
        rescued = kept.rescue()
    except OSError:
        raise error from None
    why = error.strerror or error
    return f"{kept.path} cannot be written ({why}). Move {rescued} there: it has all that was measured."


def _keep(done: Done, kept: Kept, failed: list[str], unwritten: dict[str, OSError]) -> None:
    name = done.task.name
    if done.error:
        failed.append(f"seed {done.task.seed} of {name} failed. {done.error}")
        return
    try:
        kept.add(done.task.seed, done.cells, done.seconds)
        unwritten.pop(name, None)
    except OSError as error:  # A full disk, say. It is tried again with the next seed, and at the end.
        unwritten[name] = error


def _write(request: ReproduceRequest, found: list[Found], folder: pathlib.Path) -> tuple[list[Found], list[str]]:
    """Pages, and of a full run the list of claims; returns what has a page, and what could not be read."""
    done = [each for each in found if each.kept.seeds]
    write_pages(done, folder)
    return done, [] if request.quick else write_summary(pathlib.Path(request.results))


def write_pages(found: list[Found], folder: pathlib.Path) -> None:
    """A page and a figure of each experiment, beside its numbers; those are written, too: claims may have changed."""
    for each in found:
        experiment = each.experiment
        each.kept.write()
        figure = _drawn(each) if experiment.draw else None
        files: dict[pathlib.Path, str | bytes] = {folder / f"{experiment.name}.md": page(each, figure is not None)}
        if figure is not None:
            files[folder / f"{experiment.name}.png"] = figure
        write_files(files)


def _drawn(found: Found) -> bytes:
    from matplotlib import pyplot

    png = io.BytesIO()
    assert found.experiment.draw is not None
    figure = found.experiment.draw(found.kept.runs())
    try:
        # Without its version, so that the same figure is the same file.
        figure.savefig(png, format="png", dpi=110, metadata={"Software": None})
    finally:
        pyplot.close(figure)
    return png.getvalue()


def write_summary(results: pathlib.Path) -> list[str]:
    """RESULTS.md of all that is in a folder: within it, or beside it if it is the usual one; and further pages.

    Returns:
        What could not be read, in words.
    """
    found, stale = summary.found_in(results, list(titles()))
    is_usual = results == pathlib.Path(USUAL)
    path = _summary_at(results)
    pages = {results / f"{name}.md": text for name, text in summary.pages(found).items()}
    write_files({**pages, path: summary.summary(found, USUAL if is_usual else ".")})
    return stale


def _tell(request: ReproduceRequest, found: list[Found], stale: list[str]) -> None:
    if request.as_json:
        content = {
            experiment.name: [told(judged) for judged in experiment.judged(kept.runs())] for experiment, kept in found
        }
        click.echo(escaped(json.dumps(content)))
        return
    for each in found:
        experiment, kept = each
        show(heading(f"{experiment.name}: {experiment.title}"))
        if experiment.claims:
            show(claims(each))
        show(os.path.relpath(kept.path.with_suffix(".md")))
        if len(kept.seeds) == 1 and not all(claim.is_exact for claim in experiment.claims):
            show("One seed gives no test: run two or more for a verdict.")
        if request.quick:
            show("A quick run shows that it runs, and is no evidence.")
    for words in stale:
        show(f"Left out of {SUMMARY}: {words}")
