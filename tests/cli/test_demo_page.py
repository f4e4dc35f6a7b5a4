"""What docs/demo.md says of the demo is what the demo found: docs/demo.json is its results.json, without paths."""

import json
import pathlib
import re

import numpy as np
import pytest

from kmix_tf.cli.demo.arms import arms
from kmix_tf.cli.demo.comparing import _described, _of_toy
from kmix_tf.cli.demo.data import load_digits, split
from kmix_tf.cli.demo.telling import COLUMNS

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")
SHOWN, PROSE = re.search(r"<!-- demo -->(.*?)<!-- /demo -->(.*?)\n\| the same", PAGE, flags=re.DOTALL).groups()
RESULTS = json.loads((ROOT / "docs" / "demo.json").read_text(encoding="utf-8"))


def values(arm, column):
    return np.array([run[column] for run in RESULTS["runs"][arm]])


def test_the_table_has_the_means_and_spreads_of_the_runs():
    lines = [line for line in SHOWN.splitlines() if line.startswith("|")]
    assert lines[0] == f"| | {' | '.join(name for name, _ in COLUMNS.values())} |"
    rows = [
        [
            arm,
            *(f"{values(arm, c).mean():.{n}f} ± {values(arm, c).std(ddof=1):.{n}f}" for c, (_, n) in COLUMNS.items()),
        ]
        for arm in RESULTS["runs"]
    ]
    assert lines[2:] == [f"| {' | '.join(row)} |" for row in rows]


def test_what_stands_above_and_below_is_what_the_demo_prints():
    assert SHOWN.strip().splitlines()[0] == _described(RESULTS)
    assert SHOWN.strip().splitlines()[-1] == _of_toy(RESULTS)


def test_the_demo_still_asks_what_was_asked():
    setting = RESULTS["setting"]
    data = load_digits()
    assert (setting["data"], setting["samples"]) == (data.name, len(data.x))
    found = arms(split(data, setting["training_samples"], setting["wrong_labels"], 0).x_train)
    assert list(found) == list(RESULTS["arms"])
    for name, arm in found.items():
        # Alpha of k-mixup is drawn for until it is known within a tenth.
        assert arm._asdict() == pytest.approx(RESULTS["arms"][name], rel=0.15)


def test_the_words_below_follow():
    plain = "no mixing"
    gains = [values(plain, "error") - values(arm, "error") for arm in RESULTS["runs"] if arm != plain]
    assert 0.3 < np.mean(gains) < 0.7 and "lowers the error here by about half a point" in PROSE
    more = values("mixup 1", "attacked") - values(plain, "attacked")
    assert f"succeeds more often (by {more.mean():.0f} points)" in PROSE
    assert abs((values("k-mixup 1", "attacked") - values(plain, "attacked")).mean()) < 1  # "takes that back"
