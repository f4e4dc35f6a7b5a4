"""What a terminal shows, and what programs read."""

import json

import numpy as np
import pytest

from kmix_tf.cli.audit.report import build, build_unknown, strict_json
from kmix_tf.cli.audit.report.text import report_text
from kmix_tf.cli.audit.wording import by_alpha, by_k, described
from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import written


def report_of(**changes):
    """A report of few measures, to be shown."""
    rows = [
        {"k": k, "cross_share": 0.5 / k, "least_share": 0.25 / k, "distance": 1234.5 / k}
        | {"alphas": [{"alpha": 0.2, "alpha_k": 0.2 * k}, {"alpha": 1.0, "alpha_k": 1.0 if k == 1 else None}]}
        | {"standard_error": 0.0125 * (k - 1)}
        for k in (1, 2)
    ]
    report = {
        "data": {
            "name": "d.npz",
            "samples": 2000,
            "measured": 500,
            "shape": [8, 8],
            "classes": ["a", "b"],
            "encoding": {"a": 0, "b": 1},
            "notes": [],
        },
        "setting": {"seed": 7, "standardize": False},
        "verdict": {
            "level": "safe",
            "alpha": 1.0,
            "by": "geometry",
            "probability": None,
            "outlook": None,
            "why": "One reason. " * 12,
            "would_change": "what would",
            "to_do": "this is to be done",
            "remarks": ["at alpha = 32 it would fail"],
        },
        "geometry": None,
        "trial": None,
        "suggestion": {
            "prepare": "y = numbers(y)",
            "code": f"KMixupLayer(16, alpha=1, num_classes={'9' * 90})",
            "why": "this is why",
            "alternatives": [{"code": "LocalMixupLayer()", "why": "that is why"}],
            "notes": ["Mind this."],
        },
        "warnings": [{"about": "things", "text": "Beware of things."}],
        "contradicting": [{"kind": "equal", "samples": [3, 9], "labels": ["a", "b"], "distance": 0.0}],
        "measures": {
            "contradictions": {"by_alpha": [{"alpha": 0.2, "share": None}, {"alpha": 1.0, "share": 0.0004}]},
            "conflicts": {
                "by_alpha": [
                    {"alpha": 0.2, "share": 0.125, "excess": -0.0312},
                    {"alpha": 1.0, "share": 1.0, "excess": 0.75},
                ]
            },
            "intrusion": {
                "by_alpha": [{"alpha": 0.2, "least": None, "mean": None}, {"alpha": 1.0, "least": 0.5, "mean": 2.25}]
            },
            "matching": {"by_k": rows},
            "balance": {
                "classes": [
                    {"class": "a", "samples": 1500, "share": 0.75},
                    {"class": "b", "samples": 500, "share": 0.25},
                ]
            },
            "closeness": {"least": 0.125, "median": 4.5},
        },
    }
    report["data"].update(changes.pop("data", {}))
    return {**report, **changes}


def text(report):
    """As a pipe gets it."""
    return written(*report_text(report))


def test_what_was_measured_of_what_is_said_first():
    assert described(report_of()) == (
        "d.npz: 2,000 samples of shape 8 x 8, 2 classes. Measured on 500 of them, drawn at random with seed 7."
    )
    whole = report_of(data={"measured": 2000, "shape": []}, setting={"seed": 7, "standardize": True})
    assert described(whole) == "d.npz: 2,000 samples of shape 1, 2 classes. Features were divided by their spread."


def test_the_verdict_why_and_what_to_do_come_first_and_the_code_on_lines_of_its_own():
    report = report_of()
    lines = text(report).splitlines()
    start = lines.index("Verdict at alpha = 1: safe")
    assert lines[start : start + 2] == ["Verdict at alpha = 1: safe", "  why: " + "One reason. " * 7 + "One"]
    assert [line for line in lines if line.startswith("  ") and ": " in line and "why" not in line] == [
        "  would change: What would.",
        "  to do: This is to be done.",
        "  remark: At alpha = 32 it would fail.",
        "  warnings: Things.",
        "  to mend: 2 equal samples, in report-contradictions.csv.",
    ]
    assert lines[-2:] == ["    y = numbers(y)", f"    {report['suggestion']['code']}"]
    assert max(len(line) for line in lines if "KMixupLayer" not in line) <= 100
    assert "warnings" not in text(report_of(warnings=[])) and "mend" not in text(report_of(contradicting=[]))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_however_much_there_is_to_say_it_is_14_lines(width):
    long = "many words " * 100
    verdict = {
        "level": "safe",
        "alpha": 1.0,
        "by": "geometry",
        "probability": None,
        "outlook": None,
        "why": long,
        "would_change": long,
        "to_do": long,
        "remarks": [long] * 3,
    }
    warnings = [{"about": f"a long name of what there is {i}", "text": long} for i in range(9)]
    report = report_of(verdict=verdict, warnings=warnings, data={"name": long})
    shown = written(*report_text(report, width)).splitlines()
    assert len(shown) <= 14 and shown[-1] == f"    {report['suggestion']['code']}"
    assert sum(line.endswith(" ...") for line in shown) >= 5
    assert max(map(len, shown[:-1])) <= width


