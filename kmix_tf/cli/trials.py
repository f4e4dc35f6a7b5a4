"""Trials, as commands run and show them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup

from kmix_tf.cli.audit.report import figures
from kmix_tf.cli.terminal import UserError, progress
from kmix_tf.trial import Trial
from kmix_tf.trial.intervals import BETTER, WITHIN, WORSE

_COLOURS = {BETTER: figures.GREEN, WORSE: figures.ORANGE}


def run_trial(name: str, words: str, is_quiet: bool, ask: Callable[[Callable[[float, str], None]], Trial]) -> Trial:
    """Runs a trial under a progress bar.

    Args:
        name: of the data, for errors. words: what is done, for the bar. ask: is given `progress` of `compare_mixes`.

    Raises:
        UserError: for what the trial refuses.
    """
    with progress(words, 100, is_quiet) as advance:
        try:
            return ask(_teller(advance))
        except ValueError as error:
            raise UserError(f"{name}: {str(error).removeprefix('compare_mixes: ')}") from error


def _teller(advance: Callable[..., None]) -> Callable[[float, str], None]:
    done = 0

    def tell(share: float, what: str) -> None:
        nonlocal done
        steps = max(0, int(100 * share) - done)
        done += steps
        advance(steps, what)

    return tell


def differences(trial: Trial) -> Markup | None:
    """Differences in error from no mixing with their intervals; None where nothing was measured."""
    mixes = [each for each in trial.findings if each.differences]
    if not mixes:
        return None

    def draw(axes: Any) -> None:
        axes.axvspan(-WITHIN, WITHIN, color=figures.GREY, alpha=0.2, linewidth=0)
        axes.axvline(0, color=figures.GREY, linewidth=1)
        for place, each in enumerate(mixes):
            found, colour = each.differences["error"], _COLOURS.get(each.verdict, figures.BLUE)
            axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
            axes.plot([found.mean], [place], color=colour, marker="o")
        axes.set_yticks(np.arange(len(mixes)), [each.name for each in mixes])
        axes.set(ylim=(len(mixes) - 0.5, -0.5), xlabel="error more than without mixing, points")

    label = "Differences in error of each mix from no mixing, with intervals of 95 %; left of 0 the mix is better."
    return figures.svg("differences", label, draw, height=1 + 0.35 * len(mixes))
