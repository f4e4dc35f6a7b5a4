import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.cli.audit.errors import AuditError
from kmix_tf.cli.audit.reading.sampling import Reservoir
from kmix_tf.cli.audit.reading.scanning import Scanner


def sampled(rows, limit, seed, cuts=()):
    reservoir = Reservoir(limit, seed)
    for block in np.split(rows, cuts):
        reservoir.add(block)
    return reservoir.sample()


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5), st.lists(st.integers(0, 60), max_size=6))
def test_a_sample_does_not_depend_on_how_the_stream_is_cut(size, limit, seed, cuts):
    rows = np.arange(3.0 * size).reshape(size, 3)
    x, index = sampled(rows, limit, seed)
    again, same_index = sampled(rows, limit, seed, sorted(min(cut, size) for cut in cuts))
    assert len(index) == min(size, limit) and (np.diff(index) > 0).all()
    np.testing.assert_array_equal(x, rows[index])
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(same_index, index)


def test_every_row_is_sampled_equally_often_and_another_seed_samples_others():
    rows = np.arange(20.0)[:, np.newaxis]
    counts = np.zeros(20)
    for seed in range(2000):
        counts[sampled(rows, 5, seed, [3, 11])[1]] += 1
    # Each count is Binomial(2000, 1/4): 500 +- 116 is six standard deviations, for 20 rows 4e-8 of false alarms.
    assert np.abs(counts - 500).max() < 116


def test_copies_with_other_labels_are_found_across_blocks_and_copies_with_one_label_are_not():
    x = np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 2.0], [-0.0, 3.0], [5.0, 5.0], [5.0, 5.0], [1.0, 2.0]])
    scanner = Scanner("data", None)
    scanner.add(x[:2])
    scanner.add(x[2:])
    assert scanner.contradictions(np.array([0, 1, 1, 0, 1, 1, 0])) == [[0, 2, 6], [1, 3]]
    assert scanner.contradictions(np.zeros(7, int)) == []


def test_features_that_never_change_are_named():
    scanner = Scanner("data", ["a", "b", "c"])
    scanner.add(np.array([[1, 2, 3], [1, 5, 3]]))
    scanner.add(np.array([[1, 2, 4]]))
    assert scanner.constant() == ["a"]


def test_a_value_that_is_not_finite_is_named_with_its_sample_and_column():
    scanner = Scanner("data", ["a", "b"])
    scanner.add(np.zeros((4, 2)))
    with pytest.raises(AuditError, match="Received: inf in sample 5, feature b"):
        scanner.add(np.array([[0, 0], [0, np.inf]]))
