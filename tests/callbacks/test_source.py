"""Samples for a callback: where they come from, and that training does not notice."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.callbacks import source
from kmix_tf.callbacks.source import source_of

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20)


def shuffled():
    return tf.data.Dataset.range(12).shuffle(12, seed=1).batch(4)


def random_numbers():
    numbers = tf.data.Dataset.random(seed=1, rerandomize_each_iteration=True).map(lambda number: number % 100)
    return tf.data.Dataset.zip((numbers, tf.data.Dataset.range(12))).batch(4)


def generated():
    signature = tf.TensorSpec([], tf.int64)
    return tf.data.Dataset.from_generator(lambda: iter(range(12)), output_signature=signature).shuffle(12, 2).batch(4)


def nested():
    return tf.data.Dataset.range(2).flat_map(lambda _: tf.data.Dataset.range(6).shuffle(6, seed=2)).batch(4)


PIPELINES = {
    "shuffled": shuffled,
    "repeated": lambda: shuffled().repeat(2),
    "shuffled and repeated": lambda: tf.data.Dataset.range(12).repeat(2).shuffle(24, 5).batch(4).prefetch(1),
    "cached": lambda: tf.data.Dataset.range(12).cache().shuffle(12, seed=3).batch(4),
    "random": random_numbers,
    "generated": generated,
    "nested": nested,
    "drawn in a map": lambda: shuffled().map(lambda x: x + tf.random.uniform([], 0, 100, tf.int64, seed=1)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_look_does_not_move_what_training_draws(name):
    def epochs(looks):
        tf.random.set_seed(0)
        dataset = PIPELINES[name]()
        batches = []
        for epoch in range(3):
            if looks:
                source_of(dataset, 4, 0)(epoch)
            batches += [np.asarray(tf.nest.flatten(batch)[0]).tolist() for batch in dataset.map(lambda *x: x)]
        return batches

    assert epochs(looks=False) == epochs(looks=True)


def test_a_dataset_gives_its_first_batch_always():
    take = source_of(tf.data.Dataset.from_tensor_slices((X, Y)).batch(8), 3, 0)
    for epoch in (0, 5):
        x, y, weight = take(epoch)
        np.testing.assert_array_equal(x, X[:8])
        np.testing.assert_array_equal(y, Y[:8])
        assert weight is None


def test_large_data_in_memory_are_not_copied(monkeypatch):
    monkeypatch.setattr(source, "_MOST_BYTES", 100)
    monkeypatch.setattr(source, "_with_own_seeds", lambda graph: pytest.fail("copied"))
    np.testing.assert_array_equal(source_of(tf.data.Dataset.from_tensor_slices(X).batch(8), 3, 0)(0)[0], X[:8])


def test_what_cannot_be_copied_is_asked_itself(monkeypatch):
    monkeypatch.setattr(source, "_with_own_seeds", lambda graph: b"no graph")
    np.testing.assert_array_equal(source_of(tf.data.Dataset.from_tensor_slices(X).batch(8), 3, 0)(0)[0], X[:8])


def test_arrays_give_other_rows_in_each_epoch_and_the_same_in_the_same():
    data = {"a": X, "b": tf.constant(Y)}, Y, Y / 20
    take = source_of(data, 6, seed=3)
    seen = [np.asarray(take(epoch)[1]) for epoch in range(4)]
    assert all(len(set(rows)) == 6 for rows in seen)
    assert len({tuple(rows) for rows in seen}) == 4
    x, y, weight = source_of(data, 6, seed=3)(2)
    np.testing.assert_array_equal(y, seen[2])
    np.testing.assert_array_equal(x["a"], X[y])
    np.testing.assert_array_equal(x["b"], y)
    np.testing.assert_array_equal(weight, y / 20)
    assert not np.array_equal(source_of(data, 6, seed=4)(2)[1], seen[2])


def test_rows_for_validation_and_batches_that_are_too_large():
    assert source_of((X, Y), 100, 0, limit=5)(0)[1].max() < 5
    assert len(source_of((X, Y), 100, 0)(0)[0]) == 20


class Batches(getattr(keras.utils, "PyDataset", keras.utils.Sequence)):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[index::2], Y[index::2]


def test_a_py_dataset_gives_its_first_batch():
    np.testing.assert_array_equal(source_of(Batches(), 3, 0)(4)[1], Y[::2])


@pytest.mark.parametrize(
    "data", [iter([1]), 3, (n for n in range(3)), "a"], ids=["iterator", "number", "generator", "text"]
)
def test_what_can_be_gone_through_once_is_refused(data):
    with pytest.raises(TypeError, match=r"dataset must be a tf.data.Dataset of unmixed batches.*Received: dataset="):
        source_of(data, 3, 0)


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match=r"dataset must have a batch. Received: an empty dataset."):
        source_of(tf.data.Dataset.range(0), 3, 0)
