import numpy as np
import pytest

from kmix_tf.analysis import expected_calibration_error, reliability_curve


def by_the_definition(y, probabilities, bins):
    """The sum over bins, one sample at a time."""
    total = 0.0
    for b in range(bins):
        members = [i for i, p in enumerate(probabilities) if b / bins < max(p) <= (b + 1) / bins]
        if members:
            confidence = sum(max(probabilities[i]) for i in members) / len(members)
            accuracy = sum(int(np.argmax(probabilities[i]) == y[i]) for i in members) / len(members)
            total += len(members) / len(y) * abs(confidence - accuracy)
    return total


@pytest.mark.parametrize("bins", (1, 7, 10, 15))
def test_the_error_equals_the_definition(bins):
    generator = np.random.default_rng(bins)
    probabilities = generator.dirichlet(np.ones(4), size=300)
    y = generator.integers(0, 4, 300)
    expected = by_the_definition(y, probabilities, bins)
    assert expected_calibration_error(y, probabilities, bins) == pytest.approx(expected, abs=1e-12)
    assert expected_calibration_error(np.eye(4)[y], probabilities, bins) == pytest.approx(expected, abs=1e-12)


def test_a_calibrated_predictor_has_a_small_error_and_an_overconfident_one_its_excess():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 200_000)
    correct = generator.random(200_000) < confidence
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    # 5 bins of 40,000: a bin's accuracy has a standard error below 0.0025, so 0.01 is exceeded in none of 10^4 runs.
    assert expected_calibration_error(np.where(correct, 0, 1), probabilities) < 0.01
    always = np.tile([0.9, 0.1], (1000, 1))
    assert expected_calibration_error(np.arange(1000) % 2, always) == pytest.approx(0.4)


def test_a_confidence_on_an_edge_falls_into_the_lower_bin_and_certainty_into_the_last():
    curve = reliability_curve([0, 0, 0], [[0.7, 0.3], [0.71, 0.29], [1.0, 0.0]], bins=10)
    assert curve.count.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 0, 1]
    assert np.isnan(curve.accuracy[0]) and curve.accuracy[9] == 1


@pytest.mark.parametrize(
    ("y", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], "y of shape"),
        ([], np.zeros((0, 2)), "y of shape"),
        ([0, 1], [[2.0, -1.0], [0.0, 1.0]], "take a softmax"),
        ([0, 1], [[3.0, 1.0], [0.0, 1.0]], "take a softmax"),
        ([0, 1], [[np.nan, 0.5], [0.0, 1.0]], "take a softmax"),
    ],
)
def test_what_is_no_prediction_is_refused(y, probabilities, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, probabilities)


def test_bins_must_be_a_positive_integer():
    with pytest.raises(ValueError, match=r"reliability_curve: bins must be an integer >= 1. Received: bins=0."):
        reliability_curve([0], [[1.0, 0.0]], bins=0)
