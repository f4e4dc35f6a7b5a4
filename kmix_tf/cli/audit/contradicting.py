"""Samples to mend: equal ones with different labels, and near-duplicates across classes, by place or file."""

import csv
import io
from typing import Any

from kmix_tf.cli.reading.labels import is_number
from kmix_tf.cli.reading.sample import Sample

FILE = "report-contradictions.csv"
# What a formula begins with, some of it after spaces that spreadsheets pass over.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
HEAD = ("group", "kind", "sample", "label", "distance")


def contradicting(sample: Sample, closeness: dict[str, Any]) -> list[dict[str, Any]]:
    """Groups of samples that contradict one another: kind ("equal" or "near"), samples, labels, distance.

    Equal ones are those of all samples searched, near ones of those measured; each such sample is told with the
    nearest of another class. distance: 0 of equal ones, else in units of the data.
    """
    equal = zip(sample.contradictions, sample.contradiction_labels, strict=True)
    groups = [{"kind": "equal", "samples": places, "labels": labels, "distance": 0.0} for places, labels in equal]
    return groups + _near(sample, closeness["near_duplicates"])


def _near(sample: Sample, pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {place: number for number, group in enumerate(sample.contradictions) for place in group}
    found = []
    for pair in pairs:
        rows = (pair["first"], pair["second"])
        places = [sample.place(row) for row in rows]
        first, second = (known.get(place) for place in places)
        if first is None or first != second:
            labels = [sample.classes[sample.y[row]] for row in rows]
            found.append({"kind": "near", "samples": places, "labels": labels, "distance": pair["distance"]})
    return found


def table(groups: list[dict[str, Any]]) -> str:
    """CSV, a line a sample: the group's number from 1, kind, sample (from 0, or a file), label, distance.

    Names that begin as formulas do have an apostrophe in front.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEAD)
    for number, group in enumerate(groups, 1):
        for place, label in zip(group["samples"], group["labels"], strict=True):
            cells = [_no_formula(place), _no_formula(label)]
            writer.writerow([number, group["kind"], *cells, f"{group['distance']:.6g}"])
    return file.getvalue()


def _no_formula(cell: Any) -> Any:
    """A name that a spreadsheet would take for a formula and run, behind an apostrophe, which makes it text there."""
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULAS) and not is_number(cell)
    return f"'{cell}" if is_formula else cell


def described(groups: list[dict[str, Any]]) -> str | None:
    """How many there are, in a sentence; None for none."""
    counts = {kind: sum(len(g["samples"]) for g in groups if g["kind"] == kind) for kind in ("equal", "near")}
    words = {"equal": f"{counts['equal']:,} equal", "near": f"{counts['near']:,} nearly equal"}
    told = [words[kind] for kind in words if counts[kind]]
    return f"{' and '.join(told)} samples, in {FILE}" if told else None
