"""The training comparison of pooled matching: all arms, on sets that are what they say, paired by seed."""

import importlib
import json
import math
import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def part(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("match_at_training")


def test_it_runs_in_small_with_all_arms(part):
    results = json.loads(json.dumps(part.measure(True, 2), allow_nan=False))
    assert list(results["sets"]) == list(part.SETS)
    for arms in results["sets"].values():
        assert list(arms) == list(part.ARMS)
        for row in arms.values():
            assert len(row["errors"]) == 2 and all(0 <= each <= 100 for each in row["errors"])
    assert part.markdown(results).count("| ") > 8


def test_differences_are_those_of_each_seed(part):
    rows = [
        {"no mixing": 9.0, "k = 1": 5.0, "full": 4.0, "Pooled(8)": 5.0},
        {"no mixing": 9.0, "k = 1": 8.0, "full": 7.0, "Pooled(8)": 10.0},
    ]
    found = part.compared(rows)
    assert found["Pooled(8)"]["mean"] == 7.5 and found["Pooled(8)"]["difference"] == 2
    assert found["Pooled(8)"]["standard_error"] == pytest.approx(math.sqrt(2) / math.sqrt(2))
    assert found["k = 1"]["interval"] == [1, 1] and "difference" not in found["full"]
    assert "standard_error" not in part.compared(rows[:1])["k = 1"]


@pytest.mark.parametrize("name", ["digits on photographs", "spectrograms"])
def test_sets_are_images_of_all_classes_and_come_again(part, name):
    made, channels, classes = part.SETS[name]
    x, y = made(np.random.default_rng(3), 100)
    assert x.shape == (100, 64, 64, channels) and x.dtype == np.float32 and np.isfinite(x).all()
    assert set(y) == set(range(classes))
    again = made(np.random.default_rng(3), 100)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])
