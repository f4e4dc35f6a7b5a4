"""What the results say of defaults: the regret of each value, and what other data sets would have chosen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.questions import IMAGES, QUESTIONS, TABLES, TOYS, Question, Row
from kmix_tf.paired import Difference, Runs, number, paired_difference, table, verdict
from kmix_tf.paired.differences import FAILS, HOLDS

TITLE = "Do the defaults follow from the results?"
_HEAD = f"""# {TITLE}

Written by `kmix-tf reproduce` from the files beside it. Regret is the test error of a value less that of the best of
its row, training without mixing included, in points: the mean of paired differences over seeds with its 95 %
interval. The best is found by the same test data, so regret is a little too large.

A default is judged by data that had no part in choosing another: each data set is left out in turn, the others
choose the value with the least mean error (the mean over experiments, where a data set has several), and the gain is
by how much less error that value has on the set left out than today's default. Images and tables decide: a default
changes if the 95 % interval of the gain, over data sets, is above 0 there, and not below 0 on toys, which are drawn
to show what can happen. Four data sets are few, and test error is all that is asked: calibration and robustness are
on the pages of the experiments.
"""
GROUPS = {"images and tables": (IMAGES, TABLES), "toys": (TOYS,)}
STAYS, CHANGES = "stays", "change it"


class Left(NamedTuple):
    """A data set that was left out, what the others choose, and by how many points less error that has on it."""

    data: str
    choice: str
    gain: float


class Choice(NamedTuple):
    """Of a group of data sets: each left out, and the mean gain. Of fewer than two there is neither."""

    sets: int
    left: Sequence[Left] = ()
    gain: Difference | None = None

    @property
    def verdict(self) -> str:
        """As of a claim that the gain is more than nothing."""
        return verdict(self.gain) if self.gain else "one data set: nothing to choose by" if self.sets else "no data"


def regrets(row: Row, runs: Runs) -> dict[str, Difference]:
    """Of each value and of no mixing, under "no mixing"."""
    arms = {**({"no mixing": row.plain} if row.plain else {}), **row.arms}
    best = min(arms.values(), key=lambda arm: runs.mean(arm, "error"))
    return {
        value: paired_difference(runs.values(arm, "error"), runs.values(best, "error")) for value, arm in arms.items()
    }


def choice(question: Question, kinds: Sequence[str], results: Mapping[str, Runs]) -> Choice:
    """What each data set's others choose, and what that is worth on it."""
    errors = _errors(question, kinds, results)
    if len(errors) < 2:
        return Choice(len(errors))
    left = []
    for data in errors:
        others = [errors[each] for each in errors if each != data]
        # Today's comes first, so that it stays where nothing is better.
        options = sorted(question.options, key=lambda value: value != question.now)
        chosen = min(options, key=lambda value: round(float(np.mean([each[value] for each in others])), 9))
        left.append(Left(data, chosen, errors[data][question.now] - errors[data][chosen]))
    return Choice(len(errors), left, paired_difference([each.gain for each in left]))


def _errors(question: Question, kinds: Sequence[str], results: Mapping[str, Runs]) -> dict[str, dict[str, float]]:
    """By data set and option, the mean over experiments; of those in which all options were measured."""
    found: dict[str, list[dict[str, float]]] = {}
    for row in _rows(question, results):
        if row.kind in kinds and set(question.options) <= set(row.arms):
            runs = results[row.experiment]
            means = {value: float(runs.mean(row.arms[value], "error")) for value in question.options}
            found.setdefault(row.data, []).append(means)
    return {
        data: {value: float(np.mean([each[value] for each in rows])) for value in question.options}
        for data, rows in found.items()
    }


def _rows(question: Question, results: Mapping[str, Runs]) -> list[Row]:
    return [row for row in question.rows if row.experiment in results]


def decision(choices: Mapping[str, Choice]) -> str:
    """Whether a default changes, by the rule that the page begins with."""
    decides, toys = (choices[group].verdict for group in GROUPS)
    return CHANGES if decides == HOLDS and toys != FAILS else STAYS


def page(results: Mapping[str, Runs]) -> str:
    """The page, in Markdown; "" if nothing that is asked was measured."""
    asked = [question for question in QUESTIONS if _rows(question, results)]
    if not asked:
        return ""
    found = {
        question.title: {group: choice(question, kinds, results) for group, kinds in GROUPS.items()}
        for question in asked
    }
    head = ["default", "today", *(f"gain on {group}, points" for group in GROUPS), "so"]
    rows = [
        [question.title, question.now, *map(_gain, found[question.title].values()), decision(found[question.title])]
        for question in asked
    ]
    parts = [_HEAD.strip(), table(head, rows).replace("--:", "---")]
    for question in asked:
        parts += _section(question, found[question.title], results)
    return "\n\n".join(parts) + "\n"


def _gain(found: Choice) -> str:
    return f"{_interval(found.gain)}, {found.sets} sets: {found.verdict}" if found.gain else found.verdict


def _interval(found: Difference) -> str:
    if not found.low < found.high:
        return number(found.mean)
    return f"{number(found.mean)} ({number(found.low)} to {number(found.high)})"


def _section(question: Question, choices: Mapping[str, Choice], results: Mapping[str, Runs]) -> list[str]:
    parts = [f"## {question.title}", _regrets(question, results)]
    lines = [
        [group, each.data, each.choice, number(each.gain)] for group, found in choices.items() for each in found.left
    ]
    if lines:
        head = ["left out, of", "data", f"the others choose (today: {question.now})", "gain, points"]
        parts.append(table(head, lines).replace("--:", "---", 2))
    return parts + ([question.notes] if question.notes else [])


def _regrets(question: Question, results: Mapping[str, Runs]) -> str:
    rows = _rows(question, results)
    found = [regrets(row, results[row.experiment]) for row in rows]
    widest = max(rows, key=lambda row: len(row.arms)).arms
    values = [*dict.fromkeys([*widest, *(value for row in rows for value in row.arms)])]
    values = ["no mixing", *values] if any(row.plain for row in rows) else values
    lines = [
        [row.kind, f"[{row.data}, {row.setting}]({row.experiment}.md)", *(_cell(of_row.get(each)) for each in values)]
        for row, of_row in zip(rows, found, strict=True)
    ]
    for kind in dict.fromkeys(row.kind for row in rows):
        of_kind = [(row.data, each) for row, each in zip(rows, found, strict=True) if row.kind == kind]
        lines.append([kind, "mean of data sets", *(_mean(of_kind, value) for value in values)])
    return table(["kind", "data", *values], lines).replace("| --: |", "| --- |", 1)


def _cell(found: Difference | None) -> str:
    return "" if found is None else _interval(found)


def _mean(found: Iterable[tuple[str, Mapping[str, Difference]]], value: str) -> str:
    """Of a value's regrets, if every row has it; each data set counts once."""
    by_data: dict[str, list[float]] = {}
    for data, each in found:
        if value not in each:
            return ""
        by_data.setdefault(data, []).append(each[value].mean)
    return number(float(np.mean([np.mean(each) for each in by_data.values()])))
