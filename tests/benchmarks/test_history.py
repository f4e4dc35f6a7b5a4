"""The benchmarks' history keeps each run's numbers as they were measured, and changes no line that was there."""

import importlib
import json
import pathlib

import pytest

import kmix_tf

ROOT = pathlib.Path(__file__).parents[2] / "benchmarks"
README = ROOT.parent / "README.md"


@pytest.fixture
def history(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("history")


def a_part(date, **goals):
    rest = {"at_most": 1, "unit": "", "bound": None, "because": ""}
    measured = [{"goal": name, "measured": number, **rest} for name, number in goals.items()]
    return {"title": "A part", "machine": {"date": date, "cores": 2}, "goals": measured, "results": {"large": [1, 2]}}


def test_a_run_adds_a_line_and_leaves_those_before(history, tmp_path):
    file = tmp_path / "history.jsonl"
    history.append({"one": a_part("2026-01-01", a=0.5, b=None), "none": a_part("2026-01-01")}, file)
    before = file.read_bytes()
    history.append({"one": a_part("2026-02-01", a=0.25)}, file)
    assert file.read_bytes().startswith(before)
    first, second = map(json.loads, file.read_text().splitlines())
    # What has no goals is left out, and so are results, which lie beside the part.
    assert first == {
        "version": kmix_tf.__version__,
        "parts": {"one": {"machine": {"date": "2026-01-01", "cores": 2}, "goals": {"a": 0.5, "b": None}}},
    }
    assert second["parts"]["one"]["goals"] == {"a": 0.25}
    assert history.by_goal(history.read(file)) == {
        "one: a": [("2026-01-01", kmix_tf.__version__, 0.5), ("2026-02-01", kmix_tf.__version__, 0.25)],
        "one: b": [("2026-01-01", kmix_tf.__version__, None)],
    }


def test_a_run_without_goals_adds_none(history, tmp_path):
    history.append({"none": a_part("2026-01-01"), "not asked": {"machine": {}}}, tmp_path / "history.jsonl")
    assert not (tmp_path / "history.jsonl").exists() and history.read(tmp_path / "history.jsonl") == []


def test_what_is_committed_can_be_read(history):
    runs = history.read()
    assert runs and all(entries for entries in history.by_goal(runs).values())


@pytest.mark.parametrize(("flags", "lines"), [([], 0), (["--write"], 1)])
def test_the_suite_keeps_what_it_writes(history, tmp_path, monkeypatch, capsys, flags, lines):
    run, before = importlib.import_module("run"), README.read_bytes()
    monkeypatch.setattr(history, "FILE", tmp_path / "history.jsonl")
    # All that is read and written, the tables of README.md and docs/costs.md among it, is what lies here.
    monkeypatch.setattr(importlib.import_module("goals"), "HERE", tmp_path)
    monkeypatch.setattr(run, "measured", lambda name, quick, write: a_part("2026-03-01", a=0.5))
    (tmp_path / "mix_cost.py").touch()
    monkeypatch.setattr("sys.argv", ["run.py", "--only", "mix_cost", *flags])
    run.main()
    assert len(history.read()) == lines
    assert README.read_bytes() == before
