"""What the measures mean: a verdict, what to start with, and warnings, by the rules below and no others.

Verdict, the first that holds:

- "labels contradict one another": at least `COPIES` of the samples have an equal one of another class. Those cannot
  be asked what mixing does to their labels, and mixing cannot mend them.
- "mixup fails here": the label of at least `FAILS` of the samples asked is contradicted at an alpha up to 1, or of at
  least `FAILS_STRONG` at any alpha: a model that fits all mixtures is wrong on the training data.
- "mix locally / with care": at least `CARE` are contradicted at an alpha up to 1 or `CARE_STRONG` at any; or, at
  alpha 1, `CONFLICTS` more mixtures than unmixed samples have their nearest neighbour in a class not theirs.
- "mix locally / with care", too, where no sample could be asked for another reason.
- "safe".

Start with:

- alpha 1 where it is safe, 0.2 where mixup fails; else the largest alpha measured, up to 1, that by itself gives no
  cause for care, or 0.2.
- k: the largest up to 16, or 64 where care is due, whose matches still join different classes `KEPT` as often as
  random pairs do: beyond, labels are hardly mixed and little is regularised. Two groups are at most a quarter of
  the samples measured, for larger ones are nearly all of them. 1 if there is none.
- Where it is safe and k > 1, alpha_k, which perturbs as much as plain mixup at alpha, if it exists and is at most
  `LARGEST_ALPHA`; larger ones draw ratios near 1/2 only.
- epsilon and rate of Local Mixup are those of `kmix_tf.analysis.distance_profile`. Local Mixup comes first where it
  is not safe; by a threshold only if at least `LEAST_BATCH` of a batch is then still mixed.
"""

import re
from typing import Any

from kmix_tf.cli.audit.report.wording import number, percent

SAFE, CARE_DUE, FAILING = "safe", "mix locally / with care", "mixup fails here"
CONTRADICTORY = "labels contradict one another"

# What holds for the smaller half of the samples is no verdict on the data.
COPIES = 0.5

# A training error of 5 % that mixing alone causes is more than mixup usually gains in test error.
FAILS = 0.05
# Strong mixing is a choice, so more is needed; but a quarter of all labels shows classes that lie between others.
FAILS_STRONG = 0.25
# Of 150 samples asked, 2 % are three: fewer may be outliers.
CARE = 0.02
CARE_STRONG = 0.05
# Mixtures in conflict act as wrong labels: one in twenty more than the data have is about what noise robustly bears.
CONFLICTS = 0.05
KEPT = 0.25
LARGEST_K, LARGEST_K_WITH_CARE = 16, 64
LARGEST_ALPHA = 4.0
# Below, most of each step's work is thrown away.
LEAST_BATCH = 1 / 16


def verdict(measures: dict[str, Any]) -> dict[str, Any]:
    """level: one of the four. reasons: sentences with the numbers behind it."""
    reasons = [_of_contradictions(measures), _of_conflicts(measures), *_of_steepness(measures)]
    return {"level": _level(measures), "reasons": reasons}


def _level(measures: dict[str, Any]) -> str:
    if _copies(measures) >= COPIES:
        return CONTRADICTORY
    weak, strong = _worst(measures, 1.0), _worst(measures, float("inf"))
    if weak is None or strong is None:
        return CARE_DUE
    if weak >= FAILS or strong >= FAILS_STRONG:
        return FAILING
    if weak >= CARE or strong >= CARE_STRONG or _excess(measures, 1.0) >= CONFLICTS:
        return CARE_DUE
    return SAFE


def suggestion(
    measures: dict[str, Any], level: str, classes: int, standardized: bool, prepare: str | None = None
) -> dict[str, Any]:
    """prepare (a line before, that encodes labels, or None), k, alpha, epsilon, rate, `code` to copy, why,
    alternatives (code and why) and notes.
    """
    base = _base_alpha(measures, level)
    k, alpha = _k(measures, level), base
    row = next((row for row in measures["matching"]["by_k"] if row["k"] == k), None)
    matched = _row(row["alphas"], base)["alpha_k"] if row else None
    if level == SAFE and matched is not None and matched <= LARGEST_ALPHA:
        alpha = matched
    code = f"KMixupLayer({k}, alpha={alpha:.2g}, num_classes={classes})"
    plain, near = {"code": code, "why": _why_k(row, k, base, alpha)}, _local(measures["locality"], base, classes)
    ordered = [plain, *near] if level == SAFE else [*near, plain]
    return {
        "prepare": prepare,
        **ordered[0],
        "k": k,
        "alpha": float(f"{alpha:.2g}"),
        "epsilon": measures["locality"]["epsilon"],
        "rate": measures["locality"]["rate"],
        "alternatives": ordered[1:],
        "notes": _notes(ordered, level, standardized),
    }


def _notes(suggested: list[dict[str, str]], level: str, standardized: bool) -> list[str]:
    names = sorted({name for one in suggested for name in re.findall(r"\w+(?=\()", one["code"])})
    notes = {
        "Mend the labels first, and audit again: no way of mixing can.": level == CONTRADICTORY,
        f"Import {', '.join(names)} from kmix_tf, and map the layer over batches: dataset.batch(128).map(layer). "
        "Labels become soft, so train with CategoricalCrossentropy.": True,
        "Train without mixing, too, and compare.": level == FAILING,
        "Bring features to one scale before the layer, as the audit did; epsilon and rate need it.": standardized,
    }
    return [note for note, is_due in notes.items() if is_due]


