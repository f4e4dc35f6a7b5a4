"""The verdict: what a trial says, and what geometry says where there was no trial; by the rules below and no others.

The trial trains a small network with and without mixup at the alpha asked for, in repeated splits. What it finds
gives the probabilities of `kmix_tf.trial.outlook`, and those decide, first rule first:

- "mixup fails": that the error is higher has `RAISES`, and mixing contradicts training labels, as geometry's rule of
  that name says.
- "mixup hurts": that it is higher has `RAISES`.
- "mixup helps": that it is lower has `LOWERS`, which is where the 95 % interval of the difference ends below 0.
- "makes no difference": that the two are within half a point has `STAYS`.
- "cannot say": none of them, or no trial could be made of these data.
"""

from typing import Any

from kmix_tf.cli.audit import geometry
from kmix_tf.cli.audit.trying import MIXUP
from kmix_tf.cli.audit.wording import chance_of, points_of
from kmix_tf.paired import Difference
from kmix_tf.trial import Trial
from kmix_tf.trial.findings import Finding
from kmix_tf.trial.intervals import WITHIN
from kmix_tf.trial.outlook import Outlook, outlook

HELPS, HURTS, FAILS = "mixup helps", "mixup hurts", "mixup fails"
NO_DIFFERENCE, UNKNOWN = "makes no difference", geometry.UNKNOWN
# As benchmarks/verdicts.md has them, fitted to all of its sets. That mixing helps was found too seldom to ask for
# less than the usual 95 %, two-sided; and wrongly said, it costs points, where a wrong "hurts" costs a chance.
RAISES, LOWERS, STAYS = 0.8, 0.975, 0.8
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
    HELPS: ("lower", LOWERS, "that the error is lower with mixup"),
    HURTS: ("higher", RAISES, "that the error is higher with mixup"),
    FAILS: ("higher", RAISES, "that the error is higher with mixup, which contradicts training labels"),
    NO_DIFFERENCE: ("within", STAYS, f"that errors with and without mixup are within {WITHIN:g} points"),
}
_WHY_OTHERWISE = {
    (
        HELPS,
        True,
    ): "the network does not fit mixtures so closely that it is led astray at the samples themselves, and "
    "gains elsewhere",
    (NO_DIFFERENCE, True): "the network does not fit mixtures so closely that it is led astray at the samples "
    "themselves",
    (HURTS, False): "no training label is harmed, but between samples the right label is not the one that mixing "
    "teaches, which geometry does not see",
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
    expected = outlook(difference, trial.unseen)
    level = _level(expected, by_geometry)
    return {
        "level": level,
        "alpha": alpha,
        "by": "trial",
        "probability": None if level == UNKNOWN else getattr(expected, _WORDS[level][0]),
        "outlook": None if expected is None else expected._asdict(),
        "rule": _rule(level, expected, difference),
        "why": _why(trial, mixup),
        "would_change": _would_change(level, expected, difference),
        "to_do": _TO_DO[level],
        "remarks": [*_disagreement(level, by_geometry), *(by_geometry or {"remarks": []})["remarks"]],
    }


def _without_trial(by_geometry: dict[str, Any] | None, alpha: float) -> dict[str, Any]:
    return by_geometry or geometry.unknown("Without a trial nothing is said of targets that are no classes", alpha)


def _untried(by_geometry: dict[str, Any] | None, trial: Trial, alpha: float) -> dict[str, Any]:
    """No trial could be made: geometry alone decides nothing."""
    remarks = [] if by_geometry is None else [f"Geometry says {by_geometry['level']!r}: {by_geometry['why']}"]
    return {**geometry.unknown(trial.reason, alpha), "by": "trial", "remarks": remarks}


def _level(expected: Outlook | None, by_geometry: dict[str, Any] | None) -> str:
    if expected is None:
        return UNKNOWN
    if expected.higher >= RAISES:
        return FAILS if by_geometry is not None and by_geometry["level"] == geometry.FAILING else HURTS
    if expected.lower >= LOWERS:
        return HELPS
    return NO_DIFFERENCE if expected.within >= STAYS else UNKNOWN


def _rule(level: str, expected: Outlook | None, difference: Difference) -> dict[str, Any] | None:
    """The rule that held; where none did, the one that was nearest to it."""
    if expected is None:
        return None
    nearest = max(_WORDS, key=lambda other: getattr(expected, _WORDS[other][0]) / _WORDS[other][1])
    side, threshold, words = _WORDS[nearest if level == UNKNOWN else level]
    told = {"name": "probability of a trial", "number": getattr(expected, side), "threshold": threshold}
    return {**told, "words": words, "difference": difference.mean, "low": difference.low, "high": difference.high}


def _why(trial: Trial, mixup: Finding) -> str:
    plain, difference = trial.findings[0], mixup.differences["error"]
    sign = "+" if difference.mean > 0 else ""
    return (
        f"In {trial.splits} splits a small network has {_error(trial)} {points_of(plain.error)} % without mixing and "
        f"{points_of(mixup.error)} % with {MIXUP}: {sign}{points_of(difference.mean)} points "
        f"({points_of(difference.low)} to {points_of(difference.high)})"
    )


def _error(trial: Trial) -> str:
    """As "error" or "RMSE"; of the trial's first measure, without its unit."""
    return trial.measures[0].partition(",")[0]


def _would_change(level: str, expected: Outlook | None, difference: Difference) -> str:
    if expected is None:
        return "It would be a verdict with more splits than one"
    if level == UNKNOWN:
        return (
            f"Probabilities are too small: {chance_of(expected.higher)} that mixup raises the error ({RAISES:g} is "
            f"needed), {chance_of(expected.lower)} that it lowers it ({LOWERS:g}), {chance_of(expected.within)} that "
            f"it is within {WITHIN:g} points ({STAYS:g})"
        )
    _, threshold, words = _WORDS[level]
    return f"If the probability {words} were below {threshold:g}, it would be {UNKNOWN!r}"


def _disagreement(level: str, by_geometry: dict[str, Any] | None) -> list[str]:
    """Where geometry expects otherwise than the trial finds, and why that may be."""
    if by_geometry is None:
        return []
    warns = by_geometry["level"] in _WARNS
    reason = _WHY_OTHERWISE.get((HURTS if level == FAILS else level, warns))
    if reason is None or by_geometry["level"] not in (*_WARNS, geometry.SAFE):
        return []
    return [f"Geometry alone says {by_geometry['level']!r}: {reason}"]
