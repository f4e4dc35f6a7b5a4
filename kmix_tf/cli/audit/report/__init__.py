"""The report as a plain dictionary: what report.json holds, and what the text and the page are made of.

Keys: `format` (2); `data`: name, kind, samples, measured, scanned (for features that never change), searched (for
equal samples with different labels), shape, classes, encoding, notes; `setting`: seed, max_samples, standardize,
alphas; `verdict`: level, reasons; `suggestion`: prepare, code, why, k, alpha, epsilon, rate, alternatives, notes;
`warnings`: about, text; `measures`, as the modules of `measuring` return them. Distances are in
the units of the data. Samples are named by their number in the dataset, from 0, or by their file. What could not be
measured is null, with a `reason` beside it; infinity is the string "infinity".
"""

import json
from typing import Any

from kmix_tf.cli.audit import advice
from kmix_tf.cli.audit.cautions import cautions
from kmix_tf.cli.audit.measuring import ALPHAS
from kmix_tf.cli.audit.reading.sample import Sample
from kmix_tf.cli.terminal import escaped

FORMAT = 2
# Keys of measures that hold rows of the sample.
_ROWS = {"first", "second", "sample"}


def build(sample: Sample, measures: dict[str, Any], setting: dict[str, Any]) -> dict[str, Any]:
    """The whole report."""
    standardized = setting["standardize"]
    judged = advice.verdict(measures)
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
    return {
        "format": FORMAT,
        "data": data,
        "setting": {**setting, "alphas": list(ALPHAS)},
        "verdict": judged,
        "suggestion": advice.suggestion(measures, judged["level"], len(sample.classes), standardized, sample.prepare),
        "warnings": cautions(sample, measures, standardized),
        "measures": _located(measures, sample),
    }


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
