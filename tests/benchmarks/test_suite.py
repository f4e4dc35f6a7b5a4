"""The benchmark suite: every part runs in small, its peers do what their papers say, and its goals are told truly."""

import importlib
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from kmix_tf import KMixupLayer
from kmix_tf.mixing.watch import WATCHED

ROOT = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def part(name):
    return importlib.import_module(name)


@pytest.mark.parametrize("name", ["mix_cost", "stage_profile", "stage_memory", "puzzle"])
def test_a_part_runs_in_small(name):
    module = part(name)
    results = json.loads(json.dumps(module.measure(True, 1)))
    assert module.TITLE and "|" in module.markdown(results)
    for goal in module.goals(results) if hasattr(module, "goals") else []:
        assert goal["measured"] > 0 and goal["bound"] > 0 and goal["because"]


def test_first_calls_are_counted_apart():
    """Each call in a process of its own, of which one has time; what goes on in it is asked here."""
    module = part("first_call")
    assert set(module.TRAINED) | set(module.GOALS) <= set(module.contestants("compiled"))
    assert {kind for kind, _ in module.calls_of(False)} | {"last batch"} == set(module.KINDS) == set(module.BESIDE)
    results = json.loads(json.dumps(module.measure(True, 1)))
    assert set(results["kinds"]) == {"map", "last batch", "compiled"}
    rows = {"KMixupLayer(16, solver='graph')": [[9.0, 3.0]], module.ALONE: [[4.0, 2.0]]}
    found = module.rows_of("compiled", rows)
    assert found["KMixupLayer(16, solver='graph')"]["ratio"] == 9 / 4
    (goal,) = module.goals({"kinds": {"compiled": found}})
    assert goal["measured"] == 3 / 2
    assert module.markdown(results).count("|---|") == 3


def test_one_command_runs_parts_and_gives_what_they_measured():
    command = [sys.executable, str(ROOT / "run.py"), "--quick", "--json", "--only", "growth"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(told)["growth"]
    assert len(found["results"]["points"]) == 4 and found["machine"]["cores"] and found["goals"] == []


def test_a_part_that_fails_is_named(monkeypatch, capsys):
    run = part("run")
    monkeypatch.setattr(run, "measured", lambda name, quick, write: None)
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "growth"])
    with pytest.raises(SystemExit, match="These parts failed: growth"):
        run.main()


def groups(size=24, features=5):
    generator = np.random.default_rng(3)
    return (generator.normal(size=(size, features)).astype("float32") for _ in range(2))


