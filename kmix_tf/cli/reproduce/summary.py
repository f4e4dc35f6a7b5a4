"""RESULTS.md: every claim of the papers with its verdict, and where each table and figure is."""

import importlib
import pathlib
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kmix_tf.cli.reproduce.finding import home, load
from kmix_tf.cli.reproduce.keeping import Kept
from kmix_tf.cli.reproduce.report import Found, claims, command
from kmix_tf.cli.terminal import Grid, UserError
from kmix_tf.paired import Judged, table
from kmix_tf.paired.differences import FAILS, HOLDS, UNDECIDED, UNTESTED

_HEAD = """# What the papers claim, and what we measured

Written by `kmix-tf reproduce`; every number is in the file of its experiment, with settings, seeds, versions and the
machine. A claim is an effect that must be more than nothing, or than a margin, which its sentence names: the effect
of each seed, its mean over seeds with the 95 % interval, and the p-value of a t-test that it is just that much. With
each seed all arms begin from equal weights and see equal batches, unless the page says otherwise. A claim *holds* or
*does not* if the interval lies on one side, else it is *undecided*. So many tests find a few effects by chance: of
twenty claims with nothing in them, about one.
"""


def catalogue(folder: pathlib.Path | None = None) -> Any:
    """The papers' tables and figures: the module experiments/catalogue.py."""
    path = str(folder or home())
    if path not in sys.path:
        sys.path.insert(0, path)
    return importlib.import_module("experiments.catalogue")


def found_in(results: pathlib.Path, names: Sequence[str]) -> tuple[list[Found], list[str]]:
    """Experiments whose full results are kept in a folder, whoever made them; and why others are not read."""
    found, stale = [], []
    for name in names:
        if (results / f"{name}.json").is_file():
            experiment = load(name)
            try:
                found.append(
                    Found(experiment, Kept(experiment, experiment.settings_of(False), results, to_read=True))
                )
            except UserError as error:
                stale.append(error.message)
    return [each for each in found if each.kept.seeds], stale


def summary(found: Sequence[Found], results: str) -> str:
    """The page of all claims, in Markdown. results: the folder that its links lead to."""
    known = {each.experiment.name: each for each in found}
    judged = [claim for each in found for claim in each.experiment.judged(each.kept.runs())]
    parts = [_HEAD, f"Claims of the papers: {_counted(judged, False)}. Claims of our own: {_counted(judged, True)}."]
    parts += [f"[{catalogue().PAGES[name][0]}]({results}/{name}.md)" for name in pages(found)]
    for paper, title in catalogue().PAPERS.items():
        of_paper = [each for each in found if each.experiment.name.startswith(f"{paper}/")]
        if of_paper:
            parts += [f"## {title}", *(_section(each, results) for each in of_paper)]
    parts += ["## Every table and figure of the papers", _covered(known, results)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def pages(found: Sequence[Found]) -> dict[str, str]:
    """Further pages, of several experiments each, by name; those of which there is something to tell."""
    runs = {each.experiment.name: each.kept.runs() for each in found}
    written = {name: write(runs) for name, (_, write) in catalogue().PAGES.items()}
    return {name: text for name, text in written.items() if text}


def _counted(judged: Sequence[Judged], are_ours: bool) -> str:
    verdicts = Counter(each.verdict for each in judged if each.claim.ours == are_ours)
    words = {HOLDS: "hold", FAILS: "do not", UNDECIDED: "are undecided", UNTESTED: "are not tested"}
    return ", ".join(f"{verdicts[key]} {word}" for key, word in words.items() if verdicts[key]) or "none yet"


def _section(found: Found, results: str) -> str:
    experiment = found.experiment
    link = f"[{experiment.items}]({results}/{experiment.name}.md)"
    told = f"### {experiment.title}\n\n{link}: `{command(experiment)}`"
    return f"{told}\n\n{claims(found)}" if experiment.claims else told


def _covered(known: dict[str, Found], results: str) -> str:
    rows = []
    for item in catalogue().ITEMS:
        where = f"[{item.experiment}]({results}/{item.experiment}.md)" if item.experiment in known else ""
        rows.append(
            [
                item.paper,
                item.name,
                where or (f"`kmix-tf reproduce {item.experiment}`" if item.experiment else "-"),
                item.why,
            ]
        )
    return table(["paper", "there", "here", "if not, why"], rows).replace("--:", "---")


def listed(known: dict[str, str], results: pathlib.Path) -> Grid:
    """Every table and figure with its command, for the terminal."""
    rows = []
    for item in catalogue().ITEMS:
        is_done = bool(item.experiment) and (results / f"{item.experiment}.json").is_file()
        state = "results are here" if is_done else item.why or "not run here yet"
        rows.append([f"{item.paper}: {item.name}", item.experiment or "-", state])
    covered = {item.experiment for item in catalogue().ITEMS}
    rows += [[title, name, ""] for name, title in known.items() if name not in covered]
    return Grid(["table or figure", "NAME", "here"], rows)


def missing(names: Sequence[str]) -> list[str]:
    """Experiments that the catalogue names and that there are not."""
    return sorted({item.experiment for item in catalogue().ITEMS if item.experiment} - set(names))
