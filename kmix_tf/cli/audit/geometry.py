"""What geometry says of mixing at the alpha asked for, by the rules below and no others.

The first rule that holds decides. Each compares a number with its threshold, from which on it holds:

- "labels contradict one another": the share of samples that have an equal one of another class, `COPIES`. Those
  cannot be asked what mixing does to their labels, and mixing cannot mend them.
- "mixup fails here": the share of the samples asked whose label is contradicted, `FAILS`: a model that fits all
  mixtures is wrong on the training data.
- "mix locally / with care": the same share, `CARE`; or by how much more often mixtures have their nearest sample in a
  class not theirs than the samples they are made of have unmixed, `CONFLICTS`.
- "safe": none of them.

"cannot say" stands where no sample could be asked for another reason than copies, or there is nothing to measure.
What other alphas would do is told as a remark, and decides nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kmix_tf.cli.audit.wording import percent, points

SAFE, CARE_DUE, FAILING = "safe", "mix locally / with care", "mixup fails here"
CONTRADICTORY, UNKNOWN = "labels contradict one another", "cannot say"

# What holds for the smaller half of the samples is no verdict on the data.
COPIES = 0.5
# A training error of 5 % that mixing alone causes is more than mixup usually gains in test error.
FAILS = 0.05
# Of 150 samples asked, 2 % are three: fewer may be outliers.
CARE = 0.02
# Mixtures in conflict act as wrong labels: one in twenty more than the data have is about what noise robustly bears.
CONFLICTS = 0.05

_TO_DO = {
    SAFE: "Start with the line of code. That labels are not harmed is no promise of a lower error: kmix-tf compare "
    "trains with and without mixing",
    CARE_DUE: "Mix near samples only, or with a smaller alpha, as the line of code does; kmix-tf compare trains with "
    "and without mixing",
    FAILING: "Do not mix at this alpha. If at all, mix near samples only, as the line of code does, and keep it only "
    "where it beats training without mixing",
    CONTRADICTORY: "Mend the labels first, and audit again: the rows are in report-contradictions.csv",
}


# What only a trial can say is None.
_BY = {"by": "geometry", "probability": None, "outlook": None}


class Rule(NamedTuple):
    """level: the verdict, from `threshold` on. number: of the measures at an alpha, or None. words: what it is.

    shown: the number in words.
    """

    name: str
    level: str
    threshold: float
    words: str
    number: Callable[[dict[str, Any], float], float | None]
    shown: Callable[[float], str] = percent


def row_at(rows: list[dict[str, Any]], alpha: float) -> dict[str, Any]:
    """The row of an alpha that was measured."""
    return next(row for row in rows if row["alpha"] == alpha)


def copies(measures: dict[str, Any], alpha: float = 0.0) -> float:
    """The share of samples with an equal one of another class, of all searched or of those about to be asked."""
    asked, scanned = measures["contradictions"], measures["copies"]
    return max(asked["copies"] / asked["samples"], scanned["found"] / scanned["searched"])


def contradicted(measures: dict[str, Any], alpha: float) -> float | None:
    """The share of labels contradicted; None if no sample could be asked."""
    return row_at(measures["contradictions"]["by_alpha"], alpha)["share"]


def excess(measures: dict[str, Any], alpha: float) -> float:
    """By how much mixing raises the share whose nearest sample is of a foreign class."""
    return row_at(measures["conflicts"]["by_alpha"], alpha)["excess"]


_COPIED = "of the samples have an equal one of another class"
_CONTRADICTED = "of the training labels asked are contradicted by a model that fits all mixtures"
_IN_CONFLICT = "more of the mixtures than of the same samples unmixed lie nearest to a class that has no part in them"

RULES = (
    Rule("equal samples", CONTRADICTORY, COPIES, _COPIED, copies),
    Rule("labels contradicted", FAILING, FAILS, _CONTRADICTED, contradicted),
    Rule("labels contradicted", CARE_DUE, CARE, _CONTRADICTED, contradicted),
    Rule("mixtures in conflict", CARE_DUE, CONFLICTS, _IN_CONFLICT, excess, points),
)


def verdict(measures: dict[str, Any], alpha: float) -> dict[str, Any]:
    """What is said of mixing at an alpha that was measured.

    Returns:
        level: one of the five. alpha. by, probability, outlook: "geometry", None and None, see `judging`. rule: the
        one that held or, where it is safe, the one nearest to: name, number, threshold, words; None if it cannot be
        said. why, would_change, to_do: sentences. remarks: of other alphas.
    """
    level, rule = judged(measures, alpha)
    if level == UNKNOWN:
        return unknown(_unasked(measures), alpha)
    rule = rule or _nearest(measures, alpha)
    number = _number(rule, measures, alpha)
    return {
        "level": level,
        "alpha": alpha,
        **_BY,
        "rule": {"name": rule.name, "number": number, "threshold": rule.threshold, "words": rule.words},
        "why": _why(rule, number, level),
        "would_change": _would_change(rule, measures, alpha, level),
        "to_do": _TO_DO[level],
        "remarks": list(_remarks(measures, alpha, level)),
    }


def unknown(reason: str, alpha: float) -> dict[str, Any]:
    """The verdict "cannot say", of the same keys; rule is None and would_change empty."""
    told = {"level": UNKNOWN, "alpha": alpha, **_BY, "rule": None, "why": reason, "would_change": ""}
    return {**told, "to_do": "Bring data that can be measured, and audit again", "remarks": []}


def judged(measures: dict[str, Any], alpha: float, without: tuple[Rule, ...] = ()) -> tuple[str, Rule | None]:
    """The level at an alpha and the rule that holds, if there is one; `without` these rules."""
    if copies(measures) < COPIES and contradicted(measures, alpha) is None:
        return UNKNOWN, None
    for rule in RULES:
        if rule not in without and _number(rule, measures, alpha) >= rule.threshold:
            return rule.level, rule
    return SAFE, None


def _number(rule: Rule, measures: dict[str, Any], alpha: float) -> float:
    return rule.number(measures, alpha) or 0.0


def _nearest(measures: dict[str, Any], alpha: float) -> Rule:
    """Of the rules about mixing, none of which holds, the one that is nearest to it; of equals, the one for less."""
    return max(reversed(RULES[1:]), key=lambda rule: _number(rule, measures, alpha) / rule.threshold)


def _why(rule: Rule, number: float, level: str) -> str:
    if level == SAFE:
        none = "No" if rule.words.startswith("more") else "None"
        amount = f"Only {rule.shown(number)}" if number > 0 else none
        return f"{amount} {rule.words}; {rule.level!r} holds from {rule.shown(rule.threshold)}"
    return f"{rule.shown(number)} {rule.words}; {level!r} holds from {rule.shown(rule.threshold)}"


def _would_change(rule: Rule, measures: dict[str, Any], alpha: float, level: str) -> str:
    """Where the threshold is, and the nearest alpha measured at which the verdict is another."""
    if level == SAFE:
        told = f"{rule.shown(rule.threshold)} or more would make it {rule.level!r}"
    else:
        without = tuple(other for other in RULES if other.name == rule.name and other.threshold >= rule.threshold)
        told = f"Below {rule.shown(rule.threshold)} it would be {judged(measures, alpha, without)[0]!r}"
    others = [other for other in _weaker_first(measures) if other < alpha and judged(measures, other)[0] != level]
    if level in (SAFE, CONTRADICTORY) or not others:
        return told
    return f"{told}; at alpha = {others[-1]:g} it is {judged(measures, others[-1])[0]!r}"


def _weaker_first(measures: dict[str, Any]) -> list[float]:
    return sorted(row["alpha"] for row in measures["contradictions"]["by_alpha"])


def _remarks(measures: dict[str, Any], alpha: float, level: str) -> Iterator[str]:
    """Where mixing more strongly than asked for would be judged otherwise."""
    for other in _weaker_first(measures):
        found, rule = judged(measures, other)
        if other > alpha and rule is not None and found != level:
            number = rule.shown(_number(rule, measures, other))
            words = {FAILING: "it would fail", CARE_DUE: "care would be due"}.get(found, f"it would be {found!r}")
            yield f"At alpha = {other:g} {words}: {rule.name} {number}, limit {rule.shown(rule.threshold)}"


def _unasked(measures: dict[str, Any]) -> str:
    reason = measures["contradictions"]["by_alpha"][0]["reason"]
    return f"No sample could be asked whether mixing contradicts its label: {reason}"
