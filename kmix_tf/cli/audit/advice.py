"""What to start with, by the rules below and no others.

- alpha: the one asked for where it is safe; the smallest measured where mixup fails; else the largest measured, up to
  the one asked for, at which it is safe, or the smallest.
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

from kmix_tf.cli.audit.geometry import CONTRADICTORY, FAILING, SAFE, judged, row_at
from kmix_tf.cli.audit.judging import FAILS, HELPS, HURTS, NO_DIFFERENCE
from kmix_tf.cli.audit.trying import code_of
from kmix_tf.cli.audit.wording import number, percent

KEPT = 0.25
LARGEST_K, LARGEST_K_WITH_CARE = 16, 64
LARGEST_ALPHA = 4.0
# Below, most of each step's work is thrown away.
LEAST_BATCH = 1 / 16


def suggestion(
    measures: dict[str, Any],
    judgement: dict[str, Any],
    classes: int,
    standardized: bool,
    prepare: str | None = None,
) -> dict[str, Any]:
    """prepare (a line before, that encodes labels, or None), k, alpha, epsilon, rate, `code` to copy, why,
    alternatives (code and why) and notes; for the verdict of `geometry.verdict`.
    """
    level = judgement["level"]
    base = _base_alpha(measures, level, judgement["alpha"])
    k, alpha = _k(measures, level), base
    row = next((row for row in measures["matching"]["by_k"] if row["k"] == k), None)
    matched = row_at(row["alphas"], base)["alpha_k"] if row else None
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
        "notes": _notes(ordered, standardized),
    }


def after_trial(suggested: dict[str, Any], judgement: dict[str, Any], classes: int) -> dict[str, Any]:
    """What geometry suggests, behind what was tried; unchanged where the trial does not tell.

    Args:
        suggested: of `suggestion`. judgement: of `judging.verdict`.
    """
    first = _first(judgement, classes)
    if first is None:
        return suggested
    rest = [{name: suggested[name] for name in ("code", "why")}, *suggested["alternatives"]]
    rest = [one for one in rest if one["code"] != first["code"]]
    return {**suggested, **first, "alternatives": rest}


def of_numbers(judgement: dict[str, Any]) -> dict[str, Any] | None:
    """The same where targets are no classes; None where the trial does not tell."""
    first = _first(judgement, None)
    return None if first is None else {"prepare": None, **first, "alternatives": [], "notes": []}


def _first(judgement: dict[str, Any], classes: int | None) -> dict[str, str] | None:
    level, alpha = judgement["level"], judgement["alpha"]
    if level == HELPS:
        return {"code": code_of(alpha, classes), "why": "this was tried; what follows was not"}
    if level in (HURTS, FAILS, NO_DIFFERENCE):
        return {"code": "# train without mixing", "why": f"at alpha = {alpha:g}; what follows was not tried"}
    return None


def _notes(suggested: list[dict[str, str]], standardized: bool) -> list[str]:
    names = sorted({name for one in suggested for name in re.findall(r"\w+(?=\()", one["code"])})
    notes = {
        f"Import {', '.join(names)} from kmix_tf, and map the layer over batches: dataset.batch(128).map(layer). "
        "Labels become soft, so train with CategoricalCrossentropy.": True,
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


def _base_alpha(measures: dict[str, Any], level: str, alpha: float) -> float:
    if level == SAFE:
        return alpha
    alphas = sorted(row["alpha"] for row in measures["contradictions"]["by_alpha"])
    if level in (FAILING, CONTRADICTORY):
        return alphas[0]
    fitting = [other for other in alphas if other <= alpha and judged(measures, other)[0] == SAFE]
    return max(fitting, default=alphas[0])


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
