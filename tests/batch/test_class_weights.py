"""class_weight= of the layers: each label counts by its class, before it is mixed."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import CutMixLayer, KMixupLayer, ManifoldMixModel, MixLayer, MixModel

RNG = np.random.default_rng(21)
SIZE, CLASSES = 6, 4
X = RNG.normal(size=(SIZE, 8, 8, 2)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 1, 0])
TABLE = np.array([0.5, 2.0, 0.0, 7.0], np.float32)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]
FORMS = [{0: 0.5, 1: 2.0, 2: 0.0, 3: 7.0}, TABLE.tolist(), TABLE, tuple(TABLE), {3: 7, 2: 0, 0: 0.5, 1: 2}]


def same_as_by_hand(layer, y, table=TABLE, labels=LABELS, given=None):
    """The layer with class_weight gives what one without makes of the labels' weights."""
    plain = type(layer).from_config({**layer.get_config(), "class_weight": None})
    by_hand = np.asarray(table)[labels] * (1 if given is None else given)
    ours, expected = layer(X, y, given, seed=4), plain(X, y, by_hand, seed=4)
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("class_weight", FORMS, ids=["dict", "list", "array", "tuple", "unordered"])
@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_labels_of_any_form_count_by_their_class(class_weight, targets):
    for y, classes in ((LABELS, CLASSES), (LABELS[:, np.newaxis], CLASSES), (ONE_HOT, None)):
        same_as_by_hand(KMixupLayer(1, num_classes=classes, class_weight=class_weight, targets=targets), y)


def test_integers_to_be_packed_count_and_classes_left_out_count_one():
    layer = KMixupLayer(1, class_weight={1: 3.0}, targets="packed")
    same_as_by_hand(layer, LABELS, [1, 3, 1, 1])
    for dtype in ("uint8", "int8", "uint16", "uint64"):
        same_as_by_hand(layer, LABELS.astype(dtype), [1, 3, 1, 1])
        same_as_by_hand(KMixupLayer(1, class_weight={300: 3.0}, targets="packed"), LABELS.astype(dtype), [1, 1, 1, 1])
    same_as_by_hand(KMixupLayer(1, class_weight={1: 3.0}, num_classes=CLASSES), LABELS, [1, 3, 1, 1])


@pytest.mark.parametrize("shape", [(SIZE,), (SIZE, 1)], ids=str)
def test_labels_0_and_1_of_one_unit_count_by_their_class(shape):
    labels = (LABELS == 1).astype(np.int64)
    y = labels.astype(np.float32).reshape(shape)
    same_as_by_hand(KMixupLayer(1, class_weight={0: 0.5, 1: 4.0}), y, [0.5, 4.0], labels)


def test_sample_weights_that_came_are_multiplied():
    given = RNG.uniform(0.5, 2, SIZE).astype(np.float32)
    same_as_by_hand(KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE), LABELS, given=given)


def test_labels_of_places_count_place_by_place():
    maps = RNG.integers(0, CLASSES, (SIZE, 8, 8))
    for layer in (KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE), CutMixLayer(num_classes=CLASSES)):
        layer = type(layer).from_config({**layer.get_config(), "class_weight": TABLE.tolist()})
        same_as_by_hand(layer, maps, labels=maps)


def test_soft_labels_count_by_their_shares():
    y = RNG.dirichlet(np.ones(CLASSES), SIZE).astype(np.float32)
    _, _, weight = MixLayer(class_weight=TABLE, probability=0.0)(X, y, seed=0)
    np.testing.assert_allclose(weight, y @ TABLE, rtol=1e-5)


def test_each_of_several_targets_has_its_own():
    y = {"kind": LABELS, "size": RNG.normal(size=SIZE).astype(np.float32), "more": (LABELS, LABELS)}
    layer = MixLayer(
        num_classes={"kind": CLASSES, "size": None, "more": (CLASSES, CLASSES)},
        class_weight={"kind": {1: 3.0}, "size": None, "more": [[1, 2, 3, 4], None]},
        probability=0.0,
    )
    layer = MixLayer.from_config(json.loads(json.dumps(layer.get_config())))
    _, _, weight = layer(X, y, seed=0)
    assert weight["kind"].numpy().tolist() == np.array([1, 3, 1, 1])[LABELS].tolist()
    assert weight["size"].numpy().tolist() == [1] * SIZE
    assert weight["more"][0].numpy().tolist() == (LABELS + 1).tolist()
    assert weight["more"][1].numpy().tolist() == [1] * SIZE


def test_evaluation_counts_all_alike():
    layer = KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE)
    assert len(layer(X, LABELS, training=False)) == 2


def test_two_loaders_count_by_class():
    layer = KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE)
    plain = KMixupLayer(1, num_classes=CLASSES)
    other = X[::-1].copy(), np.roll(LABELS, 1)
    ours = layer.between((X, LABELS), other, seed=1)
    expected = plain.between((X, LABELS, TABLE[LABELS]), (*other, TABLE[other[1]]), seed=1)
    for one, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, theirs, rtol=1e-6)


