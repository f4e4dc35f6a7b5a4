"""Scores by hand and by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, mean_squared_error

from kmix_tf.trial.scoring import chance, score
from kmix_tf.trial.splits import Part

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.choice(3, 80, p=[0.7, 0.2, 0.1])
VALUES = GENERATOR.normal(size=(80, 3)) + 2 * np.eye(3)[LABELS]
WEIGHT = GENERATOR.uniform(0.1, 3, 80)


def part(y, weight=None):
    return Part(np.zeros((len(y), 1)), y, weight)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_scores_of_classes_are_scikit_learns(weight):
    y = np.eye(3)[LABELS]
    probabilities = np.exp(VALUES) / np.exp(VALUES).sum(axis=1, keepdims=True)
    wrong = VALUES.argmax(axis=1) != LABELS
    plain, balanced = (score(part(y, weight), VALUES, "classes", is_balanced) for is_balanced in (True, False))
    assert plain.error == pytest.approx(100 * np.average(wrong, weights=weight))
    expected = 1 - balanced_accuracy_score(LABELS, VALUES.argmax(axis=1), sample_weight=weight)
    assert balanced.error == pytest.approx(100 * expected)
    assert plain.loss == pytest.approx(log_loss(LABELS, probabilities, sample_weight=weight))


def test_scores_of_labels_and_numbers_by_hand():
    y = np.array([[1, 0], [0, 0], [1, 1], [1, 0]])
    values = np.array([[2.0, -1], [1, -1], [3, -2], [-1, -3]])
    found = score(part(y), values, "multilabel", True)
    # Wrong: the first label of rows 1 and 3, the second of row 2.
    assert found.error == pytest.approx(100 * 3 / 8)
    # Of the first label half of rows with it absent... one of one wrong, one of three; of the second 0 of 3, 1 of 1.
    assert score(part(y), values, "multilabel", False).error == pytest.approx(100 * np.mean([1, 1 / 3, 0, 1]))
    given = 1 / (1 + np.exp(-values))
    assert found.loss == pytest.approx(-np.log(np.where(y, given, 1 - given)).mean())
    numbers, told = GENERATOR.normal(size=(20, 1)), GENERATOR.normal(size=(20, 1))
    found = score(part(numbers, WEIGHT[:20]), told, "regression", True)
    expected = mean_squared_error(numbers, told, sample_weight=WEIGHT[:20])
    assert found.loss == pytest.approx(expected) and found.error == pytest.approx(100 * np.sqrt(expected))
    assert np.isnan(found.calibration)


def test_calibration_of_labels_counts_every_label():
    y = np.array([[1, 0], [1, 1]])
    values = np.full((2, 2), np.log(0.8 / 0.2))
    # Confidence .8 in four labels of which three are there.
    assert score(part(y), values, "multilabel", True).calibration == pytest.approx(100 * abs(0.8 - 0.75))


def test_chance_is_the_best_single_answer_less_two_standard_errors():
    y = np.eye(2)[np.repeat([0, 1], [70, 30])]
    assert chance(part(y), "classes", True) == pytest.approx(30 - 2 * np.sqrt(0.3 * 0.7 / 100) * 100)
    assert chance(part(y), "classes", False) == pytest.approx(50 - 2 * 5)
