"""Faults in the data: the error says which batch; or that batch alone is left out, counted, and never silently."""

import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmix_tf import ChoiceLayer, CutMixLayer, KMixupLayer, MixLayer, RecursiveMixLayer, SkippedBatches, mix, skipping

RNG = np.random.default_rng(3)
BATCH, COUNT = 4, 6
X = RNG.normal(size=(BATCH * COUNT, 6, 6, 1)).astype(np.float32)
Y = np.arange(BATCH * COUNT) % 3
WEIGHT = RNG.uniform(0.5, 1.5, BATCH * COUNT).astype(np.float32)
# What happens to one sample, the part of the batch it is in, and words of the error.
FAULTS = {
    "NaN in features": (0, np.nan, "features must be finite"),
    "infinity in features": (0, -np.inf, "features must be finite"),
    "a label too large": (1, 3, "labels in [0, 3)"),
    "a label below 0": (1, -1, "labels in [0, 3)"),
    "NaN in weights": (2, np.nan, "sample_weight must be finite"),
    "a negative weight": (2, -1.0, "sample_weight must be >= 0"),
}
LAYERS = {
    "k-mixup": lambda: KMixupLayer(2, num_classes=3),
    "CutMix": lambda: CutMixLayer(num_classes=3),
    "choice": lambda: ChoiceLayer([MixLayer(num_classes=3), CutMixLayer(num_classes=3)]),
}


def spoiled(batches, part=0, value=np.nan, arrays=(X, Y, WEIGHT)):
    """The arrays, in which one sample of each of these batches is spoiled."""
    arrays = [np.array(each) for each in arrays]
    for batch in batches:
        arrays[part][batch * BATCH + 1] = value
    return tuple(arrays)


def dataset(arrays=(X, Y, WEIGHT)):
    return tf.data.Dataset.from_tensor_slices(tuple(arrays)).batch(BATCH)


def stream(data):
    return [tuple(np.asarray(leaf) for leaf in tf.nest.flatten(element)) for element in data]


def is_same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(*leaves) for pair in zip(first, second, strict=True) for leaves in zip(*pair, strict=True)
    )


def left_out(stream, batches):
    return [element for at, element in enumerate(stream) if at not in batches]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "mix: the batch of step")
        yield


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.representatives("fault", ["infinity in features", "a label below 0", "NaN in weights"])
def test_the_error_names_the_batch_by_its_step_and_what_leaves_it_out(fault):
    part, value, words = FAULTS[fault]
    data = dataset(spoiled([4], part, value)).apply(mix(LAYERS["k-mixup"](), seed=0))
    iterator, seen = iter(data), []
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        for element in iterator:
            seen.append(element)
    message = str(caught.value).replace("\\'", "'")
    assert words in message and "step:] [4]" in message and "mix(layer, on_invalid='skip')" in message
    # What came before the batch was mixed, and what comes after it can be.
    assert len(seen) == 4 and len(list(iterator)) == 1


def test_a_map_cannot_leave_out_and_says_what_can():
    layer = MixLayer(num_classes=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"kmix_tf\.mix") as caught:
        list(dataset(spoiled([1])).map(layer))
    assert "step" not in str(caught.value)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be finite") as caught:
        layer(*spoiled([0]))
    assert "on_invalid" not in str(caught.value)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.representatives(
    "name, fault", [("k-mixup", "NaN in features"), ("k-mixup", "a negative weight"), ("choice", "a label too large")]
)
def test_a_batch_is_left_out_and_all_others_are_what_they_would_be(name, fault):
    part, value, _ = FAULTS[fault]
    clean = stream(dataset().apply(mix(LAYERS[name](), seed=7)))
    skipped = SkippedBatches()
    data = dataset(spoiled([1, 4], part, value)).apply(mix(LAYERS[name](), seed=7, on_invalid=skipped))
    assert is_same(stream(data), left_out(clean, {1, 4}))
    assert (skipped.count, skipped.steps) == (2, (1, 4))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sets(st.integers(0, COUNT - 1), max_size=COUNT - 1))
def test_whichever_batches_are_spoiled_the_others_come(which, clean, fed):
    rows, data, skipped = fed
    rows[...] = spoiled(which)[0]
    before = skipped.count
    mixed = stream(data)
    assert [element[0].shape for element in mixed] == [element[0].shape for element in left_out(clean, which)]
    assert skipped.steps[before:] == tuple(sorted(which))