@pytest.mark.parametrize("place", ["input", "hidden"])
def test_models_that_mix_count_by_class(place):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    hidden = keras.layers.Flatten(name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(hidden))
    losses = []
    for options in ({"class_weight": TABLE.tolist()}, {}):
        model_again = keras.models.clone_model(model)
        model_again.set_weights(model.get_weights())
        mixing = ManifoldMixModel(model_again, [place], KMixupLayer(1, num_classes=CLASSES, **options), seed=3)
        mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        weight = None if options else TABLE[LABELS]
        losses.append(mixing.train_on_batch(X, LABELS, sample_weight=weight, return_dict=True)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "class_weight must be >= 0 and finite. Received: class_weight=-1.0"),
        ([1.0, float("nan")], "class_weight must be >= 0 and finite"),
        ({-1: 1.0}, "a class in class_weight must be an integer >= 0"),
        ({"cat": 1.0}, "a class in class_weight must be an integer >= 0"),
        ({}, "class_weight must be a dictionary"),
        ([], "class_weight must be a dictionary"),
        (3.0, "class_weight must be a dictionary"),
        ("balanced", "class_weight must be a dictionary"),
        ({4: 1.0}, r"class_weight must be of classes in \[0, 4\)"),
        ([1.0, 2.0], "class_weight must be as long as there are classes, 4"),
    ],
    ids=str,
)
def test_other_weights_are_refused_when_the_layer_is_made(class_weight, message):
    with pytest.raises(ValueError, match=f"KMixupLayer: {message}"):
        KMixupLayer(1, num_classes=CLASSES, class_weight=class_weight)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ({"a": ONE_HOT, "b": ONE_HOT}, ValueError, "class_weight must have the structure of the targets"),
        (ONE_HOT[:, :3], ValueError, "class_weight must be as long as there are classes, 3"),
        (
            RNG.normal(size=(SIZE, CLASSES)),
            tf.errors.InvalidArgumentError,
            "class_weight needs labels of one class each",
        ),
        (np.ones((SIZE, CLASSES)), tf.errors.InvalidArgumentError, "class_weight needs labels of one class each"),
    ],
    ids=["several", "number", "regression", "multi-label"],
)
def test_targets_without_such_classes_are_refused(y, error, message):
    with pytest.raises(error, match=f"KMixupLayer: {message}"):
        KMixupLayer(1, class_weight=TABLE)(X, y)


def test_labels_that_a_list_lacks_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="KMixupLayer: class_weight must be of all labels"):
        KMixupLayer(1, class_weight=[1.0, 2.0], targets="packed")(X, LABELS)


def test_features_alone_are_refused():
    with pytest.raises(ValueError, match="KMixupLayer: class_weight needs targets"):
        KMixupLayer(1, class_weight=TABLE, features_only=True)(X)


def test_the_clean_batch_counts_by_class_too():
    # Of a batch that is not mixed, the loss and that of the clean batch are one: two steps of the plain model in one.
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([keras.Input((8, 8, 2)), *layers])
    before = model.get_weights()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    layer = KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE, probability=0.0)
    mixing = MixModel(model, layer, seed=0, clean_weight=1.0)
    mixing.compile(keras.optimizers.SGD(0.1), loss)
    mixing.train_on_batch(X, LABELS)
    after = model.get_weights()
    model.set_weights(before)
    model.compile(keras.optimizers.SGD(0.2), loss)
    model.train_on_batch(X, ONE_HOT, sample_weight=TABLE[LABELS])
    for ours, expected in zip(after, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_class_weights_are_given_once():
    model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    mixing = MixModel(model, KMixupLayer(1, num_classes=CLASSES, class_weight=TABLE))
    mixing.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="MixModel: class_weight must be given once"):
        mixing.fit(X, LABELS, class_weight={0: 2.0, 1: 1.0, 2: 1.0, 3: 1.0}, verbose=0)


def test_targets_without_class_weights_get_ones_of_the_losss_rank():
    # Keras 3 would lay weights (batch,) along the steps.
    y = {"steps": X[:, :, 0, :1], "kind": LABELS}
    num_classes, class_weight = {"steps": None, "kind": CLASSES}, {"steps": None, "kind": TABLE}
    _, _, weight = KMixupLayer(1, num_classes=num_classes, class_weight=class_weight)(X, y, seed=1)
    assert weight["steps"].shape == (SIZE, 1)
    assert weight["kind"].shape == (SIZE,)


def test_targets_that_ride_along_have_no_class_weights():
    layer = KMixupLayer(1, num_classes={"a": CLASSES, "b": None}, class_weight={"b": {0: 2.0}}, passthrough="b")
    with pytest.raises(ValueError, match="KMixupLayer: class_weight is for targets that are mixed"):
        layer(X, {"a": LABELS, "b": LABELS}, seed=1)