@pytest.mark.parametrize("k", [1, 4, 8])
def test_figure_5_matches_at_the_cost_of_ours(k):
    first, second = groups()
    token = WATCHED.set(watched := [])
    try:
        layer = KMixupLayer(k, cost="euclidean", features_only=True)
        layer.between(first, second, seed=(1, 2))
    finally:
        WATCHED.reset(token)
    ours = watched[-1]["drawn"].plan.partner.numpy()
    theirs = part("peers").figure_5_partners(first, second, k)
    costs = [np.linalg.norm(first - second[index], axis=1).sum() for index in (ours, theirs)]
    np.testing.assert_allclose(*costs, rtol=1e-5)
    assert (ours // k == np.arange(24) // k).all() and (theirs // k == np.arange(24) // k).all()
    if k > 1:
        assert costs[1] < np.linalg.norm(first - second, axis=1).sum()


@pytest.mark.parametrize("size", [24, 22])
def test_the_authors_padded_assignment_is_that_of_its_groups(size):
    first, _ = groups(size)
    order = np.random.default_rng(4).permutation(size)
    peers = part("peers")
    padded = peers.padded_partners(1000 * first, order, 4)
    np.testing.assert_array_equal(padded, order[peers.figure_5_partners(first, first[order], 4)])


def test_what_is_slow_sits_out_the_last_rounds():
    harness = part("harness")
    calls = {"slow": lambda: sum(range(200_000)), "quick": lambda: None}
    times = harness.interleaved(calls, 8, "rounds", seconds=0.001)
    assert (len(times["slow"]), len(times["quick"])) == (3, 8)
    assert harness.affordable(calls["quick"], 1.0, most=7) == 7
    assert harness.affordable(calls["slow"], 0.0) == 1


def test_ratios_are_of_rounds_that_both_had():
    rows = part("harness").compared(
        {"ours": [2.0, 4.0, 6.0], "peer": [1.0, 1.0, 1.0, 100.0]}, "peer", {"ours": 2, "peer": 1}
    )
    assert rows["ours"]["ms"] == 2 and rows["ours"]["ratio"] == 2
    assert rows["peer"]["ratio"] == 1


def test_goals_are_met_missed_or_not_measured():
    goals, goal = part("goals"), part("harness").goal
    measured = [
        goal("met", 0.5, 0.5, "copies"),
        goal("missed", 0.51, 0.5, "", 0.4, "a copy"),
        goal("neither", None, 1.0),
    ]
    assert [goals.verdict(each) for each in measured] == ["met", "missed", "not measured"]
    machine = {"processor": "P", "cores": 2, "tensorflow": "2", "date": "today"}
    page = goals.page({"growth": {"goals": measured, "machine": machine}, "puzzle": {"machine": machine}})
    assert "Of 3 goals, 1 are met, 1 missed, 1 not measured" in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == 5 and {line.count("|") for line in table} == {7}
    assert "| [missed](growth.md) | 0.5  | 0.51 | missed | 0.4 | a copy |" in page


def test_every_goal_of_the_issue_has_a_contestant():
    mix_cost = part("mix_cost")
    for name, shape in mix_cost.SHAPES.items():
        assert set(mix_cost.wanted(name)) <= set(mix_cost.chief(shape)), name


def test_a_model_of_growth_is_found_again():
    growth = part("growth")
    for terms in growth.MODELS.values():
        truth = dict(zip(terms, (0.3, 2e-7, 3e-6, 1e-7, 4e-4), strict=False))
        points = [
            [*size, sum(truth[name] * term(*size) for name, term in terms.items())] for size in growth.sizes(False)
        ]
        found = growth.fitted(points, terms)
        assert found["factors"] == pytest.approx(truth, rel=1e-3)
        assert found["r2"] > 0.9999 and max(map(abs, found["residuals"])) < 1e-3


def test_the_figure_is_drawn(tmp_path):
    growth = part("growth")
    points = [[*size, 1.0 + size[0]] for size in growth.sizes(False)]
    matched = [point for point in points if point[0] > 1]
    results = {"points": points, "models": {n: growth.fitted(matched, terms) for n, terms in growth.MODELS.items()}}
    growth.draw(results, tmp_path / "growth.png")
    assert growth.markdown(results).count("|  |") == 2  # k = 1 has no residual
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_the_page_of_goals_shows_what_was_written():
    goals = part("goals")
    assert (ROOT / "goals.md").read_text() == goals.page(goals.written())


def test_the_readme_shows_what_was_written():
    tables, kept = part("cost_tables"), part("goals").written()
    text = tables.README.read_text()
    assert tables.PLACE.search(text)[0] == tables.text(kept)
    assert tables.PLACE.search(tables.COSTS.read_text())[0] == tables.short(kept)
    of_mixes = kept["mix_cost"]["goals"]
    assert len(re.findall(r"\([\d.]+, [\d.]+\)", tables.table(of_mixes))) == len(of_mixes)


def test_the_readmes_costs_are_written_into_their_place(tmp_path):
    tables, goal = part("cost_tables"), part("harness").goal
    names = [f"CutMixLayer(), {shape}" for shape in ("128 images 32x32x3", "64 images 224x224x3")]
    measured = [goal(names[0], 0.456, 0.5, "", 0.1, "a copy"), goal(names[1], 0.51, 0.5, "", 0.25, "a copy")]
    machine = {"processor": "P", "cores": 2, "date": "today"}
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- costs -->\nbefore then\n<!-- /costs -->\nafter\n")
    tables.write({"growth": {"machine": machine}}, file)
    assert "before then" in file.read_text()
    tables.write({"mix_cost": {"goals": measured, "machine": machine}}, file)
    text = file.read_text()
    assert text.startswith("before\n<!-- costs -->\n") and text.endswith("<!-- /costs -->\nafter\n")
    assert "before then" not in text and "**0.46** (0.5, 0.10)" in text and "| 0.51 (0.5, 0.25) |" in text
    assert "all\n2 goals" in text and "1 are met" in text
