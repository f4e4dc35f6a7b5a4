"""What was found, as one page with a figure."""

from typing import Any

import numpy as np
from markupsafe import Markup

from kmix_tf._version import __version__
from kmix_tf.cli import pages
from kmix_tf.cli.audit.report import figures
from kmix_tf.cli.compare.text import all_notes, described
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import CANNOT_SAY, HELPS, UNDECIDED
from kmix_tf.trial.intervals import BETTER, WITHIN, WORSE

_TONES = {HELPS: "good", CANNOT_SAY: "fair", UNDECIDED: "fair"}
_COLOURS = {BETTER: figures.GREEN, WORSE: figures.ORANGE}


def compare_page(report: dict[str, Any], trial: Trial) -> str:
    """HTML of a report."""
    return pages.render(
        "compare.html",
        report=report,
        tone=_TONES.get(trial.verdict, "fair"),
        headline=trial.verdict[0].upper() + trial.verdict[1:],
        described=described(report),
        tables=[trial.rows_of_table(), trial.rows_of_differences()],
        figure=differences(trial),
        notes=all_notes(report),
        version=__version__,
    )


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
