"""What `adapt` learns: means in one pass or from shards, and the data it refuses."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf import RescaledModel
from kmix_tf.models.rescaled.means import TrainingMeans


def classifier(shape=(3,), classes=4):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)])


def batches(*parts, size=8):
    return tf.data.Dataset.from_tensor_slices(parts).batch(size)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(50, 3)).astype("f4") + 2, generator.integers(0, 4, 50)


def test_a_million_samples_far_from_zero_keep_their_mean():
    # float32 sums of a million values near 1000 are off by several units; float64 ones are not.
    steps, size = 250, 4000
    values = 1000 + np.random.default_rng(0).normal(size=(steps, 1)).astype("f4")
    data = tf.data.Dataset.from_tensor_slices(values).map(
        lambda value: (tf.repeat(value[tf.newaxis], size, axis=0), tf.repeat(tf.cast(value > 1000, tf.int32), size))
    )
    rescaled = RescaledModel(classifier((1,), 2), 1.0)
    rescaled.adapt(data)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), values.mean(dtype="f8"), rtol=1e-7)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean)[1], (values > 1000).mean(), atol=1e-7)
    assert rescaled.measure(data).weight == steps * size


def test_the_size_of_batches_does_not_matter(data):
    found = [RescaledModel(classifier(), 1.0).measure(*data, batch_size=size) for size in (1, 7, 50, 100)]
    for means in found:
        np.testing.assert_allclose(means.features, data[0].astype("f8").mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(means.targets, np.eye(4)[data[1]].mean(axis=0), rtol=1e-12)


@pytest.mark.usefixtures("plain_functions")
@settings(max_examples=15)
@given(st.lists(st.integers(1, 49), min_size=0, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_means_of_shards_join_to_those_of_the_whole_in_any_order(data, cuts, random):
    weights = np.linspace(0.1, 2, 50)
    rescaled = RescaledModel(classifier(), 1.0)
    pieces = np.split(np.arange(50), sorted(cuts))
    random.shuffle(pieces)
    shards = [rescaled.measure(data[0][rows], data[1][rows], 16, weights[rows]) for rows in pieces]
    joined = shards[0].merge(*shards[1:])
    np.testing.assert_allclose(joined.features, np.average(data[0], axis=0, weights=weights), rtol=1e-6)
    np.testing.assert_allclose(joined.targets, np.average(np.eye(4)[data[1]], axis=0, weights=weights), rtol=1e-12)
    assert joined.weight == pytest.approx(weights.sum())
    rescaled.adapt(joined)
    np.testing.assert_allclose(np.asarray(rescaled.target_mean), joined.targets, rtol=1e-6)


def test_means_travel_between_processes_by_pickle(data):
    rescaled = RescaledModel(classifier(), 1.0)
    means = pickle.loads(pickle.dumps(rescaled.measure(*data)))
    rescaled.adapt(means)
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), data[0].mean(axis=0), rtol=1e-5)


def test_joining_changes_none_of_the_parts(data):
    rescaled = RescaledModel(classifier(), 1.0)
    first, second = rescaled.measure(data[0][:10], data[1][:10]), rescaled.measure(data[0][10:], data[1][10:])
    before = first.features.copy(), first.weight
    first.merge(second)
    np.testing.assert_array_equal(first.features, before[0])
    assert isinstance(first, TrainingMeans) and first.weight == before[1] == 10


def test_means_of_other_data_are_not_joined(data):
    first = RescaledModel(classifier(), 1.0).measure(*data)
    second = RescaledModel(classifier((2,)), 1.0).measure(data[0][:, :2], data[1])
    with pytest.raises(
        ValueError, match=r"merge needs means of data of one structure and shape.*float32:3.*float32:2"
    ):
        first.merge(second)


def test_no_bar_is_drawn_where_nobody_watches(data, capsys):
    RescaledModel(classifier(), 1.0).adapt(*data)
    assert capsys.readouterr().out == ""


def test_a_bar_is_drawn_where_a_person_watches(data, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    RescaledModel(classifier(), 1.0).adapt(*data)
    assert "RescaledModel: means" in capsys.readouterr().out


def test_each_element_is_taken_once(data):
    seen = []

    def count(i):
        seen.append(int(i))
        return i

    counted = tf.data.Dataset.range(5).map(lambda i: tf.numpy_function(count, [i], tf.int64))
    counted = counted.map(
        lambda i: (tf.fill([4, 3], tf.cast(tf.ensure_shape(i, []), tf.float32)), tf.zeros([4], tf.int32))
    )
    RescaledModel(classifier(), 1.0).adapt(counted)
    assert sorted(seen) == list(range(5))


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64", "uint8", "int64", "bool"))
def test_every_dtype_of_features_has_its_exact_mean(dtype):
    values = np.random.default_rng(0).integers(0, 2, (20, 3))
    x = tf.cast(values, dtype)
    rescaled = RescaledModel(classifier(), 1.0)
    rescaled.adapt(x, np.zeros(20, int))
    np.testing.assert_allclose(np.asarray(rescaled.feature_means[0]), values.mean(axis=0), rtol=1e-6)
    answer = rescaled(x)
    expected = rescaled(tf.cast(values, tf.float32))
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, expected, atol=2e-2 if "16" in dtype else 1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda x, y: batches(x, y).repeat(),
            ValueError,
            r"adapt needs a finite dataset.*repeats for ever.*take\(n\)",
        ),
        (lambda x, y: batches(x, y).take(0), ValueError, "at least one sample. Received: an empty dataset"),
        (lambda x, y: batches(x, y, 0.0 * y), ValueError, "sample weights that are all 0"),
        (lambda x, y: batches(x, y, -1.0 * y), ValueError, "sample_weight must be >= 0 and finite.*in batch 0"),
        (lambda x, y: batches(x, y, np.nan * y), ValueError, "sample_weight must be >= 0 and finite"),
        (lambda x, y: batches(x, y, x), ValueError, r"sample_weight must have the shape \(8,\).*\(8, 3\)"),
        (lambda x, y: batches(x, y, {"a": 1.0 * y}), ValueError, r"sample_weight must be one tensor \(batch,\)"),
        (lambda x, y: batches(x, {"a": y}), ValueError, r"targets \['a'\] for one of the outputs"),
        (lambda x, y: batches(x, (y, y)), ValueError, r"structured as the model's outputs"),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)),
            ValueError,
            r"targets must have a batch axis",
        ),
        (
            lambda x, y: batches({"a": x, "b": np.array(["s"] * 50)}, y),
            TypeError,
            r"features\['b'\] .* string",
        ),
        (
            lambda x, y: batches(tf.ragged.constant([[1.0]] * 50), y),
            TypeError,
            "features must be .*Ragged",
        ),
        (lambda x, y: batches(x), ValueError, r"adapt needs a dataset of batches \(x, y\)"),
        (lambda x, y: [(x, y)], ValueError, r"adapt needs a dataset of batches \(x, y\).*Received: list"),
    ],
)
def test_data_that_have_no_means_are_refused(data, change, error, message):
    with pytest.raises(error, match=message):
        RescaledModel(classifier(), 1.0).adapt(change(*data))


def test_nan_is_named_with_its_leaf_and_batch():
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()([inputs["a"], inputs["b"]])))
    x = {"a": np.zeros((20, 2), "f4"), "b": np.zeros((20, 2), "f4")}
    x["b"][17, 1] = np.inf
    with pytest.raises(ValueError, match=r"finite features and targets. Received: features\['b'\] .* in batch 2"):
        RescaledModel(model, 1.0).adapt(batches(x, np.zeros(20, int)))
    with pytest.raises(ValueError, match=r"Received: targets with NaN or infinity in batch 0"):
        RescaledModel(model, 1.0, "regression").adapt(batches({**x, "b": x["a"]}, np.full((20, 2), np.nan)))


def test_batches_of_several_ranks_are_refused():
    class Flat(keras.Model):
        def call(self, x):
            return tf.reshape(x, [tf.shape(x)[0], -1])[:, :2]

    uneven = tf.data.Dataset.range(1, 3).map(
        lambda i: (tf.zeros(tf.concat([[4], tf.fill([i], 2)], 0)), tf.zeros([4], tf.int32))
    )
    with pytest.raises(ValueError, match=r"one shape in all batches.*\(4, 2, 2\) in batch 1, after \(None, 2\)"):
        RescaledModel(Flat(), 1.0).adapt(uneven)


def test_unequal_lengths_are_refused():
    unequal = tf.data.Dataset.range(1).map(lambda i: (tf.zeros([4, 3]), tf.zeros([5], tf.int32)))
    with pytest.raises(ValueError, match=r"must be equally long. Received: 4 and 5"):
        RescaledModel(classifier(), 1.0).adapt(unequal)


def test_adapting_anew_to_other_shapes_is_refused(data):
    rescaled = RescaledModel(keras.Sequential([keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(2)]), 1.0)
    rescaled.adapt(np.zeros((4, 3, 2), "f4"), [0, 1, 1, 1])
    with pytest.raises(ValueError, match="adapt needs data of the shapes it had before"):
        rescaled.adapt(np.zeros((4, 5, 2), "f4"), [0, 1, 1, 1])


def test_a_name_that_means_no_feature_is_refused(data):
    with pytest.raises(ValueError, match=r"passthrough must name leaves of the batch. Received: 'id'"):
        RescaledModel(classifier(), 1.0, passthrough="id").adapt(*data)
