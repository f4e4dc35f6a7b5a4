"""Bounding boxes of linear mixtures, in any layout that is one, against NumPy; and layouts that are none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    Blended,
    ExponentialWeight,
    KMixupLayer,
    LabelDistancePairing,
    LocalMixupLayer,
    MixLayer,
    MixModel,
    MultiMixLayer,
    OtherClassPairing,
    RemixShares,
    SameClassPairing,
    mix,
)

BATCH, N = 5, 3
RNG = np.random.default_rng(0)
IMAGES = RNG.random((BATCH, 8, 6, 3)).astype(np.float32)
# Which sample a mixture has how much of, as its label tells.
WHO = np.eye(BATCH, dtype=np.float32)
CORNERS = np.sort(RNG.integers(0, 24, (BATCH, N, 2, 2)), axis=2).reshape(BATCH, N, 4).astype(np.float32) / 4
CLASSES = RNG.integers(0, 7, (BATCH, N)).astype(np.int64)
COUNTS = np.array([3, 0, 1, 2, 3])
PADDED = np.where(np.arange(N) < COUNTS[:, np.newaxis], CLASSES, -1)
AREAS = RNG.random((BATCH, N)).astype(np.float32)


def expected(who, boxes, labels, weights=None):
    """The boxes of mixtures whose labels are these, by plain loops: own, then the partner's, blank where not seen."""
    made = []
    for row, shares in enumerate(np.asarray(who)):
        own = row % BATCH
        others = [each for each in np.flatnonzero(shares > 0) if each != own]
        assert len(others) <= 1
        rows = []
        for sample in (own, others[0] if others else None):
            share = 0.0 if sample is None else shares[sample]
            for at in range(labels.shape[1]):
                if sample is not None and share > 0:
                    count = (labels[sample, at] >= 0) * share * (1 if weights is None else weights[sample, at])
                    rows.append((boxes[sample, at], labels[sample, at], count))
                else:
                    # Of a partner that is the sample itself, padding may stay what it was.
                    rows.append((np.zeros(4), -1, 0.0))
        made.append([np.stack(column) for column in zip(*rows, strict=True)])
    return [np.stack(column) for column in zip(*made, strict=True)]


def held(got, who, boxes, labels, weights=None):
    want = expected(who, boxes, labels, weights)
    np.testing.assert_array_equal(got["labels"], want[1])
    there = want[1] >= 0
    np.testing.assert_array_equal(np.asarray(got["boxes"])[there], want[0][there])
    if "box_weights" in got:
        np.testing.assert_allclose(got["box_weights"], want[2], rtol=1e-6)
    return want


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
@pytest.mark.parametrize(
    ("layer", "times"),
    [
        (KMixupLayer(1, scope="sample", box_weights=True), 1),
        (KMixupLayer(2, solver="graph"), 1),
        (MultiMixLayer(3, box_weights=True), 3),
        (MultiMixLayer(2, baseline="batch_augmentation", solver="graph"), 2),
    ],
    ids=["samples", "k", "several", "several partners"],
)
def test_a_mixture_has_the_boxes_of_both_its_own_first(layer, times, dtype):
    boxes = (CORNERS if dtype != "int32" else CORNERS * 4).astype(dtype)
    x, y = layer(IMAGES, {"who": WHO, "bounding_boxes": {"boxes": boxes, "labels": PADDED}}, seed=4)
    got = y["bounding_boxes"]
    assert got["boxes"].shape == (times * BATCH, 2 * N, 4) and got["labels"].shape == (times * BATCH, 2 * N)
    assert got["boxes"].dtype == (dtype if dtype != "int32" else "float32") and got["labels"].dtype == "int64"
    assert ("box_weights" in got) == layer.box_weights
    held(got, y["who"], boxes, PADDED)
    # The images are those of the labels, so that boxes are where they were.
    np.testing.assert_allclose(x, np.tensordot(y["who"], IMAGES, 1), rtol=1e-5)


