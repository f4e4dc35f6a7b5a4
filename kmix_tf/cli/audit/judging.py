"""The verdict: what a trial says, and what geometry says where there was no trial; by the rules below and no others.

The trial trains a small network with and without mixup at the alpha asked for, in repeated splits. The 95 % interval
of the difference in test error decides, first rule first:

- "mixup fails": it lies above 0, and mixing contradicts training labels, as geometry's rule of that name says.
- "mixup hurts": it lies above 0. "mixup helps": it lies below 0.
- "makes no difference": it lies within half a point of 0.
- "cannot say": none of them, or no trial could be made of these data.

The probability of a verdict is that of `kmix_tf.trial.outlook`: of what a larger network would find.
"""

from typing import Any

from kmix_tf.cli.audit import geometry
from kmix_tf.cli.audit.trying import MIXUP
from kmix_tf.cli.audit.wording import chance_of, points_of
from kmix_tf.paired import Difference
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import Finding
from kmix_tf.trial.intervals import BETTER, SAME, WITHIN, WORSE
from kmix_tf.trial.outlook import Outlook, outlook

HELPS, HURTS, FAILS = "mixup helps", "mixup hurts", "mixup fails"
NO_DIFFERENCE, UNKNOWN = "makes no difference", geometry.UNKNOWN
# What geometry would have mixing do, by its words.
_WARNS = {geometry.FAILING, geometry.CARE_DUE}

_TO_DO = {
    HELPS: "Mix, by the line of code that was tried; kmix-tf compare tells whether another mix does better",
    HURTS: "Do not mix at this alpha; kmix-tf compare tells whether a gentler mix does better than none",
    FAILS: "Do not mix at this alpha; kmix-tf compare tells whether a mix of near samples does better than none",
    NO_DIFFERENCE: "Leave it out, unless you mix for calibration, which kmix-tf compare measures",
    UNKNOWN: "Give a trial more time: kmix-tf compare with more --minutes, or --minutes here",
}
_WORDS = {
    HELPS: "the difference in error below 0",
    HURTS: "the difference in error above 0",
    FAILS: "the difference in error above 0, and labels contradicted",
    NO_DIFFERENCE: f"the difference in error within {WITHIN:g} points",
    UNKNOWN: "the difference in error neither above nor below 0 nor near it",
}
_WHY_OTHERWISE = {
    (
        HELPS,
        True,
    ): "the network does not fit mixtures so closely that it is led astray at the samples themselves, and "
    "gains elsewhere",
    (NO_DIFFERENCE, True): "the network does not fit mixtures so closely that it is led astray at the samples "
    "themselves",
    (HURTS, False): "no training label is harmed, but between samples the right label is none that mixing teaches, "
    "which geometry does not see",
}


def verdict(by_geometry: dict[str, Any] | None, trial: Trial | None, alpha: float) -> dict[str, Any]:
    """What is said of mixing at an alpha.

    Args:
        by_geometry: `geometry.verdict` at that alpha; None where targets are no classes. trial: None if there was
            none.

    Returns:
        level, alpha, by ("trial" or "geometry"), probability (of the level, or None), outlook (lower, higher, within:
        of the larger network's error; or None), rule (name, number, low, high, threshold, words; or None), why,
        would_change, to_do, remarks.
    """
    if trial is None:
        return _without_trial(by_geometry, alpha)
    if not trial.findings:
        return _untried(by_geometry, trial, alpha)
    mixup = trial.findings[1]
    difference = mixup.differences["error"]
    level = _level(mixup.verdict, by_geometry)
    expected = outlook(difference)
    return {
        "level": level,
        "alpha": alpha,
        "by": "trial",
        "probability": _probability(level, expected),
        "outlook": None if expected is None else expected._asdict(),
        "rule": _rule(level, difference),
        "why": _why(level, trial, mixup, expected),
        "would_change": _would_change(level, difference, trial),
        "to_do": _TO_DO[level],
        "remarks": [*_disagreement(level, by_geometry), *(by_geometry or {"remarks": []})["remarks"]],
    }


def _without_trial(by_geometry: dict[str, Any] | None, alpha: float) -> dict[str, Any]:
    return by_geometry or geometry.unknown("Without a trial nothing is said of targets that are no classes", alpha)


def _untried(by_geometry: dict[str, Any] | None, trial: Trial, alpha: float) -> dict[str, Any]:
    """No trial could be made: geometry alone decides nothing."""
    remarks = [] if by_geometry is None else [f"Geometry says {by_geometry['level']!r}: {by_geometry['why']}"]
    return {**geometry.unknown(trial.reason, alpha), "by": "trial", "remarks": remarks}


def _level(found: str, by_geometry: dict[str, Any] | None) -> str:
    if found == WORSE and by_geometry is not None and by_geometry["level"] == geometry.FAILING:
        return FAILS
    return {BETTER: HELPS, WORSE: HURTS, SAME: NO_DIFFERENCE}.get(found, UNKNOWN)


def _probability(level: str, expected: Outlook | None) -> float | None:
    if expected is None or level == UNKNOWN:
        return None
    of = {HELPS: expected.lower, HURTS: expected.higher, FAILS: expected.higher, NO_DIFFERENCE: expected.within}
    return of[level]


def _rule(level: str, difference: Difference) -> dict[str, Any]:
    told = {"name": "difference in test error", "number": difference.mean, "low": difference.low}
    threshold = WITHIN if level == NO_DIFFERENCE else 0.0
    return {**told, "high": difference.high, "threshold": threshold, "words": _WORDS[level]}


def _why(level: str, trial: Trial, mixup: Finding, expected: Outlook | None) -> str:
    plain, difference = trial.findings[0], mixup.differences["error"]
    sign = "+" if difference.mean > 0 else ""
    told = (
        f"In {trial.splits} splits a small network has {_error(trial)} {points_of(plain.error)} % without mixing and "
        f"{points_of(mixup.error)} % with {MIXUP}: {sign}{points_of(difference.mean)} points "
        f"({points_of(difference.low)} to {points_of(difference.high)})"
    )
    if level != UNKNOWN or expected is None:
        return told
    side, chance = ("higher", expected.higher) if expected.higher >= 0.5 else ("lower", expected.lower)
    return f"{told}; that a larger one's is {side} with {MIXUP} has a probability of {chance_of(chance)}"


def _error(trial: Trial) -> str:
    """As "error" or "RMSE"; of the trial's first measure, without its unit."""
    return trial.measures[0].partition(",")[0]


def _would_change(level: str, difference: Difference, trial: Trial) -> str:
    reach = f"the interval, now {points_of(difference.low)} to {points_of(difference.high)} points,"
    if level == UNKNOWN:
        return (
            f"It would be a verdict if {reach} were above 0, below 0, or within {WITHIN:g} of it: more time, or rows"
        )
    if level == NO_DIFFERENCE:
        return f"If {reach} reached beyond {WITHIN:g} on either side"
    return f"If {reach} contained 0"


def _disagreement(level: str, by_geometry: dict[str, Any] | None) -> list[str]:
    """Where geometry expects otherwise than the trial finds, and why that may be."""
    if by_geometry is None:
        return []
    warns = by_geometry["level"] in _WARNS
    reason = _WHY_OTHERWISE.get((HURTS if level == FAILS else level, warns))
    if reason is None or by_geometry["level"] not in (*_WARNS, geometry.SAFE):
        return []
    return [f"Geometry alone says {by_geometry['level']!r}: {reason}"]
