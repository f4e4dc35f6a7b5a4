import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from kmix_tf.analysis import expected_calibration_error, reliability_curve
from kmix_tf.analysis.calibration import predictions_of


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
        ([0, 2], np.eye(2), r"labels must be integers in \[0, 2\). Received: labels from 0 to 2."),
        ([0, -1], np.eye(2), r"labels must be integers in \[0, 2\)"),
        ([0, 0.5], np.eye(2), r"labels must be integers in \[0, 2\)"),
        (np.eye(3)[:2], np.eye(2), r"y must be \(n,\) or \(n, 2\)"),
        ([[np.nan, 1], [0, 1]], np.eye(2), "finite"),
    ],
)
def test_what_is_no_prediction_is_refused(y, probabilities, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, probabilities)


@pytest.mark.parametrize("off", [-0.008, 0.008])
def test_probabilities_may_sum_to_1_as_roughly_as_half_precision_does(off):
    p, y = np.random.default_rng(0).dirichlet(np.ones(4), 50), np.arange(50) % 4
    assert expected_calibration_error(y, p * (1 + off), 1) == pytest.approx(
        expected_calibration_error(y, p, 1), abs=abs(off)
    )
    with pytest.raises(ValueError, match="sum to 1"):
        expected_calibration_error(y, p * (1 + 2 * off))


def test_bins_must_be_a_positive_integer():
    with pytest.raises(ValueError, match=r"reliability_curve: bins must be an integer >= 1. Received: bins=0."):
        reliability_curve([0], [[1.0, 0.0]], bins=0)


def test_a_column_of_labels_is_labels_and_of_soft_labels_the_largest_counts():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    expected = expected_calibration_error([0, 1, 0], p)
    for y in ([[0], [1], [0]], tf.constant([0, 1, 0]), [[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]]):
        assert expected_calibration_error(y, tf.constant(p)) == expected
    assert expected_calibration_error([0, 1, 0], p[:, 1:]) == pytest.approx(expected, abs=1e-15)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32))
def test_bins_of_equal_mass_hold_equal_numbers_in_order_of_confidence(size, bins, seed):
    rng = np.random.default_rng(seed)
    confidence = rng.permutation(np.linspace(0.5, 1, size))
    hits = rng.random(size) < 0.7
    curve = reliability_curve(np.where(hits, 0, 1), np.c_[confidence, 1 - confidence], bins, "mass")
    assert np.ptp(curve.count) <= 1 and curve.count.sum() == size
    order, start = np.argsort(confidence), 0
    for b, count in enumerate(curve.count.astype(int)):
        members, start = order[start : start + count], start + count
        if count:
            # At a confidence of 1/2 the first class is the one predicted.
            assert curve.confidence[b] == pytest.approx(confidence[members].mean())
            assert curve.accuracy[b] == pytest.approx(hits[members].mean())


def test_equal_confidences_stay_together_in_the_bin_of_their_middle():
    # Ranks 0 | 1 2 3 4 5 | 6 7: the middle of the five is rank 3, in the second of four bins of two.
    confidence = np.array([0.6, *[0.7] * 5, 0.8, 0.9])
    # The last bit, in which a confidence may differ by the place of its class, must not part them.
    confidence[3] = np.nextafter(0.7, 1)
    curve = reliability_curve(np.zeros(8, int), np.c_[confidence, 1 - confidence], 4, "mass")
    assert curve.count.tolist() == [1, 5, 0, 2]
    one = reliability_curve(np.arange(10) % 2, np.full((10, 2), 0.5), 5, "mass")
    assert one.count.tolist() == [0, 0, 10, 0, 0]


def test_the_error_over_bins_of_equal_mass_is_that_of_the_definition():
    rng = np.random.default_rng(3)
    p, y = rng.dirichlet(np.ones(3), 100), rng.integers(0, 3, 100)
    order = np.argsort(p.max(axis=1)).reshape(10, 10)
    gaps = [abs(p[rows].max(axis=1).mean() - (p[rows].argmax(axis=1) == y[rows]).mean()) for rows in order]
    assert expected_calibration_error(y, p, 10, "mass") == pytest.approx(np.mean(gaps), abs=1e-12)
    assert abs(expected_calibration_error(y, p, 10) - np.mean(gaps)) > 1e-4, "widths must differ"


def test_another_binning_is_refused():
    with pytest.raises(ValueError, match="expected_calibration_error: binning must be one of 'width', 'mass'"):
        expected_calibration_error([0], [[1.0, 0.0]], binning="quantile")


@pytest.mark.parametrize("units", (3, 1))
@pytest.mark.parametrize("logits", (True, False))
def test_predictions_of_a_dataset_are_those_of_the_model_in_inference(units, logits):
    x = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    y = np.arange(10) % 2
    activation = None if logits else "softmax" if units > 1 else "sigmoid"
    layers = keras.layers.Input((4,)), keras.layers.Dropout(0.9), keras.layers.Dense(units, activation=activation)
    model = keras.Sequential(layers)
    ours = predictions_of(model, tf.data.Dataset.from_tensor_slices((x, y)).batch(4), logits=logits)
    scores = x @ model.layers[-1].get_weights()[0]
    expected = softmax(scores, axis=1) if units > 1 else np.c_[expit(-scores), expit(scores)]
    np.testing.assert_allclose(ours.probabilities, expected, rtol=1e-5)
    np.testing.assert_array_equal(ours.y, y)
    assert 0 <= expected_calibration_error(*ours) <= 1


BATCHES = tf.data.Dataset.from_tensor_slices((np.eye(2), [0, 1])).batch(2)


@pytest.mark.parametrize(
    ("model", "dataset", "options", "error", "message"),
    [
        (3, BATCHES, {}, TypeError, "model must be a Keras model or a callable"),
        (tf.identity, [0], {}, TypeError, "dataset must be a tf.data.Dataset. Received: dataset='list'"),
        (tf.identity, BATCHES.map(lambda x, y: (x, y, y)), {}, ValueError, "must be of batches"),
        (tf.identity, BATCHES.repeat(), {}, ValueError, "must end"),
        (tf.identity, BATCHES.filter(lambda x, y: False), {}, ValueError, "must not be empty"),
        (lambda x: 9 * x, BATCHES, {}, ValueError, "predictions_of: rows .* take a softmax of logits first"),
        (tf.identity, BATCHES, {"logits": 1}, ValueError, "logits must be True or False"),
    ],
    ids=lambda value: None,
)
def test_what_predicts_nothing_is_refused(model, dataset, options, error, message):
    with pytest.raises(error, match=message):
        predictions_of(model, dataset, **options)
