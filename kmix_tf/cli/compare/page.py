"""What was found, as one page with a figure."""

from typing import Any

from kmix_tf._version import __version__
from kmix_tf.cli import pages
from kmix_tf.cli.compare.text import all_notes, described
from kmix_tf.cli.trials import differences
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import CANNOT_SAY, HELPS, UNDECIDED

_TONES = {HELPS: "good", CANNOT_SAY: "fair", UNDECIDED: "fair"}


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