LAYOUTS = {
    "Keras": lambda boxes, labels: {"bounding_boxes": {"boxes": boxes, "labels": labels}},
    "KerasCV": lambda boxes, labels: {"bounding_boxes": {"boxes": boxes, "classes": labels}},
    "TFDS": lambda boxes, labels: {"objects": {"bbox": boxes, "label": labels, "is_crowd": labels < 2}},
    "torchvision": lambda boxes, labels: {"boxes": boxes, "labels": labels, "area": AREAS},
    "alone": lambda boxes, labels: {"boxes": boxes, "classes": labels},
    "in a tuple": lambda boxes, labels: (np.ones((BATCH, 1)), {"gt": {"boxes": boxes, "labels": labels}}),
    "in a list of dictionaries": lambda boxes, labels: [{"first": {"gt_boxes": {"boxes": boxes, "labels": labels}}}],
}


def leaf_of(structure, *names):
    """The leaf of one of these names, wherever it is."""
    items = structure.items() if isinstance(structure, dict) else enumerate(structure)
    for key, value in items:
        if key in names:
            return value
        found = leaf_of(value, *names) if isinstance(value, (dict, list, tuple)) else None
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("part", ["features", "targets"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_are_known_in_every_layout_that_data_sets_have(layout, part):
    made = LAYOUTS[layout](CORNERS, CLASSES)
    layer = KMixupLayer(1, scope="sample")
    batch = (IMAGES, [WHO, made]) if part == "targets" else ([IMAGES, made], WHO)
    x, y = layer(*batch, seed=2)
    back, who = (y[1], y[0]) if part == "targets" else (x[1], y)
    tf.nest.assert_same_structure(back, made)
    got = {"boxes": leaf_of(back, "boxes", "bbox"), "labels": leaf_of(back, "labels", "classes", "label")}
    held(got, who, CORNERS, CLASSES)
    if layout == "TFDS":
        np.testing.assert_array_equal(back["objects"]["is_crowd"], (got["labels"].numpy() < 2))
    if layout == "torchvision":
        rows = np.arange(BATCH)
        np.testing.assert_array_equal(back["area"][:, :N], AREAS)
        other = np.argmax(np.asarray(who) * (1 - np.eye(BATCH)), axis=1)
        has_other = np.asarray(who)[rows, other] > 0
        np.testing.assert_array_equal(back["area"].numpy()[has_other, N:], AREAS[other[has_other]])


def ragged(values, counts=COUNTS):
    rows = [list(row[:count]) for row, count in zip(values.tolist(), counts, strict=True)]
    inner = (4,) if values.ndim == 3 else ()
    return tf.ragged.constant(rows, ragged_rank=1, inner_shape=inner, dtype=values.dtype)


@pytest.mark.parametrize("way", ["by hand", "map", "mix"])
def test_ragged_boxes_become_dense_with_padding_of_class_minus_one_and_box_zero(way):
    layer = KMixupLayer(1, box_weights=True, scope="sample", seed=5)
    y = {"who": WHO, "bounding_boxes": {"boxes": ragged(CORNERS), "labels": ragged(CLASSES)}}
    if way == "by hand":
        _, y = layer(IMAGES, y)
    else:
        data = tf.data.Dataset.from_tensors((IMAGES, y))
        _, y = next(iter(data.map(layer) if way == "map" else data.apply(mix(layer, seed=5))))
    got = y["bounding_boxes"]
    assert all(isinstance(leaf, tf.Tensor) for leaf in got.values())
    held(got, y["who"], CORNERS, PADDED)
    np.testing.assert_array_equal(got["boxes"].numpy()[got["labels"] < 0], 0)


def test_ragged_boxes_without_a_known_last_axis_and_batches_without_any_box():
    for rows in ([[[1.0, 2.0, 3.0, 4.0]], []], [[], []]):
        boxes = tf.RaggedTensor.from_row_splits(
            tf.RaggedTensor.from_uniform_row_length(
                tf.reshape(tf.constant([box for row in rows for box in row], tf.float32), [-1]), 4
            )
            if rows[0]
            else tf.ragged.constant([], ragged_rank=1, dtype=tf.float32),
            np.cumsum([0, *map(len, rows)]),
        )
        labels = tf.ragged.constant([[5] * len(row) for row in rows], dtype=tf.int32, ragged_rank=1)
        _, got = KMixupLayer(1)(IMAGES[:2], {"boxes": boxes, "labels": labels}, seed=0)
        assert got["boxes"].shape == (2, 2 * len(rows[0]), 4) and got["labels"].shape == (2, 2 * len(rows[0]))


def test_no_boxes_at_all_stay_none():
    y = {"boxes": np.zeros((BATCH, 0, 4), np.float32), "labels": np.zeros((BATCH, 0), np.int32)}
    _, got = KMixupLayer(1, box_weights=True)(IMAGES, y, seed=0)
    assert {key: tuple(leaf.shape) for key, leaf in got.items()} == {
        "boxes": (BATCH, 0, 4),
        "labels": (BATCH, 0),
        "box_weights": (BATCH, 0),
    }


@pytest.mark.parametrize("layer", [KMixupLayer(1, 0.0), KMixupLayer(1, probability=0.0), MultiMixLayer(2, 0.0)])
def test_what_is_not_mixed_has_its_own_boxes_and_padding_for_the_other(layer):
    _, y = layer(IMAGES, {"boxes": CORNERS, "labels": PADDED}, seed=1)
    times = layer.interpolations
    np.testing.assert_array_equal(y["boxes"][:, :N], np.tile(CORNERS, (times, 1, 1)))
    np.testing.assert_array_equal(
        y["labels"], np.tile(np.pad(PADDED, [(0, 0), (0, N)], constant_values=-1), (times, 1))
    )


def test_a_batch_of_one_is_its_own_partner_and_keeps_its_boxes_once():
    y = {"boxes": CORNERS[:1], "labels": CLASSES[:1]}
    _, got = KMixupLayer(1, box_weights=True)(IMAGES[:1], y, seed=1)
    np.testing.assert_array_equal(got["labels"], [[*CLASSES[0], -1, -1, -1]])
    np.testing.assert_array_equal(got["box_weights"], [[1, 1, 1, 0, 0, 0]])

    def halves(first, second, partner, ratio, seed):  # a blend that shows half of each, whoever that is
        return Blended(first, tf.fill(tf.shape(ratio), 0.5))

    _, got = MixLayer(blend=halves, box_weights=True)(IMAGES[:1], y, seed=1)
    np.testing.assert_array_equal(got["labels"], [[*CLASSES[0], -1, -1, -1]])
    np.testing.assert_array_equal(got["box_weights"], [[1, 1, 1, 0, 0, 0]])


@pytest.mark.parametrize("asked", [False, True])
def test_data_to_validate_on_keep_n_boxes_and_get_the_same_keys(asked):
    layer = KMixupLayer(1, box_weights=asked)
    y = {"boxes": ragged(CORNERS), "labels": ragged(CLASSES)}
    for got in (layer(IMAGES, y, training=False)[1], layer.for_evaluation()(IMAGES, y)[1]):
        assert got["boxes"].shape == (BATCH, N, 4)
        np.testing.assert_array_equal(got["labels"], PADDED)
        assert ("box_weights" in got) == asked
        if asked:
            np.testing.assert_array_equal(got["box_weights"], (PADDED >= 0).astype(np.float32))
    assert list(y) == ["boxes", "labels"], "what was given is left as it is"


@pytest.mark.parametrize("key", ["weights", "box_weights"])
def test_weights_of_boxes_that_came_are_factors_or_ride(key):
    given = RNG.random((BATCH, N)).astype(np.float32)
    y = {"who": WHO, "bounding_boxes": {"boxes": CORNERS, "labels": PADDED, key: given}}
    _, got = KMixupLayer(1, box_weights=True, scope="sample")(IMAGES, y, seed=6)
    assert sorted(got["bounding_boxes"]) == sorted(["boxes", "labels", key])
    want = expected(got["who"], CORNERS, PADDED, given)[2]
    np.testing.assert_allclose(got["bounding_boxes"][key], want, rtol=1e-6)
    _, got = KMixupLayer(1, scope="sample")(IMAGES, y, seed=6)
    there = np.asarray(got["bounding_boxes"]["labels"]) >= 0
    rides = np.concatenate([given, given[np.argmax(got["who"] * (1 - np.eye(BATCH)), axis=1)]], axis=1)
    np.testing.assert_array_equal(np.asarray(got["bounding_boxes"][key])[there], rides[there])


def test_a_loss_of_boxes_counts_both_samples_by_their_share_and_weight():
    # Sum over boxes of weight of mixture x weight of box = share x weight of sample, for each sample.
    weight = np.array([3.0, 0.0, 1.0, 0.5, 2.0], np.float32)
    layer = KMixupLayer(1, box_weights=True, scope="sample")
    plain = layer(IMAGES, {"who": WHO}, seed=3)[1]["who"].numpy()
    # One weight for all targets, or one for each.
    y = {"boxes": CORNERS, "labels": CLASSES}
    _, got, total = layer(IMAGES, y, weight, seed=3)
    np.testing.assert_allclose(total, plain @ weight, rtol=1e-5)
    count = got["box_weights"].numpy() * total.numpy()[:, np.newaxis]
    for row in range(BATCH):
        other = np.argmax(plain[row] * (1 - np.eye(BATCH)[row]))
        np.testing.assert_allclose(count[row, 0], plain[row, row] * weight[row], rtol=1e-5)
        if other != row and plain[row, other] > 0:
            np.testing.assert_allclose(count[row, N], plain[row, other] * weight[other], rtol=1e-5, atol=1e-7)


def test_sample_weights_beside_other_targets_and_in_a_structure():
    weight = RNG.random(BATCH).astype(np.float32)
    boxes = {"boxes": CORNERS, "labels": CLASSES}
    plain = KMixupLayer(1)(IMAGES, WHO, seed=3)[1].numpy()
    each = {"who": weight, "objects_of_it": {"boxes": weight, "labels": weight}}
    for given in (weight, each):
        _, y, got = KMixupLayer(1)(IMAGES, {"who": WHO, "objects_of_it": boxes}, given, seed=3)
        for leaf in tf.nest.flatten(got):
            np.testing.assert_allclose(leaf, plain @ weight, rtol=1e-5)
        held(y["objects_of_it"], plain, CORNERS, CLASSES)
    with pytest.raises(ValueError, match=r"sample_weight of boxes must be \(batch,\).*'box_weights' \(batch, n\)"):
        KMixupLayer(1)(IMAGES, boxes, {"boxes": AREAS, "labels": AREAS})


def test_weights_of_pairs_go_with_boxes_as_with_any_target():
    layer = LocalMixupLayer(weight=ExponentialWeight(0.5), scope="sample", box_weights=True)
    _, y, weight = layer(IMAGES, {"boxes": CORNERS, "labels": CLASSES}, seed=1)
    tf.nest.assert_same_structure(y, weight)
    # One axis for the objects, of which each has a loss.
    assert all(leaf.shape == (BATCH, 1) for leaf in weight.values())
    assert np.ptp(weight["labels"]) > 0


def test_num_classes_is_of_labels_of_images_alone():
    y = {"label": np.arange(BATCH) % 3, "bounding_boxes": {"boxes": CORNERS, "labels": CLASSES}}
    for count in (3, {"label": 3}, {"label": 3, "bounding_boxes": {"boxes": None, "labels": None}}):
        _, got = KMixupLayer(1, num_classes=count, class_weight={"label": {0: 2.0}})(IMAGES, y, seed=1)[:2]
        assert got["label"].shape == (BATCH, 3)
        assert got["bounding_boxes"]["labels"].dtype == "int64"
    _, got = KMixupLayer(1, num_classes=3, targets="packed")(IMAGES, y, seed=1)
    assert got["bounding_boxes"]["boxes"].shape == (BATCH, 2 * N, 4)


def test_pairing_by_the_class_of_the_image():
    y = {"label": np.arange(BATCH) % 2, "bounding_boxes": {"boxes": CORNERS, "labels": CLASSES}}
    _, got = MixLayer(SameClassPairing("label"), num_classes=2)(IMAGES, y, seed=1)
    np.testing.assert_allclose(np.max(got["label"], axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "soft"])
def test_classes_of_objects_in_other_forms(dtype):
    labels = np.eye(7, dtype=np.float32)[CLASSES] if dtype == "soft" else CLASSES.astype(dtype)
    if dtype == "soft":
        labels[PADDED < 0] = 0
    y = {"who": WHO, "bounding_boxes": {"boxes": CORNERS, "labels": labels}}
    _, got = KMixupLayer(1, box_weights=True, scope="sample")(IMAGES, y, seed=1)
    back = got["bounding_boxes"]["labels"]
    assert back.dtype == {"uint8": "int32"}.get(dtype, "float32")
    if dtype == "soft":
        want = expected(got["who"], CORNERS, PADDED)
        np.testing.assert_allclose(got["bounding_boxes"]["box_weights"], want[2], rtol=1e-6)
        assert back.shape == (BATCH, 2 * N, 7)
    else:
        held({"boxes": got["bounding_boxes"]["boxes"], "labels": back}, got["who"], CORNERS, CLASSES)


def test_what_else_objects_have_goes_with_them_strings_and_key_points_too():
    names, points = CLASSES.astype(str).astype(object), RNG.random((BATCH, N, 5, 3)).astype(np.float32)
    given = {"boxes": CORNERS, "labels": CLASSES, "name": names, "keypoints": points}
    _, got = KMixupLayer(1, probability=1.0, scope="sample")(IMAGES, {"who": WHO, "bounding_boxes": given}, seed=1)
    other = np.argmax(got["who"] * (1 - np.eye(BATCH)), axis=1)
    has = np.max(got["who"] * (1 - np.eye(BATCH)), axis=1) > 0
    back = got["bounding_boxes"]
    np.testing.assert_array_equal(
        back["keypoints"].numpy()[has], np.concatenate([points, points[other]], axis=1)[has]
    )
    assert back["name"].numpy()[has].astype(str).tolist() == np.concatenate([names, names[other]], 1)[has].tolist()
    assert (back["name"].numpy()[~has][:, N:] == b"").all()


def test_two_loaders_may_have_other_numbers_of_boxes():
    first = (IMAGES, {"boxes": CORNERS, "labels": CLASSES})
    second = (IMAGES[::-1].copy(), {"boxes": CORNERS[::-1, :2], "labels": CLASSES[::-1, :2]})
    _, y = KMixupLayer(1, box_weights=True).between(first, second, seed=1)
    np.testing.assert_array_equal(y["boxes"][:, :N], CORNERS)
    np.testing.assert_array_equal(np.sort(y["boxes"].numpy()[:, N:], axis=0), np.sort(CORNERS[:, :2], axis=0))
    np.testing.assert_allclose(y["box_weights"][:, 0] + y["box_weights"][:, N], 1, rtol=1e-6)


def test_compiled_by_xla_and_of_the_last_partial_batch_it_is_the_same():
    layer = KMixupLayer(1, box_weights=True, scope="sample", solver="graph")
    y = {"who": WHO, "bounding_boxes": {"boxes": CORNERS, "labels": PADDED}}
    compiled = tf.function(lambda x, y: layer(x, y, seed=7), jit_compile=True)
    for got, want in zip(
        tf.nest.flatten(compiled(IMAGES, y)), tf.nest.flatten(layer(IMAGES, y, seed=7)), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, y)).batch(3).apply(mix(layer, seed=1))
    assert data.element_spec[1]["bounding_boxes"]["boxes"].shape[1:] == (2 * N, 4)
    assert [len(batch["bounding_boxes"]["labels"]) for _, batch in data] == [3, 2]


def test_a_detector_trains_saves_and_predicts(tmp_path):
    inputs = keras.Input((8, 6, 3))
    flat = keras.layers.Flatten()(inputs)
    boxes = keras.layers.Reshape((2 * N, 4), name="boxes")(keras.layers.Dense(8 * N)(flat))
    classes = keras.layers.Reshape((2 * N, 8), name="labels")(keras.layers.Dense(16 * N, name="logits")(flat))
    mixing = MixModel(keras.Model(inputs, {"boxes": boxes, "labels": classes}), KMixupLayer(1, num_classes=8), seed=0)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    mixing.compile("sgd", {"boxes": "mse", "labels": sparse})
    y = {"boxes": CORNERS, "labels": PADDED}
    history = mixing.fit(IMAGES, y, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    mixing.save(tmp_path / "model.keras")
    back = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(back.predict(IMAGES, verbose=0)["boxes"], mixing.predict(IMAGES, verbose=0)["boxes"])


REFUSED = {
    "five numbers": (np.zeros((BATCH, N, 5)), CLASSES, r"boxes must be \(batch, n, 4\)"),
    "one box": (np.zeros((BATCH, 4)), CLASSES[:, 0], r"boxes must be \(batch, n, 4\)"),
    "labels of images": (CORNERS, WHO, r"boxes must be \(batch, n, 4\), and their classes \(batch, n\)"),
    "text": (CORNERS, CLASSES.astype(str), "must be numbers"),
    "truth": (CORNERS, CLASSES > 2, "must be numbers"),
    "NaN": (CORNERS * np.nan, CLASSES, "must be finite"),
    "ragged boxes alone": (ragged(CORNERS), PADDED, "all be ragged, or all dense"),
    "other lengths": (ragged(CORNERS), ragged(CLASSES, COUNTS[::-1]), "each box must have a class"),
    "sparse": (CORNERS, tf.sparse.from_dense(CLASSES), "must be dense or ragged"),
    "ragged numbers": (
        tf.ragged.constant([[[1.0, 2.0, 3.0]]] * BATCH),
        tf.ragged.constant([[1]] * BATCH),
        "four numbers each",
    ),
    "other batch": (CORNERS[:2], CLASSES[:2], "equally long"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_boxes_in_an_unknown_layout_are_refused_by_name(case):
    boxes, labels, words = REFUSED[case]
    for name, call in (("KMixupLayer", KMixupLayer(1)), ("KMixupLayer", KMixupLayer(1).for_evaluation())):
        with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError), match=f"^.*{name}: .*{words}"):
            call(IMAGES, {"bounding_boxes": {"boxes": boxes, "labels": labels}})


def test_lengths_that_show_on_the_batch_are_refused_there():
    data = tf.data.Dataset.from_tensors((IMAGES, {"boxes": ragged(CORNERS), "labels": ragged(CLASSES, COUNTS[::-1])}))
    with pytest.raises(tf.errors.InvalidArgumentError, match="KMixupLayer: each box must have a class"):
        next(iter(data.map(KMixupLayer(1))))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4]), tf.TensorSpec([None, None], tf.int64)])
    def open_shapes(boxes, labels):
        return KMixupLayer(1, solver="graph")(IMAGES, {"boxes": boxes, "labels": labels}, seed=0)

    open_shapes(CORNERS, CLASSES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"what belongs to boxes must be \(batch, n, \.\.\.\)"):
        open_shapes(CORNERS, CLASSES[:, :2])