@pytest.fixture(scope="module")
def fed():
    """Rows, a pipeline that reads them anew in each epoch, and its counter."""
    rows, skipped = np.array(X), SkippedBatches()
    signature = (tf.TensorSpec([6, 6, 1]), tf.TensorSpec([], tf.int64), tf.TensorSpec([]))
    data = tf.data.Dataset.from_generator(lambda: zip(rows, Y, WEIGHT, strict=True), output_signature=signature)
    stage = mix(KMixupLayer(2, num_classes=3), seed=7, num_parallel_calls=3, on_invalid=skipped)
    return rows, data.batch(BATCH).apply(stage), skipped


@pytest.fixture(scope="module")
def clean():
    return stream(dataset().apply(mix(KMixupLayer(2, num_classes=3), seed=7)))


def test_nothing_is_left_out_of_sound_data_whose_kind_stays(clean):
    stage = mix(KMixupLayer(2, num_classes=3), seed=7, on_invalid="skip")
    static = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)).batch(BATCH, drop_remainder=True)
    for data in (dataset(), static):
        mixed = data.apply(stage)
        assert is_same(stream(mixed), clean)
        assert mixed.element_spec == data.apply(mix(KMixupLayer(2, num_classes=3), seed=7)).element_spec


def test_each_epoch_counts_and_a_batch_met_again_counts_once(tmp_path):
    skipped = SkippedBatches()
    data = dataset(spoiled([1, 4])).apply(mix(MixLayer(num_classes=3), seed=7, on_invalid=skipped))
    whole = stream(data)
    assert skipped.count == 2
    iterator = iter(data)
    next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
    rest = stream(iterator)
    assert skipped.count == 4 and skipped.steps == (1, 4, 1, 4) and len(rest) == len(whole) - 1
    resumed = iter(data)
    tf.train.Checkpoint(iterator=resumed).restore(path)
    assert is_same(stream(resumed), rest)
    assert skipped.count == 4


def test_a_counter_can_be_pickled_and_copied_and_counts_on():
    skipped = SkippedBatches()
    list(dataset(spoiled([1])).apply(mix(MixLayer(num_classes=3), seed=7, on_invalid=skipped)))
    for kept in (pickle.loads(pickle.dumps(skipped)), copy.deepcopy(skipped)):
        assert (kept.count, kept.steps, repr(kept)) == (1, (1,), "SkippedBatches(count=1)")
        # Another process' first epoch has the same draws: what it meets again counts once.
        list(dataset(spoiled([1, 2])).apply(mix(MixLayer(num_classes=3), seed=7, on_invalid=kept)))
        assert kept.steps == (1, 2)
    assert skipped.count == 1


