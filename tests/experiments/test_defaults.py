"""The page on defaults: what it says follows from the files, and it would tell if a default had to change."""

import json
import pathlib

import numpy as np
import pytest
from scipy import stats

from experiments.defaults import CHANGES, GROUPS, STAYS, choice, decision, page, regrets
from experiments.questions import ALPHA, CUTMIX, IMAGES, QUESTIONS, TABLES, TOYS, K, Question, Row
from kmix_tf import CutMixLayer, ExponentialWeight, KMixupLayer, LocalMixupLayer
from kmix_tf.paired import Runs

RESULTS = pathlib.Path(__file__).parents[2] / "results"
ROWS = [(question, row) for question in QUESTIONS for row in question.rows]


def errors(row, arm):
    seeds = json.loads((RESULTS / f"{row.experiment}.json").read_text())["seeds"]
    return np.array([seed["cells"][arm]["error"] for seed in seeds.values()])


@pytest.fixture(scope="module")
def results():
    found = {}
    for name in {row.experiment for _, row in ROWS}:
        content = json.loads((RESULTS / f"{name}.json").read_text())
        found[name] = Runs(content["settings"], {int(n): seed["cells"] for n, seed in content["seeds"].items()})
    return found


@pytest.mark.parametrize(("question", "row"), ROWS, ids=[f"{q.title}-{r.experiment}-{r.setting}" for q, r in ROWS])
def test_regret_is_the_paired_difference_to_the_best_arm(question, row, results):
    arms = {**({"no mixing": row.plain} if row.plain else {}), **row.arms}
    assert question.now in row.arms
    found = regrets(row, results[row.experiment])
    best = min((errors(row, arm) for arm in arms.values()), key=np.mean)
    assert set(found) == set(arms) and min(each.mean for each in found.values()) == 0
    for value, arm in arms.items():
        apart = errors(row, arm) - best
        assert found[value].mean == pytest.approx(apart.mean(), abs=1e-9)
        if np.ptp(apart):
            low, high = stats.t.interval(0.95, len(apart) - 1, apart.mean(), stats.sem(apart))
            assert (found[value].low, found[value].high) == pytest.approx((low, high), abs=1e-9)


def test_todays_values_are_those_of_the_layers():
    assert [ALPHA.now, K.now, CUTMIX.now] == [
        f"{KMixupLayer().alpha:g}",
        f"{KMixupLayer().k}",
        f"{CutMixLayer().alpha:g}",
    ]
    now = {question.title.split()[0]: question.now for question in QUESTIONS}
    assert now["scope"] == KMixupLayer().scope
    assert LocalMixupLayer().weight.get_config()["rate"] == now["rate"] == ExponentialWeight(now["rate"]).rate


def test_on_real_data_the_others_choose_the_smaller_alpha_every_time(results):
    found = choice(ALPHA, (IMAGES, TABLES), results)
    gains = {}
    for row in ALPHA.rows:
        if row.kind != TOYS:
            small = row.arms["0.1 to 0.25"]
            gains.setdefault(row.data, []).append(np.mean(errors(row, row.arms["1"]) - errors(row, small)))
    gains = {data: np.mean(each) for data, each in gains.items()}
    assert {each.data: each.gain for each in found.left} == pytest.approx(gains, abs=1e-9)
    assert {each.choice for each in found.left} == {"0.1 to 0.25"}
    assert len(gains) == 4 and min(gains.values()) > 0, "README says so"
    # Four data sets, of which one says most: that is no evidence of a gain on a fifth.
    low, high = stats.t.interval(0.95, len(gains) - 1, np.mean(list(gains.values())), stats.sem(list(gains.values())))
    assert (found.gain.low, found.gain.high) == pytest.approx((low, high)) and low < 0 < high


def made(*gains, kind=IMAGES, toys=()):
    """A question of two values on data sets of which the second value has so much less error."""
    rows = [Row(kind, f"set {n}", "", f"set {n}", "", {"old": "old", "new": "new"}) for n in range(len(gains))]
    rows += [Row(TOYS, f"toy {n}", "", f"toy {n}", "", {"old": "old", "new": "new"}) for n in range(len(toys))]
    results = {
        row.experiment: Runs({}, {seed: {"old": {"error": 9.0}, "new": {"error": 9.0 - gain}} for seed in range(2)})
        for row, gain in zip(rows, [*gains, *toys], strict=True)
    }
    return Question("made", "old", ("old", "new"), tuple(rows)), results


@pytest.mark.parametrize(
    ("gains", "toys", "decided"),
    [
        ((1.0, 1.1, 0.9), (), CHANGES),
        ((1.0, 1.1, 0.9), (-1.0, -1.1, -0.9), CHANGES),  # others choose the old value there: nothing is lost
        ((1.0, 1.1, 0.9), (3.0, 3.1, 2.9), CHANGES),
        ((1.0, -0.2, 0.3), (), STAYS),
        ((-1.0, -1.1, -0.9), (), STAYS),
        ((1.0,), (), STAYS),
        ((0.0, 0.0, 0.0), (), STAYS),
    ],
)
def test_a_default_changes_if_it_gains_on_data_that_did_not_choose(gains, toys, decided):
    question, results = made(*gains, toys=toys)
    assert decision({group: choice(question, kinds, results) for group, kinds in GROUPS.items()}) == decided


def test_a_data_set_has_no_part_in_the_choice_for_itself():
    question, results = made(9.0, -1.0, -1.0)
    found = choice(question, (IMAGES,), results)
    assert [each.choice for each in found.left] == ["old", "new", "new"]
    assert [each.gain for each in found.left] == [0.0, -1.0, -1.0]


def test_nothing_measured_makes_no_page(results):
    assert page({}) == ""
    only = {"multi-mix/regimes": results["multi-mix/regimes"]}
    assert "## scope" in page(only) and "## alpha" not in page(only)
