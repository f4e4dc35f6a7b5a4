"""What targets are taken for, and what is refused."""

import numpy as np
import pytest

from kmix_tf.trial.problem import CannotSay, make_problem

X = np.random.default_rng(0).normal(size=(60, 3))


@pytest.mark.parametrize(
    ("y", "task", "units"),
    [
        (np.arange(60) % 3, "classes", 3),
        (np.array(["b", "a"])[np.arange(60) % 2], "classes", 2),
        (np.arange(60) % 2 == 0, "classes", 2),
        ((np.arange(60) % 4).astype(float), "classes", 4),
        (np.eye(3)[np.arange(60) % 3], "classes", 3),
        ((np.arange(120).reshape(60, 2) % 3 == 0).astype(int), "multilabel", 2),
        (np.linspace(0, 1, 60), "regression", 1),
        (np.linspace(0, 1, 120).reshape(60, 2), "regression", 2),
        (np.arange(60) // 2, "regression", 1),
    ],
)
def test_targets_are_told_apart(y, task, units):
    found = make_problem(X, y)
    assert found.task == task and found.y.shape == (60, units) and found.y.dtype == np.float32


def test_whole_numbers_can_be_asked_to_be_a_measurement():
    assert make_problem(X, np.arange(60) % 3, "regression").task == "regression"
    assert make_problem(X, np.arange(60), "regression").task == "regression"


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X, np.zeros(60, int), "all 60 rows are of class 0"),
        (X, np.repeat(["a", "b"], [59, 1]), "fewer than two classes have at least 5 rows"),
        (np.ones((60, 3)), np.arange(60) % 2, "all features are constant"),
        (X, np.arange(60), "all 60 labels are distinct"),
        (X, np.array([f"id{i}" for i in range(60)]), "all 60 labels are distinct"),
        (X[:4], np.array([0, 1, 0, 1]), "there are 4 rows"),
        (X, np.full(60, 1.5), "the target is the same in all rows"),
        (X, np.zeros((60, 2), int), "no label is given"),
    ],
)
def test_where_nothing_can_be_learnt_a_sentence_says_so(x, y, words):
    with pytest.raises(CannotSay, match=words):
        make_problem(x, y)


def test_rows_of_rare_classes_are_left_out_and_told_of():
    y = np.repeat([7, 8, 9], [30, 29, 1])
    found = make_problem(X, y)
    assert found.names == ("7", "8") and len(found.x) == 59 and found.is_balanced
    assert found.notes == ("1 class of fewer than 5 rows was left out, 1 rows in all.",)
    np.testing.assert_array_equal(found.y.argmax(axis=1), y[:59] - 7)


def test_errors_are_balanced_from_five_to_one():
    assert make_problem(X, np.repeat([0, 1], [49, 11])).is_balanced
    assert not make_problem(X, np.repeat([0, 1], [50, 10])).is_balanced


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (np.where(np.eye(60, 3) > 0, np.nan, X), np.arange(60) % 2, {}, "x must be finite. Received: nan in row 0"),
        (X, np.arange(59) % 2, {}, "equally long. Received: 60 and 59"),
        (X, np.where(np.arange(60) == 3, np.nan, 0.5), {}, "y must be finite"),
        (X.astype(str), np.arange(60), {}, "x must be numbers"),
        (X, np.arange(60) % 2, {"sample_weight": np.ones(3)}, "sample_weight must be numbers"),
        (X, np.arange(60) % 2, {"sample_weight": -np.ones(60)}, "sample_weight must be finite, >= 0"),
        (X, np.arange(60) % 2, {"task": "multilabel"}, "y must be 0 or 1"),
        (X, np.array(["a", "b"] * 30), {"task": "regression"}, "y must be numbers"),
        (X, X, {"task": "classes"}, "y must be \\(n,\\), or one-hot"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(x, y, options, words):
    with pytest.raises(ValueError, match=words):
        make_problem(x, y, **options)
