"""What people read of the results: a page an experiment, and one list of all claims."""

from collections.abc import Sequence
from typing import NamedTuple

from kmix_tf.cli.reproduce.keeping import Kept
from kmix_tf.paired import AtLeast, AtMost, Experiment, Judged, Less, Runs, arms_table, mean_and_spread, number, table
from kmix_tf.paired.differences import UNTESTED


class Found(NamedTuple):
    """An experiment, and what is kept of it."""

    experiment: Experiment
    kept: Kept


def effect(judged: Judged, runs: Runs) -> str:
    """As "2.0 against 4.1: +2.1 points, 0.4 to 3.8, p = 0.02": both means, the effect, its 95 % interval."""
    found, unit, compared = judged.found, judged.claim.unit, judged.claim.effect
    if isinstance(compared, AtMost):
        bound = f"at {'least' if isinstance(compared, AtLeast) else 'most'} {number(compared.bound)}"
        values = runs.values(compared.arm, compared.measure)
        # What looks like the bound and is not must not look like it.
        is_near = number(values.mean()) == number(compared.bound) and values.mean() != compared.bound
        value = f"{values.mean():.5g}" if is_near else mean_and_spread(values)
        return f"{value}, for {bound}{_sureness(judged)}"
    said = f"{'+' if found.mean > 0 else ''}{number(found.mean)} {unit}".strip()
    if isinstance(compared, Less):
        ours, theirs = (number(runs.mean(arm, compared.measure)) for arm in (compared.arm, compared.than))
        said = f"{ours} against {theirs}: {said}"
    interval = f", {number(found.low)} to {number(found.high)}" if _sureness(judged) else ""
    return said + interval + _sureness(judged)


def _sureness(judged: Judged) -> str:
    found = judged.found
    if judged.claim.is_exact or judged.verdict == UNTESTED or found.low == found.high:
        return ""
    return ", p < 0.001" if found.p < 0.001 else f", p = {found.p:.2g}"


def claims(found: Found) -> str:
    """All claims of an experiment with their verdicts."""
    runs = found.kept.runs()
    rows = [
        [_says(judged), judged.claim.paper or "-", effect(judged, runs), f"**{judged.verdict}**"]
        for judged in found.experiment.judged(runs)
    ]
    return table(["claim", "paper", "here", "verdict"], rows).replace("--:", "---")


def _says(judged: Judged) -> str:
    return f"{judged.claim.says} (ours)" if judged.claim.ours else judged.claim.says


def _listed(seeds: Sequence[int]) -> str:
    """As "seed 0", "seeds 0 to 4", or all of them where some are missing."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"


def command(experiment: Experiment) -> str:
    """That makes it."""
    return f"kmix-tf reproduce {experiment.name}"


def page(found: Found, has_figure: bool) -> str:
    """One experiment, in Markdown."""
    experiment, runs = found.experiment, found.kept.runs()
    parts = [f"# {experiment.title}", f"{experiment.items}. Made by `{command(experiment)}`, {_listed(runs.seeds)}."]
    if has_figure:
        parts.append(f"![{experiment.title}]({experiment.name.split('/')[1]}.png)")
    if experiment.claims:
        parts.append(claims(found))
    parts.append(experiment.table(runs) if experiment.table else arms_table(runs, experiment.paper))
    if any(experiment.paper.values()) and not experiment.table:
        parts.append("Mean ± standard deviation over seeds; in brackets the paper's number.")
    parts += [experiment.notes.strip()] if experiment.notes.strip() else []
    settings = ", ".join(f"{name} = {value}" for name, value in runs.settings.items())
    made = f"Measured by kmix_tf {found.kept.version} in {found.kept.seconds():.0f} seconds, all seeds together."
    parts += [f"Settings: {settings}.", made]
    return "\n\n".join(parts) + "\n"
