"""What a trial found, for people and for programs."""

import dataclasses
import json
import math
from typing import Any

from kmix_tf.paired import Difference
from kmix_tf.paired.tables import number, table
from kmix_tf.trial.problem import CLASSES, REGRESSION

FORMAT = 1
HELPS, NONE_BETTER, CANNOT_SAY = "mixing helps", "none is better: don't mix", "cannot say"
# Not to have shown that a mix is better is not to have shown that it is not.
UNDECIDED = "undecided: mixing may help or not"
_MEASURES = {
    CLASSES: ("error, %", "loss", "calibration error, %"),
    "multilabel": ("error, % of labels", "loss", "calibration error, %"),
    REGRESSION: ("RMSE, % of the targets' spread", "loss", "calibration error, %"),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One way of training: means over splits, and what it has more than no mixing has.

    error, loss, calibration: as the trial's `measures` say; calibration is NaN of a regression. differences: by
    measure; none for no mixing itself. verdict: of the error: "better", "worse", "no difference" (within half a
    point), "undecided"; "" for no mixing. steps: to the weights that were kept, on average. code: makes the layer.
    """

    name: str
    error: float
    loss: float
    calibration: float
    train_error: float
    steps: float
    differences: dict[str, Difference]
    verdict: str
    code: str


@dataclasses.dataclass(frozen=True)
class Trial:
    """Networks trained with and without mixing, compared; prints as a table.

    verdict: "mixing helps"; "none is better: don't mix", where each mix is worse or makes no difference; "undecided:
    mixing may help or not", where that is not shown of all; or "cannot say". reason: a sentence. findings: no mixing
    first. best: the name of the mix that is better by most, or None. code: a line that makes it, or a comment that
    is the verdict. task: "classes", "multilabel" or "regression". is_balanced: whether the error counts all rows
    alike, not all classes. splits, steps, rows: how much was trained. unseen: points of error that
    may hide in the rows tested. notes: what else must be known.
    """

    verdict: str
    reason: str
    findings: tuple[Finding, ...] = ()
    best: str | None = None
    code: str = f"# {CANNOT_SAY}"
    task: str = ""
    is_balanced: bool = True
    splits: int = 0
    steps: int = 0
    rows: int = 0
    seconds: float = 0.0
    unseen: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """What error, loss and calibration are."""
        error, *rest = _MEASURES.get(self.task, _MEASURES[CLASSES])
        return (error if self.is_balanced else f"balanced {error}", *rest)

    def rows_of_table(self) -> tuple[list[str], list[list[str]]]:
        """The head of a table, and a row for each way of training."""
        shown = self.measures[:2] if self.task == REGRESSION else self.measures
        head = ["", *shown, "difference (95 %)", "verdict"]
        return head, [[each.name, *_cells(each)[: len(shown)], *_cells(each)[3:]] for each in self.findings]

    def rows_of_differences(self) -> tuple[list[str], list[list[str]]]:
        """A table of what each mix has more than no mixing, of every measure; no rows where nothing was measured."""
        names = list(dict.fromkeys(name for each in self.findings for name in each.differences))
        head = ["more than no mixing", *self.measures[: len(names)]]
        mixes = [each for each in self.findings if each.differences]
        return head, [[each.name, *(interval(each.differences[name]) for name in names)] for each in mixes]

    def to_json(self) -> str:
        """All of it as JSON, of format 1; what is no number, such as calibration of a regression, is null."""
        made = {"format": FORMAT, **dataclasses.asdict(self), "measures": self.measures}
        for row, finding in zip(made["findings"], self.findings, strict=True):
            row["differences"] = {name: found._asdict() for name, found in finding.differences.items()}
        return json.dumps(_strict(made), indent=2, ensure_ascii=False, allow_nan=False)

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.reason}" if self.verdict == CANNOT_SAY else self.reason]
        if self.findings:
            lines += ["", table(*self.rows_of_table()), "", self.code]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def _cells(finding: Finding) -> list[str]:
    difference = finding.differences.get("error")
    told = "" if difference is None else interval(difference)
    return [*map(number, (finding.error, finding.loss, finding.calibration)), told, finding.verdict]


def interval(difference: Difference) -> str:
    """As "+1.2 (0.4 to 2.0)"."""
    sign = "+" if difference.mean > 0 else ""
    return f"{sign}{number(difference.mean)} ({number(difference.low)} to {number(difference.high)})"


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _strict(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
