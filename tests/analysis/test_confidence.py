import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.analysis.calibration import expected_calibration_error
from kmix_tf.analysis.confidence import confidence_histogram


def predictions(size, classes, seed):
    generator = np.random.default_rng(seed)
    return generator.integers(0, classes, size), generator.dirichlet(np.full(classes, 0.5), size)


@given(st.integers(1, 60), st.integers(2, 4), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_it_counts_as_a_loop_does(size, classes, bins, seed):
    y, probabilities = predictions(size, classes, seed)
    expected = {True: np.zeros(bins), False: np.zeros(bins)}
    for label, row in zip(y, probabilities, strict=True):
        (place,) = [b for b in range(bins) if b / bins < row.max() <= (b + 1) / bins]
        expected[bool(row.argmax() == label)][place] += 1 / size
    ours = confidence_histogram(y, probabilities, bins)
    np.testing.assert_allclose(ours.right, expected[True], atol=1e-12)
    np.testing.assert_allclose(ours.wrong, expected[False], atol=1e-12)
    np.testing.assert_allclose(ours.edges, np.arange(bins + 1) / bins)
    assert ours.mean_confidence == pytest.approx(probabilities.max(axis=1).mean())
    assert ours.accuracy == pytest.approx((probabilities.argmax(axis=1) == y).mean())


def test_of_one_bin_the_calibration_error_is_confidence_less_accuracy():
    y, probabilities = predictions(200, 3, 0)
    histogram = confidence_histogram(y, probabilities)
    error = expected_calibration_error(y, probabilities, bins=1)
    assert error == pytest.approx(abs(histogram.mean_confidence - histogram.accuracy))


def test_certainty_is_in_the_last_bin_and_a_single_unit_is_two_classes():
    histogram = confidence_histogram([1, 0, 1], [[1.0], [1.0], [0.0]], bins=4)
    np.testing.assert_allclose(histogram.right, [0, 0, 0, 1 / 3])
    np.testing.assert_allclose(histogram.wrong, [0, 0, 0, 2 / 3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 0}, "confidence_histogram: bins must be an integer >= 1. Received: bins=0."),
        ({"probabilities": [[2.0, -1.0]]}, "confidence_histogram: rows of probabilities must be >= 0 and sum to 1"),
        ({"y": [2]}, r"labels must be integers in \[0, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        confidence_histogram(**{"y": [0], "probabilities": [[0.5, 0.5]], **arguments})
