"""Tables of results, in Markdown."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kmix_tf.paired.experiment import Cells, Runs

_MINUS, _NONE = "\u2212", "\u2013"


def number(value: float) -> str:
    """With as many digits as are worth reading."""
    if not math.isfinite(value):
        return _NONE
    if value == 0 or 0.01 <= abs(value) < 1e4:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:.{digits}f}".replace("-", _MINUS)
    return f"{value:.1e}".replace("-", _MINUS)


def mean_and_spread(values: np.ndarray) -> str:
    """As "4.2 ± 0.3": mean and standard deviation; the mean alone of one value, or of values that are all alike."""
    mean = number(float(values.mean()))
    if len(values) < 2 or np.ptp(values) == 0:
        return mean
    return f"{mean} ± {number(float(values.std(ddof=1)))}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown: the first column is of words, the others of numbers."""
    lines = [list(head), ["---", *["--:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|").replace("\n", " ")


def arms_table(runs: Runs, paper: Cells | None = None, measures: Sequence[str] | None = None) -> str:
    """A row an arm, a column a measure; the paper's number in brackets where it prints one."""
    measures = measures or runs.measures()
    rows = [[arm, *(_cell(runs, paper or {}, arm, each) for each in measures)] for arm in runs.arms]
    return table(["", *measures], rows)


def grid_table(
    runs: Runs,
    measure: str,
    rows: Mapping[str, Any],
    columns: Mapping[str, Any],
    arm: Callable[[Any, Any], str],
    paper: Cells | None = None,
) -> str:
    """One measure of arms that two settings tell apart, with the paper's numbers in brackets.

    rows, columns: the words of each value. arm: the name of the arm of two values.
    """
    lines = [
        [words, *(_cell(runs, paper or {}, arm(row, column), measure) for column in columns.values())]
        for words, row in rows.items()
    ]
    return table([measure, *columns], lines)


def _cell(runs: Runs, paper: Cells, arm: str, measure: str) -> str:
    if measure not in runs.measures(arm):
        return ""
    ours = mean_and_spread(runs.values(arm, measure))
    theirs = paper.get(arm, {}).get(measure)
    return ours if theirs is None else f"{ours} ({theirs:g})"