def _local(found: dict[str, Any], alpha: float, classes: int) -> list[dict[str, str]]:
    """Local Mixup by a threshold and by a rate; none where samples of two classes coincide."""
    epsilon, size = found["epsilon"], found["batch_size"]
    if epsilon == 0:
        return []
    weights = {
        f"ThresholdWeight({epsilon:.4g})": f"mixes only pairs at most {number(epsilon)} apart, the median distance "
        f"to another class: {number(found['effective_batch'])} of a batch of {size}; the others stay unmixed",
        f"ExponentialWeight({found['rate']:.4g})": f"counts a mixture half whose ends are {number(epsilon)} apart, "
        "and less the farther they are apart",
    }
    if found["effective_batch"] < LEAST_BATCH * size:
        weights.pop(f"ThresholdWeight({epsilon:.4g})")
    layer = "LocalMixupLayer(alpha={:g}, weight={}, num_classes={})"
    return [{"code": layer.format(alpha, weight, classes), "why": why} for weight, why in weights.items()]


def _copies(measures: dict[str, Any]) -> float:
    """The share of samples with an equal one of another class, of all searched or of those about to be asked."""
    asked, scanned = measures["contradictions"], measures["copies"]
    return max(asked["copies"] / asked["samples"], scanned["found"] / scanned["searched"])


def _worst(measures: dict[str, Any], largest: float) -> float | None:
    """The largest share contradicted at any alpha up to `largest`; None if no sample could be asked."""
    rows = measures["contradictions"]["by_alpha"]
    shares = [row["share"] for row in rows if row["alpha"] <= largest and row["share"] is not None]
    return max(shares, default=None)


def _row(rows: list[dict[str, Any]], alpha: float) -> dict[str, Any]:
    return next(row for row in rows if row["alpha"] == alpha)


def _excess(measures: dict[str, Any], alpha: float) -> float:
    """By how much mixing raises the share whose nearest sample is of a foreign class."""
    share = _row(measures["conflicts"]["by_alpha"], alpha)["share"]
    return share - measures["closeness"]["nearest_is_other"]


def _base_alpha(measures: dict[str, Any], level: str) -> float:
    if level == SAFE:
        return 1.0
    if level in (FAILING, CONTRADICTORY):
        return measures["contradictions"]["by_alpha"][0]["alpha"]
    for row in reversed(measures["contradictions"]["by_alpha"]):
        alpha = row["alpha"]
        if alpha <= 1 and row["share"] is not None and row["share"] < CARE and _excess(measures, alpha) < CONFLICTS:
            return alpha
    return measures["contradictions"]["by_alpha"][0]["alpha"]


def _k(measures: dict[str, Any], level: str) -> int:
    rows = measures["matching"]["by_k"]
    largest = LARGEST_K if level == SAFE else LARGEST_K_WITH_CARE
    largest = min(largest, measures["closeness"]["samples"] // 8)
    fitting = [r["k"] for r in rows if r["k"] <= largest and r["cross_share"] >= KEPT * rows[0]["cross_share"]]
    return max(fitting, default=1)


def _why_k(row: dict[str, Any] | None, k: int, base: float, alpha: float) -> str:
    if k == 1 or row is None:
        return "plain mixup: no larger groups fit, or matching would leave labels unmixed"
    crossing = f"at k = {k}, {percent(row['cross_share'])} of matches still join different classes"
    if alpha != base:
        return f"{crossing}, and alpha = {alpha:.2g} perturbs as much as plain mixup at alpha = {base:g}"
    return crossing


def _of_contradictions(measures: dict[str, Any]) -> str:
    found = measures["contradictions"]
    copies = _copies(measures)
    equal = f"{percent(copies)} of the samples have an equal one with another label"
    if not found["asked"]:
        reason = f"{equal}. Mixing cannot mend that" if found["copies"] else found["by_alpha"][0]["reason"]
        return f"No sample could be asked whether mixing contradicts its label: {reason}."
    if not copies:
        return _asked(measures)
    return f"{equal}, which mixing cannot mend; only drawn samples without such a copy were asked. {_asked(measures)}"


def _asked(measures: dict[str, Any]) -> str:
    found = measures["contradictions"]
    if not _worst(measures, float("inf")):
        alphas = ", ".join(f"{row['alpha']:g}" for row in found["by_alpha"])
        return f"A model that fits all mixtures agrees with all {found['asked']} labels asked, at alpha = {alphas}."
    shares = [f"{percent(row['share'])} at alpha = {row['alpha']:g}" for row in found["by_alpha"]]
    joined = " and ".join([", ".join(shares[:-1]), shares[-1]])
    return f"Of the labels of {found['asked']} training samples, a model that fits all mixtures contradicts {joined}."


def _of_conflicts(measures: dict[str, Any]) -> str:
    found = _row(measures["conflicts"]["by_alpha"], 1.0)
    baseline = measures["closeness"]["nearest_is_other"]
    return (
        f"At alpha = 1, {percent(found['share'])} of mixtures lie nearest, their own two samples aside, to a sample "
        f"of a class that has no part in them; of the unmixed samples, {percent(baseline)} have their nearest "
        "neighbour in another class."
    )


def _of_steepness(measures: dict[str, Any]) -> list[str]:
    found = measures["steepness"]
    if found["full"] is None:
        return []
    return [
        f"A model right on all mixtures within classes must change by this much per unit of distance at least: "
        f"{number(found['vanilla'])} without mixing, {number(found['local'])} mixing only what is at most epsilon = "
        f"{number(found['epsilon'])} apart, {number(found['full'])} mixing all (of {found['samples']} samples)."
    ]
