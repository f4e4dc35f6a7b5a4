import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading import sample as sample_module
from kmix_tf.cli.reading import source as source_module
from kmix_tf.cli.reading.labels import encode
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.reading.source import Reservoir, Scanner
from kmix_tf.cli.terminal import UserError


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
    with pytest.raises(UserError, match="Received: inf in sample 5, feature b"):
        scanner.add(np.array([[0, 0], [0, np.inf]]))


def read(folder, x, y, limit=10_000):
    np.savez(folder / "d.npz", x=x, y=y)
    return collect(open_data([str(folder / "d.npz")], Options()), limit, 0)


def test_large_samples_are_fewer_than_asked_for_and_too_large_ones_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_module, "MOST_VALUES", 100)
    x, y = np.random.default_rng(0).normal(size=(60, 10)), np.arange(60) % 2
    sample = read(tmp_path, x, y)
    assert len(sample.x) == 10 and sample.total == 60 and sample.counts.tolist() == [30, 30]
    np.testing.assert_array_equal(sample.x, x[sample.index])
    assert len(read(tmp_path, x[:, :1], y).x) == 60
    with pytest.raises(UserError, match=r"a sample must hold at most 50 values\. Received: 51"):
        read(tmp_path, np.zeros((60, 51)), y)


def test_data_of_many_blocks_are_read_as_data_of_one(tmp_path, monkeypatch):
    x, y = np.random.default_rng(1).normal(size=(50, 4)), np.arange(50) % 3
    x[40], x[:, 2] = x[3], 5
    whole = read(tmp_path, x, y, limit=20)
    monkeypatch.setattr(source_module, "BLOCK_VALUES", 28)
    seen = []
    blocks = collect(open_data([str(tmp_path / "d.npz")], Options()), 20, 0, seen.append)
    # Seven rows of four values, and what is left.
    assert seen == [7] * 7 + [1]
    np.testing.assert_array_equal(blocks.x, whole.x)
    assert blocks.index.tolist() == whole.index.tolist() and blocks.constant == whole.constant == ["2"]
    # 40 and 3 are of classes 1 and 0.
    assert blocks.contradictions == whole.contradictions == [[3, 40]]


def test_a_draw_that_leaves_one_class_or_two_samples_is_refused(tmp_path):
    x, y = np.arange(50.0)[:, np.newaxis], (np.arange(50) == 49).astype(int)
    with pytest.raises(UserError, match="at least 3 samples of two classes must be measured") as caught:
        read(tmp_path, x, y, limit=4)
    assert "Received: 4 of 1 after drawing from 50. Raise --max-samples" in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "samples", "are_classes"),
    [(20, 21, True), (21, 41, False), (21, 42, True), (50, 100, True), (51, 100, False)],
)
def test_labels_are_classes_if_few_or_each_is_met_twice_on_average(kinds, samples, are_classes):
    labels = np.arange(samples) % kinds
    if are_classes:
        assert len(encode(labels, "y").names) == kinds
    else:
        with pytest.raises(UserError, match=f"{kinds} different values in {samples} samples"):
            encode(labels, "y")
    # A folder says which classes there are, however few of its images are drawn.
    known = [f"{kind:03}" for kind in range(kinds)]
    found = encode(np.array(known[::2]), "y", known)
    assert found.names.tolist() == known and found.y.tolist() == list(range(0, kinds, 2))