@pytest.mark.parametrize(
    "y",
    [
        {"bounding_boxes": {"boxes": CORNERS}},
        {"boxes": CORNERS, "scores": AREAS},
        {"boxes": CORNERS, "labels": CLASSES, "image_id": np.arange(BATCH)},
        {"bounding_boxes": {"boxes": CORNERS, "labels": CLASSES, "classes": CLASSES}},
        {"label": WHO, "boxes": CORNERS},
    ],
    ids=["without classes", "scores alone", "with what is of images", "two kinds of classes", "label of the image"],
)
def test_what_is_no_group_of_boxes_is_refused_with_the_layout_that_is(y):
    with pytest.raises(
        ValueError, match=r"cannot be mixed.*\{'bounding_boxes': \{'boxes': \(batch, n, 4\), 'labels'"
    ):
        KMixupLayer(1)(IMAGES, y)


def test_what_is_of_the_image_can_be_named_and_boxes_can_ride():
    y = {"boxes": CORNERS, "labels": CLASSES, "image_id": np.arange(BATCH)}
    _, got = KMixupLayer(1, passthrough="image_id")(IMAGES, y, seed=1)
    assert got["boxes"].shape == (BATCH, 2 * N, 4)
    np.testing.assert_array_equal(got["image_id"], np.arange(BATCH))
    nested = {"bounding_boxes": {"boxes": CORNERS, "labels": CLASSES}, "who": WHO}
    _, got = KMixupLayer(1, passthrough="bounding_boxes")(IMAGES, nested, seed=1)
    np.testing.assert_array_equal(got["bounding_boxes"]["boxes"], CORNERS)
    with pytest.raises(ValueError, match=r"'depth'.*of shape \(5, 2\).*passthrough="):
        KMixupLayer(1)(IMAGES, {"bounding_boxes": {"boxes": CORNERS, "labels": CLASSES, "depth": AREAS[:, :2]}})


