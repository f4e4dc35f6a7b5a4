"""Comparisons whose truth is known beforehand."""

import json

import keras
import numpy as np
import pytest

import kmix_tf.trial.comparing as comparing_module
from kmix_tf import KMixupLayer, LocalMixupLayer
from kmix_tf.analysis import four_bars
from kmix_tf.trial import compare_mixes, running
from kmix_tf.trial.arms import PLAIN, default_arms
from kmix_tf.trial.problem import make_problem
from kmix_tf.trial.running import Course, Outcome, run_splits
from kmix_tf.trial.scoring import Scores
from kmix_tf.trial.splits import parts, split

QUICK = {"splits": 2, "steps": 30}
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(int)
NOTHING = {"nothing": KMixupLayer(1, alpha=0.0)}


@pytest.fixture(scope="module")
def equal():
    """Mixes that change nothing: what differs then, differs in first weights, batches, splits or steps."""
    mixes = {"nothing": KMixupLayer(1, alpha=0.0), "nothing matched": KMixupLayer(4, alpha=0.0)}
    return compare_mixes(X, Y, mixes, splits=3, steps=60)


def test_arms_begin_from_equal_weights_and_see_equal_batches_and_splits(equal):
    assert [each.name for each in equal.findings] == [PLAIN, "nothing", "nothing matched"]
    for each in equal.findings[1:]:
        assert set(each.differences) == {"error", "loss", "calibration"}
        for found in each.differences.values():
            assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)
        assert each.steps == equal.findings[0].steps
    assert equal.best is None and equal.code == f"# {equal.verdict}"


def test_equal_arms_of_few_rows_are_undecided_not_equal(equal):
    # 60 rows tested: a difference in one of them is more than half a point.
    assert {each.verdict for each in equal.findings[1:]} == {"undecided"}
    # Of which nothing follows, least of all that one should not mix.
    assert equal.verdict == "undecided: mixing may help or not"


def test_what_is_found_can_be_read_by_people_and_programs(equal):
    lines = str(equal).splitlines()
    assert any(line.startswith("| no mixing | ") for line in lines) and "# undecided: mixing may help or not" in lines
    told = json.loads(equal.to_json())
    assert told["format"] == 1 and told["splits"] == 3 and told["rows"] == 80 and told["verdict"] == equal.verdict
    assert told["findings"][1]["differences"]["error"]["seeds"] == 3
    assert "one in at most 10 % of trials" in str(equal)


@pytest.mark.matrix
def test_the_same_seed_finds_the_same():
    first, again, other = (compare_mixes(X, Y, NOTHING, seed=seed, **QUICK) for seed in (0, 0, 2**31 - 1))
    assert first.findings == again.findings and first.findings != other.findings


def test_mixing_hurts_where_classes_take_turns():
    """Mixtures half and half of the outer bars lie on the inner ones, of the other class."""
    found = compare_mixes(*four_bars(300), {"mixup 8": KMixupLayer(1, alpha=8.0)}, splits=3, steps=300)
    plain, mixed = found.findings
    assert mixed.verdict == "worse" and mixed.differences["error"].low > 5 and plain.error < 3
    assert found.verdict == "none is better: don't mix"


def test_labels_that_mean_nothing_are_not_said_to_be_helped():
    y = np.random.default_rng(1).integers(0, 2, 200)
    x = np.random.default_rng(2).normal(size=(200, 3))
    found = compare_mixes(x, y, {"mixup": KMixupLayer(1)}, splits=3, steps=60)
    assert found.best is None and {each.verdict for each in found.findings[1:]} <= {"undecided", "no difference"}


def test_a_network_that_learns_nothing_cannot_say():
    found = compare_mixes(X, Y, NOTHING, optimizer=lambda: keras.optimizers.SGD(0.0), seed=3, **QUICK)
    assert found.verdict == "cannot say" and found.reason.startswith("no network learnt anything")
    assert found.findings == () and json.loads(found.to_json())["findings"] == []


def test_a_network_that_diverges_cannot_say():
    y = X[:, 0] ** 3
    found = compare_mixes(X, y, NOTHING, optimizer=lambda: keras.optimizers.SGD(1e30), **QUICK)
    assert found.verdict == "cannot say" and "did not converge" in found.reason


def test_one_class_cannot_say():
    found = compare_mixes(X, np.zeros(80), **QUICK)
    assert found.verdict == "cannot say" and "all 80 rows are of class 0.0" in str(found)


def test_several_labels_and_numbers_are_learnt_too():
    labels = (X[:, :2] > 0).astype(int)
    several = compare_mixes(X, labels, {"mixup": KMixupLayer(1)}, splits=2, steps=150)
    assert several.task == "multilabel" and several.findings[0].error < 20
    number = compare_mixes(X, X[:, 0] + 5.5, {"mixup": KMixupLayer(1)}, splits=2, steps=150)
    assert number.task == "regression" and number.findings[0].error < 40
    assert "calibration" not in number.findings[1].differences and "RMSE" in str(number)
    assert json.loads(number.to_json())["findings"][0]["calibration"] is None


def test_rows_of_no_weight_teach_nothing():
    """Half of the rows have the wrong label, and weigh nothing."""
    is_wrong = np.random.default_rng(5).permutation(np.arange(160) % 2).astype(bool)
    x = np.random.default_rng(6).normal(size=(160, 3))
    right = (x[:, 0] > 0).astype(int)
    y = np.where(is_wrong, 1 - right, right)
    found = compare_mixes(x, y, {"mixup": KMixupLayer(1)}, sample_weight=1.0 * ~is_wrong, splits=2, steps=150)
    assert max(each.error for each in found.findings) < 15


