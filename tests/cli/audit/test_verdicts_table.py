"""The committed table of verdicts is made from its numbers, and what is said of it elsewhere is what it says."""

import importlib.util
import json
import pathlib
import re
import sys

import pytest

from kmix_tf.cli.audit import judging

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def verdicts():
    """The benchmark, as a module."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("verdicts", ROOT / "benchmarks" / "verdicts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


@pytest.fixture(scope="module")
def kept():
    return json.loads((ROOT / "benchmarks" / "verdicts.json").read_text())


def test_the_rules_have_the_thresholds_that_were_fitted(verdicts, kept):
    _, fitted = verdicts.judged(kept)
    assert fitted == {
        judging.HURTS: judging.RAISES, judging.HELPS: judging.LOWERS, judging.NO_DIFFERENCE: judging.STAYS,
    }  # fmt: skip


def test_the_readme_says_what_the_table_says(verdicts, kept):
    rows, _ = verdicts.judged(kept)
    decided = [(each, verdicts.SIDES[name]) for each, name in rows if name in verdicts.SIDES]
    right = sum(verdicts.came_true(each, side) for each, side in decided)
    said = re.search(r"<!-- verdicts -->(.*?)<!--", (ROOT / "README.md").read_text(), re.S)[1]
    harmed = [each for each, _ in rows if verdicts.truth(each) == "higher"]
    safe = sum(verdicts.by_geometry(each) == "safe" for each in harmed)
    assert list(map(int, re.findall(r"\d+", said))) == [len(decided), len(rows), right, safe, len(harmed)]
    assert len(rows) >= 30 and right >= 0.8 * len(decided)


@pytest.mark.parametrize("page", ["which_mix", "guides/tables", "faq", "methods/kmixup"])
def test_pages_count_the_tables_that_mixup_harmed_and_helped(verdicts, kept, page):
    truths = [verdicts.truth(each) for each, _ in verdicts.judged(kept)[0] if each["kind"] == "table"]
    counts = [len(truths), truths.count("higher"), truths.count("lower")]
    said = re.search(r"[Oo]f \d+ tables[^(.]*", (ROOT / "docs" / f"{page}.md").read_text())[0]
    numbers = list(map(int, re.findall(r"\d+", said)))[:3]
    assert len(numbers) > 1 and numbers == counts[: len(numbers)]


def test_the_page_is_made_from_the_numbers(verdicts, kept):
    words, (head, matrix), _, _ = verdicts.report(kept)
    page = (ROOT / "benchmarks" / "verdicts.md").read_text()
    assert all(part in page for part in words) and verdicts.table(head, matrix) in page


def test_a_threshold_is_fitted_to_others_and_loosened_only_on_enough_of_them(verdicts):
    def made(chance_mean, truth):
        found = {
            "mean": chance_mean,
            "low": chance_mean - 2.1448,
            "high": chance_mean + 2.1448,
            "p": 0.5,
            "seeds": 15,
        }
        told = {**found, "mean": truth, "low": truth - 1, "high": truth + 1}
        return {"trial": {**found, "unseen": 0.0}, "truth": told}

    # A standard error of 1 and a mean of .9: a probability of .81.
    right, wrong = made(0.9, 1.0), made(0.9, -1.0)
    assert verdicts.threshold([right] * 4, "higher") == 0.975
    assert verdicts.threshold([right] * 5, "higher") == 0.8
    assert verdicts.threshold([right] * 8 + [wrong], "higher") == 0.975
    assert verdicts.threshold([right] * 9 + [wrong], "higher") == 0.8