def test_mixtures_of_more_than_two_samples_have_no_boxes_yet():
    def thirds(first, second, partner, ratio, seed):
        shares = tf.ones([BATCH, BATCH]) / BATCH
        return Blended([tf.tensordot(shares, leaf, 1) for leaf in first], ratio, shares=shares)

    with pytest.raises(ValueError, match="mixtures of two samples that stay where they are"):
        MixLayer(blend=thirds)(IMAGES, {"boxes": CORNERS, "labels": CLASSES})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bounding_box_format": "xyz"}, "bounding_box_format must be one of 'xyxy'"),
        ({"bounding_box_format": 4}, "bounding_box_format must be one of 'xyxy'"),
        ({"box_visibility": 1.5}, r"box_visibility must be in \[0, 1\]"),
        ({"box_weights": 1}, "box_weights must be True or False"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(ValueError, match=f"MixLayer: {words}"):
        MixLayer(ratio=BetaRatio(1.0), **options)
    assert MixLayer(bounding_box_format="XYXY").bounding_box_format == "xyxy"


BESIDE = {
    "same class": ({"pairing": SameClassPairing(), "num_classes": 2}, {"pairing": SameClassPairing("label")}),
    "other class": ({"pairing": OtherClassPairing(), "num_classes": 2}, {"pairing": OtherClassPairing("label")}),
    "near": ({"pairing": LabelDistancePairing(0.5)}, {"pairing": LabelDistancePairing(0.5, "label")}),
    "remix": (
        {"num_classes": 2, "label_shares": RemixShares([9, 1])},
        {"label_shares": {"label": RemixShares([9, 1])}},
    ),
    "classes": ({"num_classes": 2, "class_weight": {0: 2.0}}, {"class_weight": {"label": {0: 2.0}}}),
}


@pytest.mark.parametrize("what", BESIDE)
def test_one_target_beside_boxes_need_not_be_named(what):
    plain, named = BESIDE[what]
    label = np.array([0, 1, 0, 1, 0], np.int64 if "num_classes" in plain else np.float32)
    y = {"label": label, "bounding_boxes": {"boxes": CORNERS, "labels": PADDED}}
    got, wanted = (MixLayer(**options)(IMAGES, y, seed=1) for options in (plain, {**plain, **named}))
    tf.nest.map_structure(np.testing.assert_array_equal, got, wanted)


def test_boxes_alone_are_no_one_target():
    with pytest.raises(ValueError, match="target must name one of several targets"):
        MixLayer(SameClassPairing())(IMAGES, {"boxes": CORNERS, "labels": PADDED})