def test_a_network_of_ones_own_is_trained():
    made = []

    def model():
        made.append(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
        return made[-1]

    found = compare_mixes(X, Y, NOTHING, model_fn=model, optimizer=lambda: keras.optimizers.Adam(0.1), **QUICK)
    assert found.splits == 2 and found.findings[0].error < 20 and made


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mixes": {"a": 3}}, TypeError, "mixes must be a dictionary of layers"),
        ({"mixes": {}}, ValueError, "mixes must be at least one mix"),
        ({"mixes": {PLAIN: KMixupLayer(1)}}, ValueError, "which is always there"),
        ({"mixes": {"a": KMixupLayer(1, targets="packed", num_classes=2)}}, ValueError, "targets='mixed'"),
        ({"minutes": 0}, ValueError, "compare_mixes: minutes must be > 0"),
        ({"splits": 1}, ValueError, "splits must be an integer >= 2"),
        ({"steps": 0}, ValueError, "steps must be an integer >= 1"),
        ({"task": "guess"}, ValueError, "task must be one of"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0"),
        ({"model_fn": lambda: 3}, TypeError, "model_fn must be a function that returns a Keras model"),
        (
            {"model_fn": lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])},
            ValueError,
            "ends linearly. Received: softmax",
        ),
        (
            {"model_fn": lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])},
            ValueError,
            r"gives \(n, 2\). Received: \(2, 5\)",
        ),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        compare_mixes(X, Y, **options)


def arms_for(x, y, batch=32):
    problem = make_problem(x, y)
    return default_arms(parts(problem, split(problem.strata, 0, 0)).train, problem.task, batch, 0)


def test_the_lines_of_code_make_the_layers_that_were_tried():
    import kmix_tf

    arms = {arm.name: arm for arm in arms_for(GENERATOR.normal(size=(200, 6, 6, 1)), np.arange(200) % 2)}
    assert list(arms) == [PLAIN, "mixup 0.2", "mixup 1", "16-mixup", "Local Mixup", "CutMix"]
    for arm in list(arms.values())[1:]:
        made = eval(arm.code, vars(kmix_tf))
        assert type(made) is type(arm.layer) and made.num_classes == 2
        assert (made.k, made.alpha) == (arm.layer.k, arm.layer.alpha)
    local = eval(arms["Local Mixup"].code, vars(kmix_tf))
    assert isinstance(local, LocalMixupLayer) and local.weight.rate == arms["Local Mixup"].layer.weight.rate


def test_a_matched_alpha_that_there_is_not_is_said_so():
    found = {arm.name: arm for arm in arms_for(*four_bars(200))}["16-mixup"]
    assert found.layer.alpha == 1.0 and found.note.startswith("No alpha makes 16-mixup perturb as much")
    wide = {arm.name: arm for arm in arms_for(GENERATOR.normal(size=(200, 50)), np.arange(200) % 2)}["16-mixup"]
    assert wide.layer.alpha > 1 and wide.note == ""


def test_what_may_hide_is_counted_in_the_smallest_class_where_errors_are_balanced():
    # 90 rows of one class and 10 of another; three quarters of them are tested in three splits.
    x = GENERATOR.normal(size=(100, 2))
    uneven = make_problem(x, np.repeat([0, 1], [90, 10]))
    assert comparing_module._unseen(uneven, 3) == pytest.approx(300 / (0.75 * 2 * 10))
    even = make_problem(x, np.arange(100) % 2)
    assert comparing_module._unseen(even, 3) == pytest.approx(300 / 75)
    assert comparing_module._unseen(even, 9) == pytest.approx(300 / 100)
    assert comparing_module._unseen(make_problem(x, x[:, 0]), 3) == 0.0


class Clock:
    """A course whose runs take a second each, by a clock of its own."""

    most_splits = 15

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(running.time, "monotonic", lambda: self.now)

    def parts(self, number):
        return None

    def train(self, arm, data, number, steps):
        self.now += 1.0
        return Outcome(Scores(0.0, 0.0, 0.0), 0.0, steps)


@pytest.mark.parametrize(
    ("splits", "seconds", "expected"), [(None, 1, 3), (None, 9.5, 4), (None, 1e6, 15), (2, 1e6, 2), (5, 1, 5)]
)
def test_as_many_splits_are_done_as_end_in_time_and_at_least_three(monkeypatch, splits, seconds, expected):
    told = []
    course, arms = Clock(monkeypatch), arms_for(X, Y)[:2]
    found = run_splits(course, arms, 10, splits, seconds, lambda share, what: told.append(share))
    assert {len(each) for each in found.values()} == {expected}
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0


def test_the_weights_of_the_least_validation_loss_are_kept():
    """A network of one weight that goes away from what is right is best at its first look."""
    problem = make_problem(X, X[:, 0] * 2.0)
    course = Course(problem, 0, True, lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), None)
    data = course.parts(0)
    right = course.train(default_arms(data.train, problem.task, 8, 0)[0], data, 0, 300)
    wrong = data._replace(train=data.train._replace(y=-data.train.y))
    astray = course.train(default_arms(data.train, problem.task, 8, 0)[0], wrong, 0, 300)
    assert right.steps > 200 and astray.steps < right.steps / 2
