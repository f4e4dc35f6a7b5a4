"""The report as a plain dictionary: what report.json holds, and what the text and the page are made of.

Keys: `format` (4); `data`: name, kind, samples, measured, scanned (for features that never change), searched (for
equal samples with different labels), shape, classes, encoding, notes; `setting`: seed, max_samples, standardize,
alpha, alphas, trial, minutes; `verdict`: as `judging.verdict` gives it, and reasons; `geometry`: the verdict of
geometry alone, as `geometry.verdict` gives it; `trial`: as `kmix_tf.trial.Trial.to_json`, or null; `suggestion`:
prepare, code, why, k, alpha, epsilon, rate, alternatives, notes; `warnings`: about, text; `contradicting`: as the
module of that name gives it; `measures`, as the modules of `measuring` return them. Distances are in the units of the
data. Samples are named by their number in the dataset, from 0, or by their file. What could not be measured is null,
with a `reason` beside it; infinity is the string "infinity".

Where targets are no classes, `data` has `task` and `target` in place of classes and what belongs to them, `geometry`
is null, `measures` is as `numbers.measure_numbers` gives it or null, and `suggestion` may be null. Where nothing
could be measured, the verdict is "cannot say", `data` holds the name only, `geometry`, `trial`, `suggestion` and
`measures` are null, and the lists are empty.
"""

import json
from typing import Any

from kmix_tf.cli.audit import advice, geometry, judging
from kmix_tf.cli.audit.cautions import cautions
from kmix_tf.cli.audit.contradicting import contradicting
from kmix_tf.cli.audit.reasons import of_numbers, reasons
from kmix_tf.cli.reading.rows import Rows
from kmix_tf.cli.reading.sample import Sample
from kmix_tf.cli.terminal import escaped
from kmix_tf.trial import Trial

FORMAT = 4
# Keys of measures that hold rows of the sample.
_ROWS = {"first", "second", "sample"}


def build(
    sample: Sample, measures: dict[str, Any], setting: dict[str, Any], trial: Trial | None = None
) -> dict[str, Any]:
    """The whole report of data with classes."""
    standardized, alpha = setting["standardize"], setting["alpha"]
    by_geometry = geometry.verdict(measures, alpha)
    judgement = judging.verdict(by_geometry, trial, alpha)
    suggested = advice.suggestion(measures, by_geometry, len(sample.classes), standardized, sample.prepare)
    data = {
        "name": sample.source.name,
        "kind": sample.source.kind,
        "samples": sample.total,
        "measured": len(sample.x),
        "scanned": sample.scanned,
        "searched": sample.searched,
        "shape": list(sample.x.shape[1:]),
        "classes": sample.classes,
        "encoding": {name: i for i, name in enumerate(sample.classes)} if sample.encoded else None,
        "notes": sample.notes,
    }
    alphas = [row["alpha"] for row in measures["contradictions"]["by_alpha"]]
    return {
        "format": FORMAT,
        "data": data,
        "setting": {**setting, "alphas": alphas},
        "verdict": {**judgement, "reasons": reasons(measures, alpha)},
        "geometry": by_geometry,
        "trial": _of_trial(trial),
        "suggestion": advice.after_trial(suggested, judgement, len(sample.classes)),
        "warnings": cautions(sample, measures, standardized, alpha),
        "contradicting": contradicting(sample, measures["closeness"]),
        "measures": _located(measures, sample),
    }


def build_unknown(name: str, reason: str, setting: dict[str, Any]) -> dict[str, Any]:
    """The report of data of which nothing could be measured, and why."""
    return {
        "format": FORMAT,
        "data": {"name": name},
        "setting": {**setting, "alphas": []},
        "verdict": {**geometry.unknown(reason, setting["alpha"]), "reasons": [reason]},
        "geometry": None,
        "trial": None,
        "suggestion": None,
        "warnings": [],
        "contradicting": [],
        "measures": None,
    }


def build_numbers(
    rows: Rows, task: str, measures: dict[str, Any] | None, setting: dict[str, Any], trial: Trial | None
) -> dict[str, Any]:
    """The report of data whose targets are numbers, or several labels each."""
    alpha = setting["alpha"]
    judgement = judging.verdict(None, trial, alpha)
    data = {
        "name": rows.source.name,
        "kind": rows.source.kind,
        "samples": rows.total,
        "measured": len(rows.x),
        "shape": list(rows.x.shape[1:]),
        "task": task,
        "target": rows.source.target,
        "notes": rows.notes,
    }
    return {
        "format": FORMAT,
        "data": data,
        "setting": {**setting, "alphas": [row["alpha"] for row in measures["by_alpha"]] if measures else []},
        "verdict": {**judgement, "reasons": of_numbers(measures, alpha)},
        "geometry": None,
        "trial": _of_trial(trial),
        "suggestion": advice.of_numbers(judgement),
        "warnings": [],
        "contradicting": [],
        "measures": measures,
    }


def _of_trial(trial: Trial | None) -> dict[str, Any] | None:
    return None if trial is None else json.loads(trial.to_json())


def _located(value: Any, sample: Sample, key: str = "") -> Any:
    """Measures with places in the dataset for rows of the sample."""
    if isinstance(value, dict):
        return {name: _located(part, sample, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_located(part, sample, "first" if key == "examples" else "") for part in value]
    if key in _ROWS and isinstance(value, int):
        return sample.place(value)
    return value


def strict_json(value: Any, ascii_only: bool = False) -> str:
    """JSON that every reader takes: no NaN, and infinities as the strings "infinity" and "-infinity".

    Control characters are escaped, so that a terminal may show it.

    Raises:
        ValueError: for NaN. What could not be measured is None in a report, with its reason beside it.
    """

    def worded(constant: str) -> str:
        if constant == "NaN":
            raise ValueError("audit: a measure is NaN.")
        return constant.lower()

    plain = json.loads(json.dumps(value, default=lambda part: part.tolist()), parse_constant=worded)
    return escaped(json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=ascii_only))
