"""RecursiveMix against its recursion unrolled in NumPy; its state goes through tf.data and its checkpoints."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ChoiceLayer,
    ExponentialWeight,
    KMixupLayer,
    ManifoldMixModel,
    MixModel,
    MixSchedule,
    MixtureImages,
    RecursiveMixLayer,
    RescaledModel,
    mix,
)

RNG = np.random.default_rng(6)
CLASSES = 22
# Each sample is of a class and a colour of its own, so that mixtures show whose they are.
LABELS = np.arange(CLASSES)
IMAGES = np.zeros((CLASSES, 12, 8, 1), np.float32) + LABELS.reshape(-1, 1, 1, 1).astype(np.float32)


def dataset(*parts, size=5, **layer):
    """Batches of 5, 5, 5, 5 and 2, mixed."""
    parts = parts or (IMAGES, LABELS)
    data = tf.data.Dataset.from_tensor_slices(parts).batch(size)
    return data.apply(mix(RecursiveMixLayer(num_classes=CLASSES, **layer), seed=3))


def stream(data):
    return [tuple(np.asarray(part) for part in tf.nest.flatten(element)) for element in data]


def is_same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(ours, theirs)
        for pair in zip(first, second, strict=True)
        for ours, theirs in zip(*pair, strict=True)
    )


def kept_of(x, row):
    """The share of a mixture that is of the new sample, which is seen in its colour."""
    return (x[..., 0] == row).mean(axis=(1, 2))


def unrolled(batches, labels, size=5):
    """Labels of all batches, given what each shows of the new samples."""
    before, found = None, []
    for number, x in enumerate(batches):
        rows = np.arange(size * number, size * number + len(x))
        new = labels[rows]
        share = np.stack([kept_of(x[at : at + 1], row)[0] for at, row in enumerate(rows)])[:, np.newaxis]
        before = new if before is None else share * new + (1 - share) * before[np.arange(len(x)) % len(before)]
        found.append(before)
    return found


@pytest.mark.parametrize(
    "options", [{}, {"scope": "sample", "area": 1.0}, {"resize": "area"}], ids=["default", "all", "means"]
)
@pytest.mark.representatives("options", [{"scope": "sample", "area": 1.0}])
def test_labels_are_the_recursion_unrolled(options):
    batches = stream(dataset(**options))
    assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 2]
    assert (batches[0][0] == IMAGES[:5]).all(), "the first batch of an epoch is not mixed"
    expected = unrolled([x for x, _ in batches], np.eye(CLASSES))
    for (x, y), labels in zip(batches, expected, strict=True):
        np.testing.assert_allclose(y, labels, atol=1e-6)
        assert x.dtype == np.float32
    # Three generations are in some label of the third batch.
    assert ((batches[2][1] > 0).sum(axis=1) == 3).any()


def test_each_mixture_holds_the_one_before_it_whole():
    batches = stream(dataset(scope="sample", resize="nearest"))
    for number in range(1, 4):
        x, before = batches[number][0][..., 0], batches[number - 1][0][..., 0]
        for row in range(5):
            shown = x[row] != 5 * number + row
            if not shown.any():
                continue
            (top, bottom), (left, right) = [(each.min(), each.max() + 1) for each in np.nonzero(shown)]
            height, width = bottom - top, right - left
            rows = ((np.arange(height) + 0.5) * 12 / height).astype(int)
            columns = ((np.arange(width) + 0.5) * 8 / width).astype(int)
            assert (x[row, top:bottom, left:right] == before[row][rows][:, columns]).all()


def test_no_more_than_the_area_is_of_the_batch_before():
    batches = stream(dataset(scope="sample", area=0.25))
    for number, (x, _) in enumerate(batches[1:], start=1):
        for row, image in enumerate(x):
            # Sides are rounded to whole pixels: at most 6 x 4 of 12 x 8.
            assert (image[..., 0] == 5 * number + row).mean() >= 0.75
    assert is_same(stream(dataset(area=0.0)), stream(dataset(probability=0.0)))
    assert (np.concatenate([x for x, _ in stream(dataset(area=0.0))]) == IMAGES).all()


def test_a_longer_batch_is_filled_with_the_rows_of_a_shorter_one_before():
    parts = [tf.data.Dataset.from_tensors((IMAGES[a:b], LABELS[a:b])) for a, b in [(0, 2), (2, 7), (7, 8)]]
    data = parts[0].concatenate(parts[1]).concatenate(parts[2])
    layer = RecursiveMixLayer(num_classes=CLASSES, scope="sample", area=1.0)
    first, second, third = (y for _, y in stream(data.apply(mix(layer, seed=5))))
    assert (first == np.eye(CLASSES)[:2]).all()
    for row, label in enumerate(second):
        assert set(np.flatnonzero(label)) <= {2 + row, row % 2}
    assert ((second > 0).sum(axis=1) == 2).sum() >= 3
    assert set(np.flatnonzero(third[0])) <= {7, 2, 0}


class TestStreams:
    @pytest.mark.parametrize("calls", [None, 1, 4])
    @pytest.mark.representatives("calls", [4])
    def test_they_are_the_same_whatever_runs_in_parallel_and_new_in_each_epoch(self, calls):
        layer = RecursiveMixLayer(num_classes=CLASSES, scope="sample")
        data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(5)
        mixed = data.apply(mix(layer, seed=3, num_parallel_calls=calls))
        first, second = stream(mixed), stream(mixed)
        assert is_same(first, stream(dataset(scope="sample")))
        assert not is_same(first, second)
        assert (second[0][0] == IMAGES[:5]).all()
        assert mixed.cardinality() == 5
        assert mixed.element_spec[0].shape == (None, 12, 8, 1)

    def test_batches_of_a_known_size_begin_with_one_that_is_unmixed(self):
        data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(5, drop_remainder=True)
        mixed = stream(data.apply(mix(RecursiveMixLayer(num_classes=CLASSES, scope="sample"), seed=3)))
        assert is_same(mixed, stream(dataset(scope="sample"))[:4])

    def test_a_dataset_that_repeats_goes_on(self):
        data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(11).repeat()
        mixed = iter(data.apply(mix(RecursiveMixLayer(num_classes=CLASSES), seed=3)))
        batches = [next(mixed) for _ in range(3)]
        assert not (batches[2][0].numpy() == IMAGES[:11]).all()
        assert data.apply(mix(RecursiveMixLayer(num_classes=CLASSES))).cardinality() == tf.data.INFINITE_CARDINALITY

    @pytest.mark.parametrize("options", [{}, {"k": 2}], ids=["row by row", "k"])
    @pytest.mark.representatives("options", [{"k": 2}])
    def test_a_checkpoint_resumes_in_mid_epoch_with_what_is_carried(self, options, tmp_path):
        whole = stream(dataset(**options))
        iterator = iter(dataset(**options))
        taken = [next(iterator) for _ in range(2)]
        path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "iterator"))
        next(iterator)  # going on after the checkpoint must not matter
        resumed = iter(dataset(**options))
        tf.train.Checkpoint(iterator=resumed).restore(path)
        assert is_same(stream(taken) + stream(resumed), whole)

    def test_a_schedule_counts_steps_and_what_is_left_as_it_is_is_carried_on(self):
        data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(2).repeat()
        layer = RecursiveMixLayer(num_classes=CLASSES, schedule=MixSchedule(4, off_after=1))
        mixed = stream(data.apply(mix(layer, seed=3)).take(8))
        assert [bool((y.max(axis=1) == 1).all()) for _, y in mixed][4:] == [True] * 4
        assert not all((y.max(axis=1) == 1).all() for _, y in mixed[1:4])
        seldom = stream(dataset(probability=0.5, size=2))
        are_plain = [bool((y.max(axis=1) == 1).all()) for _, y in seldom]
        assert {*are_plain[1:]} == {True, False}
        after = are_plain.index(True, 1)
        following = next(at for at in range(after + 1, len(seldom)) if not are_plain[at])
        assert ((seldom[following][1] > 0).sum(axis=1) <= following - after + 1).all()


def test_weights_of_samples_count_by_the_share_that_each_has_in_the_end():
    weights = RNG.uniform(0.5, 2, CLASSES).astype(np.float32)
    batches = stream(dataset(IMAGES, LABELS, weights))
    plain = unrolled([x for x, _, _ in batches], np.eye(CLASSES))
    for (_, y, w), shares in zip(batches, plain, strict=True):
        np.testing.assert_allclose(w, shares @ weights, rtol=1e-5)
        np.testing.assert_allclose(w[:, np.newaxis] * y, shares * weights, atol=1e-5)


def test_a_weight_of_distances_is_of_the_newest_pair_and_is_not_carried_on():
    rate = 1e-3
    batches = stream(dataset(weight=ExponentialWeight(rate), scope="sample"))
    plain = stream(dataset(scope="sample"))
    assert is_same([(x, y) for x, y, _ in batches], plain)
    assert (batches[0][2] == 1).all()
    x, before = IMAGES[5:10], batches[0][0]
    apart = np.sqrt(np.square(x - before).sum(axis=(1, 2, 3)))
    expected = np.exp(-rate * apart)
    np.testing.assert_allclose(batches[1][2], expected / expected.mean(), rtol=1e-4)
    apart = np.sqrt(np.square(IMAGES[10:15] - batches[1][0]).sum(axis=(1, 2, 3)))
    expected = np.exp(-rate * apart)
    np.testing.assert_allclose(batches[2][2], expected / expected.mean(), rtol=1e-4)


def test_rows_of_a_group_are_matched_with_the_batch_before_by_optimal_transport():
    # Of the batch before, the rows in reverse order are the near ones.
    x = np.zeros((8, 6, 6, 1), np.float32) + np.float32([0, 10, 20, 30, 31, 21, 11, 1]).reshape(-1, 1, 1, 1)
    labels = np.arange(8)
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(4)
    layer = RecursiveMixLayer(1.0, k=4, num_classes=8, scope="sample")
    for seed in range(3):
        _, y = stream(data.apply(mix(layer, seed=seed)))[1]
        partners = [set(np.flatnonzero(label)) - {4 + row} for row, label in enumerate(y)]
        assert all(each <= {3 - row} for row, each in enumerate(partners))
        assert any(partners)


def test_maps_are_carried_and_shrink_with_the_images():
    maps = RNG.integers(0, 4, (CLASSES, 12, 8))
    layer = RecursiveMixLayer(num_classes=4, scope="sample")
    data = tf.data.Dataset.from_tensor_slices((maps[..., np.newaxis].astype(np.float32), maps)).batch(5)
    for x, y in data.apply(mix(layer, seed=3)):
        assert (y.numpy().argmax(axis=-1) == x.numpy()[..., 0]).all()


def test_structures_dtypes_and_what_rides_along():
    x = {"image": IMAGES.astype(np.uint8), "name": np.array([f"image {at}" for at in LABELS])}
    y = {"class": np.eye(CLASSES, dtype=np.float32), "map": IMAGES}
    w = 1 + LABELS.astype(np.float32)
    layer = RecursiveMixLayer(passthrough="name", axes=2)
    mixed = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(5).apply(mix(layer, seed=3))
    for number, (features, targets, weights) in enumerate(mixed):
        assert features["image"].dtype == tf.float32
        assert features["name"].numpy()[0] == f"image {5 * number}".encode()
        np.testing.assert_allclose(targets["map"], features["image"])
        # Those of maps are of places: each has that of the sample it comes from.
        assert weights["class"].shape == (len(weights["class"]),)
        np.testing.assert_allclose(weights["map"], 1 + features["image"][..., 0])
        np.testing.assert_allclose(tf.reduce_sum(targets["class"], axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.representatives("axes", [1])
def test_signals_and_volumes(axes):
    x = RNG.normal(size=(12, *[6] * axes)).astype(np.float16)
    layer = RecursiveMixLayer(axes=axes, features_only=True, scope="sample")
    mixed = [part for (part,) in stream(tf.data.Dataset.from_tensor_slices(x).batch(4).apply(mix(layer, seed=3)))]
    assert [part.dtype for part in mixed] == [np.float16] * 3
    assert (mixed[0] == x[:4]).all()
    assert not (mixed[2] == x[8:]).all()
    assert np.isin(mixed[2], x).all()


def test_in_a_loop_of_ones_own_batches_are_mixed_with_those_before():
    layer = RecursiveMixLayer(scope="sample")
    labels = np.eye(CLASSES, dtype=np.float32)
    before = (IMAGES[:5], labels[:5])
    for number in range(1, 4):
        rows = slice(5 * number, 5 * number + 5)
        x, y = layer.between((IMAGES[rows], labels[rows]), before, seed=number)
        kept = np.array([(x.numpy()[row, ..., 0] == 5 * number + row).mean() for row in range(5)])[:, np.newaxis]
        np.testing.assert_allclose(y, kept * labels[rows] + (1 - kept) * before[1], atol=1e-6)
        before = (x, y)


def test_evaluation_converts_and_mixes_nothing():
    layer = RecursiveMixLayer(num_classes=CLASSES)
    data = tf.data.Dataset.from_tensor_slices((IMAGES.astype(np.uint8), LABELS)).batch(5)
    for x, y in data.map(layer.for_evaluation()):
        assert x.dtype == tf.float32
        assert y.shape[1] == CLASSES
    x, y = layer(IMAGES, LABELS, training=False)
    assert (x.numpy() == IMAGES).all()
    assert (y.numpy() == np.eye(CLASSES)).all()


def test_it_is_saved():
    layer = RecursiveMixLayer(0.25, k=3, resize="area", num_classes=4, weight=ExponentialWeight(1.0))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    back = keras.saving.deserialize_keras_object(config)
    assert back.get_config() == layer.get_config()
    assert (back.area, back.k, back.resize) == (0.25, 3, "area")


def test_a_model_is_trained_on_it():
    model = keras.Sequential([keras.Input((12, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((IMAGES / CLASSES, LABELS)).batch(5)
    history = model.fit(data.apply(mix(RecursiveMixLayer(num_classes=CLASSES), seed=3)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


class TestRefusals:
    def test_a_map_and_a_call_in_training(self):
        layer = RecursiveMixLayer(num_classes=CLASSES)
        message = r"RecursiveMixLayer: each batch is mixed with what was made of the one before.*kmix_tf.mix\(layer\)"
        with pytest.raises(ValueError, match=message):
            tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(5).map(layer)
        with pytest.raises(ValueError, match=message):
            layer(IMAGES, LABELS)
        with pytest.raises(ValueError, match=message):
            layer(IMAGES, LABELS, training=True, seed=3)

    def test_where_batches_come_alone(self):
        layer = RecursiveMixLayer(num_classes=CLASSES)
        model = keras.Sequential([keras.Input((12, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
        rule = "must mix each batch by itself. Received: RecursiveMixLayer"
        for name, make in {
            "ChoiceLayer: layers": lambda: ChoiceLayer([KMixupLayer(1, num_classes=CLASSES), layer]),
            "MixModel: layer": lambda: MixModel(model, layer),
            "ManifoldMixModel: mix": lambda: ManifoldMixModel(model, ["flatten"], layer),
            "MixtureImages: layer": lambda: MixtureImages("logs", layer, (IMAGES, LABELS)),
        }.items():
            with pytest.raises(ValueError, match=f"{name} {rule}"):
                make()
        with pytest.raises((ValueError, TypeError), match=r"RescaledModel: alpha must be"):
            RescaledModel(model, layer)

    def test_two_loaders(self):
        with pytest.raises(ValueError, match=r"mix: between must be False for a RecursiveMixLayer"):
            mix(RecursiveMixLayer(), between=True)

    @pytest.mark.parametrize(
        ("option", "value", "reason"),
        [
            ("interpolations", 2, "of several mixtures of a sample none is the one to be carried on"),
            ("targets", "packed", "labels of mixtures are of many samples"),
            ("bounding_box_format", "xyxy", "more bounding boxes with every batch"),
        ],
    )
    def test_options_that_cannot_be(self, option, value, reason):
        with pytest.raises(
            ValueError, match=rf"RecursiveMixLayer: mixtures are mixed again, for .*{reason}.*{option}="
        ):
            RecursiveMixLayer(**{option: value})

    @pytest.mark.parametrize("area", [-0.1, 1.5, None, "half"])
    def test_other_areas(self, area):
        with pytest.raises(ValueError, match=r"RecursiveMixLayer: area must be in \[0, 1\]. Received: area="):
            RecursiveMixLayer(area)

    def test_tables(self):
        table = tf.data.Dataset.from_tensor_slices((np.ones((8, 3), np.float32), np.ones(8, np.float32))).batch(4)
        with pytest.raises(ValueError, match=r"must have 2 axes after the batch's.*tables are for KMixupLayer"):
            table.apply(mix(RecursiveMixLayer()))

    def test_bounding_boxes_and_ragged_leaves(self):
        boxes = {"boxes": tf.zeros([4, 2, 4]), "labels": tf.ones([4, 2], tf.int32)}
        data = tf.data.Dataset.from_tensors(({"images": IMAGES[:4]}, {"bounding_boxes": boxes}))
        with pytest.raises(ValueError, match="RecursiveMixLayer: bounding boxes cannot be carried on"):
            data.apply(mix(RecursiveMixLayer()))
        ids = tf.ragged.constant([[1], [2, 3], [], [4]])
        data = tf.data.Dataset.from_tensors(({"image": IMAGES[:4], "ids": ids}, np.eye(4, dtype=np.float32)))
        with pytest.raises(TypeError, match=r"RecursiveMixLayer: .*ids.* must be a dense tensor to be carried on"):
            data.apply(mix(RecursiveMixLayer(passthrough="ids")))

    def test_sizes_that_change_from_batch_to_batch(self):
        def batches():
            for size in (8, 8, 6):
                yield np.ones((2, size, size, 1), np.float32), np.eye(2, dtype=np.float32)

        signature = (tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([None, 2]))
        data = tf.data.Dataset.from_generator(batches, output_signature=signature)
        iterator = iter(data.apply(mix(RecursiveMixLayer(), seed=1)))
        assert [next(iterator)[0].shape for _ in range(2)] == [(2, 8, 8, 1)] * 2
        with pytest.raises(tf.errors.InvalidArgumentError, match="batches that follow each other must have samples"):
            next(iterator)

    def test_values_that_are_not_finite(self):
        bad = IMAGES.copy()
        bad[7] = np.nan
        iterator = iter(dataset(bad, LABELS))
        next(iterator)
        with pytest.raises(tf.errors.InvalidArgumentError, match="RecursiveMixLayer: features must be finite"):
            next(iterator)