def test_the_first_the_tenth_and_the_hundredth_are_told():
    x, y = np.zeros((120, 2), np.float32), np.zeros(120, np.float32)
    x[:110] = np.nan
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(1).apply(mix(MixLayer(), seed=0, on_invalid="skip"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(list(data)) == 10
    told = [str(each.message) for each in caught if "left out" in str(each.message)]
    assert [text.split("step ")[1].split()[0] for text in told] == ["0", "9", "99"]
    assert all("MixLayer: features must be finite" in text for text in told)


def test_a_dataset_of_which_nothing_is_left_is_told_and_an_empty_one_stays_empty():
    stage = mix(MixLayer(num_classes=3), seed=0, on_invalid="skip")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(dataset(spoiled(range(COUNT))).apply(stage))
    message = str(caught.value)
    assert "none that can be mixed, of so many" in message and f"[{COUNT}]" in message and "must be finite" in message
    assert list(dataset().take(0).apply(stage)) == []
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.raises(tf.errors.InvalidArgumentError, match="none that can be mixed"):
        model.fit(dataset(spoiled(range(COUNT))).apply(stage), verbose=0)


def test_an_endless_dataset_of_nothing_ends(monkeypatch):
    monkeypatch.setattr(skipping, "_IN_A_ROW", 20)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"in a row:\] \[20\]"):
        list(dataset(spoiled(range(COUNT))).repeat().apply(mix(MixLayer(num_classes=3), on_invalid="skip")))
    # Not in a row.
    data = dataset(spoiled(range(1, COUNT))).repeat(9).apply(mix(MixLayer(num_classes=3), on_invalid="skip"))
    assert len(list(data)) == 9


def test_what_is_carried_passes_a_batch_that_is_left_out():
    layer = RecursiveMixLayer(num_classes=3)
    skipped = SkippedBatches()
    mixed = stream(dataset(spoiled([2])).apply(mix(layer, seed=7, on_invalid=skipped)))
    clean = stream(dataset().apply(mix(layer, seed=7)))
    assert is_same(mixed[:2], clean[:2]) and len(mixed) == COUNT - 1 and skipped.steps == (2,)
    assert all(np.isfinite(leaf).all() for element in mixed for leaf in element)
    # The batch after is mixed with the one before: its labels are of its own three classes and of those.
    assert not np.array_equal(mixed[2][1], clean[3][1])


def test_with_two_loaders_a_fault_on_either_side_leaves_out_the_pair():
    clean = tf.data.Dataset.zip((dataset(), dataset()))
    ours = tf.data.Dataset.zip((dataset(spoiled([1])), dataset(spoiled([3], 1, 9))))
    skipped = SkippedBatches()
    layer = MixLayer(num_classes=3)
    expected = stream(clean.apply(mix(layer, seed=7, between=True)))
    mixed = stream(ours.apply(mix(layer, seed=7, between=True, on_invalid=skipped)))
    assert is_same(mixed, left_out(expected, {1, 3})) and skipped.steps == (1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"step:\] \[1\]"):
        list(ours.apply(mix(layer, seed=7, between=True)))


def test_dictionaries_half_precision_and_what_rides_along():
    ragged = tf.RaggedTensor.from_row_lengths(tf.range(4 * 6), [1] * 23 + [1])
    x = {"table": np.ones((24, 5), np.float16), "name": ragged, "id": np.array([str(i) for i in range(24)])}
    x["table"][9] = np.inf
    data = tf.data.Dataset.from_tensor_slices((x, {"y": np.zeros(24, np.float32)})).batch(BATCH)
    layer = MixLayer(passthrough=["name", "id"])
    skipped = SkippedBatches()
    mixed = list(data.apply(mix(layer, seed=1, on_invalid=skipped)))
    assert len(mixed) == 5 and skipped.steps == (2,)
    assert mixed[2][0]["id"].numpy()[0] == b"12" and mixed[2][0]["table"].dtype == tf.float16


class Broken(Exception):
    pass


def test_what_the_source_raises_comes_through_and_can_be_ignored_as_without_a_mix():
    def source():
        yield from ((X[at], Y[at]) for at in range(9))
        raise Broken("the disk")

    signature = (tf.TensorSpec([6, 6, 1]), tf.TensorSpec([], tf.int64))
    data = tf.data.Dataset.from_generator(source, output_signature=signature).batch(BATCH)
    for on_invalid in ("raise", "skip"):
        mixed = data.apply(mix(MixLayer(num_classes=3), seed=0, on_invalid=on_invalid))
        with pytest.raises(tf.errors.UnknownError, match="the disk"):
            list(mixed)
        plain = len(list(data.ignore_errors()))
        assert len(list(mixed.ignore_errors())) == plain == 2


def test_steps_count_from_the_initial_one():
    skipped = SkippedBatches()
    stage = mix(MixLayer(num_classes=3), seed=7, initial_step=100, on_invalid=skipped)
    list(dataset(spoiled([2])).apply(stage))
    assert skipped.steps == (102,)


def test_fit_trains_on_what_is_left_and_counts():
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    skipped = SkippedBatches()
    data = dataset(spoiled([0, 5])).apply(mix(MixLayer(num_classes=3), seed=7, on_invalid=skipped))
    history = model.fit(data, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    # Keras may begin an epoch more, to see whether there is one.
    assert skipped.count in (4, 5, 6) and set(skipped.steps) == {0, 5}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_invalid": "drop"}, "on_invalid must be 'raise', 'skip' or a kmix_tf.SkippedBatches"),
        ({"on_invalid": True}, "on_invalid must be"),
        ({"on_invalid": SkippedBatches}, "on_invalid must be"),
        ({"on_invalid": SkippedBatches(), "salted": True}, "counted in another process"),
    ],
)
def test_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=f"^mix: .*{message}"):
        mix(MixLayer(), **options)


def test_salted_leaves_out_and_says_so_where_the_graph_runs(capfd):
    data = dataset(spoiled([1])).apply(mix(MixLayer(num_classes=3), salted=True, on_invalid="skip"))
    assert len(list(data)) == COUNT - 1
    assert "mix: a batch is left out" in capfd.readouterr().err
