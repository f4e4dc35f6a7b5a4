"""What the demo says: means with their spread, paired differences, and what got better and what did not."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kmix_tf.cli.demo.arms import rivals
from kmix_tf.cli.demo.training import Scores
from kmix_tf.cli.terminal import Grid
from kmix_tf.paired import paired_difference, verdict
from kmix_tf.paired.differences import FAILS, HOLDS

# Of the tables: names and digits behind the point.
COLUMNS = {
    "error": ("error, %", 1),
    "attacked": ("attacked, %", 1),
    "calibration": ("calibration, %", 1),
    "rescaled": ("rescaled, %", 1),
    "loss": ("loss", 2),
}
# Those of which differences are told, and as what.
COMPARED = {"error": "error", "attacked": "error under attack", "calibration": "calibration error"}

ByArm = Mapping[str, Sequence[Scores]]


def summary(scores: ByArm) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over seeds, by arm and column."""

    def told(values: list[float]) -> dict[str, float]:
        return {"mean": float(np.mean(values)), "spread": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}

    return {
        arm: {column: told([getattr(run, column) for run in runs]) for column in COLUMNS}
        for arm, runs in scores.items()
    }


def compared(table: dict[str, dict[str, dict[str, float]]]) -> Grid:
    """A row for each arm: mean ± standard deviation."""
    rows = [
        [arm, *(f"{row[c]['mean']:.{digits}f} ± {row[c]['spread']:.{digits}f}" for c, (_, digits) in COLUMNS.items())]
        for arm, row in table.items()
    ]
    return Grid(["", *(name for name, _ in COLUMNS.values())], rows)


def differences(scores: ByArm) -> list[dict[str, Any]]:
    """Of rivals, by how much less the first has, with its interval; whether that is better, worse or undecided."""
    return [_difference(scores, arm, than, column) for arm, than in rivals() for column in COMPARED]


def _difference(scores: ByArm, arm: str, than: str, column: str) -> dict[str, Any]:
    first, second = ([getattr(run, column) for run in scores[each]] for each in (than, arm))
    found = paired_difference(first, second)
    words = {HOLDS: "better", FAILS: "worse"}
    is_alike = found.seeds > 1 and found.low == found.high == 0
    numbers = {key: value if np.isfinite(value) else None for key, value in found._asdict().items()}
    told = "undecided" if is_alike else words.get(verdict(found), "undecided")
    return {"arm": arm, "than": than, "column": column, "less_by": numbers, "verdict": told}


def apart(found: Sequence[Mapping[str, Any]]) -> Grid:
    """A row a pair of rivals: by how much less the first has, with the interval of 95 %."""
    head = ["points less", *COMPARED.values()]
    rows = [[f"{arm} than {than}", *map(_interval, of_pair)] for (arm, than), of_pair in _pairs(found).items()]
    return Grid(head, rows)


def _pairs(found: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in found:
        pairs.setdefault((each["arm"], each["than"]), []).append(each)
    return pairs


def _interval(each: Mapping[str, Any]) -> str:
    less = each["less_by"]
    if less["low"] is None:
        return f"{less['mean']:.1f}"
    return f"{less['mean']:.1f} ({less['low']:.1f} to {less['high']:.1f})"


def sentences(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What got better, what got worse, and what nobody can tell from so few seeds."""
    if found[0]["less_by"]["seeds"] < 2:
        return ["One seed says nothing of chance: run two or more to see what got better."]
    told = []
    for word in ("better", "worse"):
        said = [_sentence(pair, of_pair, word) for pair, of_pair in _pairs(found).items()]
        told.append(f"{word.capitalize()}: {'; '.join(filter(None, said)) or 'nothing'}.")
    rest = "All else is undecided: the 95 % interval of its difference holds 0."
    return [*told, f"{rest} Of {len(found)} such intervals about one misses it by chance."]


def _sentence(pair: tuple[str, str], of_pair: Sequence[Mapping[str, Any]], word: str) -> str:
    said = [
        f"{COMPARED[each['column']]} ({-each['less_by']['mean']:+.1f})" for each in of_pair if each["verdict"] == word
    ]
    return f"{pair[0]} than {pair[1]} in {' and '.join(said)}" if said else ""
