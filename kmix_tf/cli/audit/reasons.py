"""Sentences with the numbers behind a verdict."""

from typing import Any

from kmix_tf.cli.audit.geometry import copies, row_at
from kmix_tf.cli.audit.wording import number, percent, points


def reasons(measures: dict[str, Any], alpha: float) -> list[str]:
    """What was found of contradicted labels, at all alphas, and of conflicts, at the alpha asked for."""
    return [_of_contradictions(measures), _of_conflicts(row_at(measures["conflicts"]["by_alpha"], alpha))]


def _of_contradictions(measures: dict[str, Any]) -> str:
    found, share = measures["contradictions"], copies(measures)
    equal = f"{percent(share)} of the samples have an equal one with another label"
    if not found["asked"]:
        reason = f"{equal}. Mixing cannot mend that" if found["copies"] else found["by_alpha"][0]["reason"]
        return f"No sample could be asked whether mixing contradicts its label: {reason}."
    if not share:
        return _asked(found)
    return f"{equal}, which mixing cannot mend; only drawn samples without such a copy were asked. {_asked(found)}"


def _asked(found: dict[str, Any]) -> str:
    if not any(row["share"] for row in found["by_alpha"]):
        alphas = ", ".join(f"{row['alpha']:g}" for row in found["by_alpha"])
        return f"A model that fits all mixtures agrees with all {found['asked']} labels asked, at alpha = {alphas}."
    shares = [f"{percent(row['share'])} at alpha = {row['alpha']:g}" for row in found["by_alpha"]]
    joined = " and ".join([", ".join(shares[:-1]), shares[-1]])
    return f"Of the labels of {found['asked']} training samples, a model that fits all mixtures contradicts {joined}."


def _of_conflicts(found: dict[str, Any]) -> str:
    return (
        f"At alpha = {found['alpha']:g}, {percent(found['share'])} of mixtures lie nearest, their own two samples "
        f"aside, to a sample of a class that has no part in them; of the same samples unmixed, "
        f"{percent(found['baseline'])} do. So mixing adds {points(found['excess'])} (95 % "
        f"interval {points(found['excess_low'])} to {points(found['excess_high'])})."
    )


def steepness(measures: dict[str, Any]) -> str | None:
    """How steep a model must be, in slopes of a typical sample to the nearest of another class; None if unknown."""
    found = measures["steepness"]
    relative = found["relative"]
    if relative is None:
        return None
    return (
        f"How steep must a model be that is right on all mixtures within classes? In slopes between a sample and its "
        f"nearest of another class, {number(found['unit_slope'])} per unit of distance in the median: "
        f"{number(relative['vanilla'])} without mixing, {number(relative['local'])} mixing only what is at most "
        f"epsilon = {number(found['epsilon'])} apart, {number(relative['full'])} mixing all (of {found['samples']} "
        "samples)."
    )


def of_numbers(measures: dict[str, Any] | None, alpha: float) -> list[str]:
    """What was found of targets that are numbers, at the alpha asked for; nothing of several labels."""
    if measures is None:
        return []
    row = row_at(measures["by_alpha"], alpha)
    apart, unmixed, added, low, high = (
        number(row[name]) for name in ("distance", "baseline", "excess", "low", "high")
    )
    return [
        f"At alpha = {alpha:g}, labels of mixtures are {apart} spreads of the target away from those of the nearest "
        f"samples; labels of the same samples unmixed {unmixed}. What mixing adds, {added} ({low} to {high}), is how "
        "much the target bends between samples."
    ]