def test_what_cannot_be_said_is_said_without_a_line_of_code():
    report = build_unknown("d.npz", "all samples are of one class", {"seed": 0, "alpha": 0.4})
    assert text(report).splitlines() == [
        "Verdict at alpha = 0.4: cannot say",
        "  why: All samples are of one class.",
        "  to do: Bring data that can be measured, and audit again.",
    ]
    assert json.loads(strict_json(report)) == report and set(report) == set(report_of()) | {"format"}


@pytest.mark.parametrize("start", range(68, 90))
def test_a_number_is_on_the_line_of_its_name(start):
    words = "a" * start + " at alpha = 0.2, 12.5 % more."
    shown = text(report_of(verdict={**report_of()["verdict"], "why": words}))
    assert "alpha = 0.2" in shown and "12.5 %" in shown and "\N{NO-BREAK SPACE}" not in shown


def test_tables_have_a_row_for_each_alpha_and_each_k():
    grid = by_alpha(report_of()["measures"])
    assert grid.head[:2] == ("alpha", "labels contradicted")
    assert grid.rows == [
        ("0.2", "-", "12.5 %", "-3.1 points", "-", "-"),
        ("1", "< 0.1 %", "100 %", "75.0 points", "0.5", "2.25"),
    ]
    rows = by_k(report_of()["measures"]).rows
    assert rows == [
        ("1", "50.0 %", "25.0 %", "1,234", "0.2", "1"),
        ("2", "25.0 % ± 1.2", "12.5 %", "617", "0.4", "none"),
    ]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """20 of 60 samples, so that rows of the sample are not places in the dataset."""
    path = tmp_path_factory.mktemp("data") / "d.npz"
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(path, x=x, y=np.array([3, 8])[np.arange(60) % 2])
    return collect(open_data([str(path)], Options()), 20, 0)


def full_measures(**closeness):
    alphas = [{"alpha": alpha, "share": 0.0, "examples": [2, 19]} for alpha in (0.2, 1.0, 32.0)]
    nothing = dict.fromkeys(("share", "baseline", "excess", "excess_low", "excess_high"), 0.0)
    conflict = [{"alpha": alpha, "worst": [], **nothing} for alpha in (0.2, 1.0, 32.0)]
    matched = {
        "k": 1,
        "cross_share": 0.5,
        "standard_error": 0.0,
        "alphas": [{"alpha": a, "alpha_k": a} for a in (0.2, 1.0, 32.0)],
    }
    return {
        "contradictions": {"asked": 20, "copies": 0, "samples": 20, "by_alpha": alphas},
        "copies": {"searched": 60, "found": 0},
        "conflicts": {"by_alpha": conflict},
        "closeness": {"samples": 20, "nearest_is_other": 0.0, "near_duplicates": [], **closeness},
        "intrusion": {"examples": [{"sample": 0, "first": 1, "second": 2, "ratio": 0.5, "distance": 1.0}]},
        "matching": {"by_k": [matched]},
        "locality": {"epsilon": 1.0, "rate": 0.7, "batch_size": 20, "effective_batch": 3.0},
        "steepness": {"vanilla": None, "local": None, "full": None},
        "scales": None,
    }


def test_samples_are_named_by_their_place_in_the_dataset(drawn):
    setting = {"seed": 0, "max_samples": 20, "standardize": False, "alpha": 1.0}
    measures = full_measures(examples=[{"first": 3, "second": 19, "distance": 2.0}])
    report = build(drawn, measures, setting)
    places = drawn.index.tolist()
    assert places != list(range(20))
    found = report["measures"]
    assert found["contradictions"]["by_alpha"][0]["examples"] == [places[2], places[19]]
    assert found["closeness"]["examples"] == [{"first": places[3], "second": places[19], "distance": 2.0}]
    assert found["intrusion"]["examples"][0] == {
        "sample": places[0], "first": places[1], "second": places[2], "ratio": 0.5, "distance": 1.0,
    }  # fmt: skip
    # Only rows become places, not the numbers of anything else.
    assert found["matching"] == measures["matching"] and found["contradictions"]["asked"] == 20
    assert measures["closeness"]["examples"][0]["first"] == 3


def test_a_report_holds_what_a_program_needs_to_go_on(drawn):
    report = build(drawn, full_measures(), {"seed": 5, "max_samples": 20, "standardize": False, "alpha": 0.2})
    assert report["format"] == 4 and json.loads(json.dumps(report)) == report
    assert report["data"] | {"notes": []} == {
        "name": "d.npz", "kind": "arrays", "samples": 60, "measured": 20, "scanned": 60, "searched": 60, "shape": [3],
        "classes": ["3", "8"],
        "encoding": {"3": 0, "8": 1}, "notes": [],
    }  # fmt: skip
    alphas = {"alpha": 0.2, "alphas": [0.2, 1.0, 32.0]}
    assert report["setting"] == {"seed": 5, "max_samples": 20, "standardize": False, **alphas}
    assert set(report["verdict"]) == {
        "level", "alpha", "by", "probability", "outlook", "rule", "why", "would_change", "to_do", "remarks",
        "reasons",
    }  # fmt: skip
    assert report["verdict"]["alpha"] == 0.2 and report["contradicting"] == []
    assert set(report["suggestion"]) >= {"code", "why", "k", "alpha", "epsilon", "rate", "alternatives", "notes"}
