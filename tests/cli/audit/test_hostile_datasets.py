"""Saved datasets that are damaged, ambiguous or merely odd."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.cli.reading import Options, open_data
from kmix_tf.cli.reading.sample import collect
from kmix_tf.cli.terminal import UserError

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2


def read(path):
    return collect(open_data([str(path)], Options()), 10_000, 0)


def dataset(path, x, y, *, batch=None, drop=False, take=None):
    made = tf.data.Dataset.from_tensor_slices((x, y))
    made = made if batch is None else made.batch(batch, drop_remainder=drop)
    (made if take is None else made.take(take)).save(str(path))
    return path


@pytest.mark.parametrize(("batch", "drop", "kept"), [(None, False, 6), (4, False, 6), (4, True, 4), (2, True, 6)])
@pytest.mark.parametrize("hot", [False, True])
def test_batches_of_every_kind_hold_the_same_samples(batch, drop, kept, hot, tmp_path):
    labels = np.array([0, 1, 1, 0, 1, 1])
    y = np.eye(2, dtype=np.float32)[labels] if hot else labels
    # Two features and two classes: shapes alone do not tell a sample from a batch of two.
    sample = read(dataset(tmp_path / "d", X, y, batch=batch, drop=drop))
    np.testing.assert_array_equal(sample.x, X[:kept])
    assert sample.y.tolist() == labels[:kept].tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float32])
@pytest.mark.parametrize("ordered", [False, True])
def test_one_hot_labels_of_samples_as_long_as_classes_are_many_are_no_batches(dtype, ordered, tmp_path):
    # Ordered by class, the first hundred are of one.
    labels = np.repeat(np.arange(3), 110) if ordered else np.arange(40) % 3
    x = np.arange(3.0 * len(labels)).reshape(-1, 3)
    sample = read(dataset(tmp_path / "d", x, np.eye(3, dtype=dtype)[labels]))
    np.testing.assert_array_equal(sample.x, x)
    assert sample.y.tolist() == labels.tolist()


# Each batch holds a 0 and then a 1, as one-hot labels of one class would; or they are few, and it may be chance.
@pytest.mark.parametrize(("pattern", "count"), [([0, 1], 80), ([0, 1, 1, 0], 36)])
def test_labels_that_may_be_one_hot_or_a_batch_are_refused_with_what_tells(pattern, count, tmp_path):
    x, y = np.arange(2.0 * count).reshape(count, 2), np.resize(pattern, count)
    with pytest.raises(UserError, match=r"samples or batches.*dataset\.unbatch\(\)\.batch\(64\) if batches"):
        read(dataset(tmp_path / "d", x, y, batch=2, drop=True))
    sample = read(dataset(tmp_path / "again", x, y, batch=64))
    assert sample.y.tolist() == y.tolist()


@pytest.mark.parametrize("batch", [None, 4])
def test_an_empty_dataset_is_refused(batch, tmp_path):
    with pytest.raises(UserError, match="is empty: it holds no samples"):
        read(dataset(tmp_path / "d", X, Y, batch=batch, take=0))


@pytest.mark.parametrize("batch", [None, 2])
def test_a_saved_dataset_cut_short_is_refused_rather_than_halved(batch, tmp_path):
    path = dataset(tmp_path / "d", X, Y, batch=batch)
    (shard,) = path.rglob("*.snapshot")
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut short|can be read"):
        read(path)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (tf.ragged.constant([[1.0], [1.0, 2.0], [2.0]]), [0, 1, 0], r"must be pairs \(x, y\) of tensors"),
        ({"a": X}, Y, r"must be pairs \(x, y\) of tensors"),
        (X.astype(str), Y, "x must be numbers"),
        (X, [b"\xff", b"a"] * 3, "can be read"),
    ],
)
def test_elements_that_are_no_pairs_of_numbers_and_labels_are_refused(x, y, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        read(dataset(tmp_path / "d", x, y))
    assert "\n" not in str(caught.value)


def test_samples_of_several_shapes_are_refused(tmp_path):
    signature = (tf.TensorSpec([None]), tf.TensorSpec([], tf.int32))
    made = tf.data.Dataset.from_generator(
        lambda: iter([(np.zeros(2), 0), (np.zeros(3), 1)]), output_signature=signature
    )
    made.save(str(tmp_path / "d"))
    with pytest.raises(UserError, match="different shapes") as caught:
        read(tmp_path / "d")
    assert "function_node" not in str(caught.value)
