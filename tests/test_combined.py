"""What one feature makes of another: boxes and label shares in a choice, masks in it, a callback that looks at it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    ChoiceLayer,
    CutMixLayer,
    DistanceWarpedRatio,
    KMixupLayer,
    LabelDistancePairing,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    MixtureImages,
    PuzzleMixLayer,
    RemixShares,
    mix,
)

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((8, 16, 16, 3), np.float32)
LABELS = np.arange(8) % 3
BOXES = {"boxes": np.tile([[[2.0, 2, 10, 10]]], (8, 1, 1)).astype("float32"), "labels": LABELS[:, None]}


def test_a_choice_takes_one_dictionary_with_boxes():
    options = {"num_classes": 3, "bounding_box_format": "xyxy", "box_weights": True}
    choice = ChoiceLayer([KMixupLayer(1, **options), CutMixLayer(**options)], per="batch")
    data = {"images": IMAGES, "labels": LABELS, "bounding_boxes": BOXES}
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(4).apply(mix(choice, seed=0))
    for mixed in dataset:
        assert list(mixed) == list(data)
        assert mixed["bounding_boxes"]["boxes"].shape == (4, 2, 4)
        assert mixed["bounding_boxes"]["box_weights"].shape == (4, 2)
        np.testing.assert_allclose(tf.reduce_sum(mixed["labels"], axis=1), 1, rtol=1e-6)


def test_a_choice_of_layers_of_which_one_leans_to_the_rare_class():
    remix = KMixupLayer(1, num_classes=2, label_shares=RemixShares([90, 10], tau=1.0))
    choice = ChoiceLayer([remix, KMixupLayer(1, num_classes=2)], [1.0, 0.0])
    x, y = RANDOM.random((64, 4), np.float32), np.arange(64) % 2
    _, mixed = choice(x, y, seed=3)
    # With tau = 1, a mixture of both classes is of the rare one alone, and any other of its own.
    assert set(np.unique(mixed)) == {0.0, 1.0}
    assert np.asarray(mixed)[y == 1].min(axis=0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("compiles", [False, True], ids=["graph", "compiled"])
def test_a_choice_mixes_padded_sequences_in_hidden_layers(compiles):
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int64")
    x = keras.layers.Embedding(20, 8, mask_zero=True, name="embedding")(ids)
    model = keras.Model(ids, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    options = {"num_classes": 2, "solver": "graph"}
    choice = ChoiceLayer([KMixupLayer(2, **options), KMixupLayer(1, 0.2, **options)])
    mixing = ManifoldMixModel(model, ["embedding"], choice, seed=0)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    mixing.compile(keras.optimizers.Adam(0.05), loss, jit_compile=compiles)
    tokens = RANDOM.integers(1, 10, (64, 6)) + 10 * (np.arange(64) % 2)[:, None] % 20
    tokens[::3, 4:] = 0
    history = mixing.fit(tokens, np.arange(64) % 2, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.75 * history[0]
    right = np.argmax(mixing.predict(tokens, verbose=0), axis=1) == np.arange(64) % 2
    assert right.mean() > 0.9


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((16, 16, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, name="hidden"),
            keras.layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("which", ["step", "saliency", "hidden"])
def test_a_callback_looks_at_a_choice(which, tmp_path):
    options = {"num_classes": 3}
    second = PuzzleMixLayer(blocks=4, **options) if which == "saliency" else KMixupLayer(2, **options)
    choice = ChoiceLayer([KMixupLayer(1, **options), second])
    make = ManifoldMixModel if which == "hidden" else MixModel
    model = make(network(), *([["hidden"]] if which == "hidden" else []), choice, seed=0)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    shown = MixtureImages(str(tmp_path), batch_size=8)
    logs = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0, callbacks=[shown]).history
    assert np.isfinite(logs["mix_ratio"]).all() and len(logs["mix_ratio"]) == 2
    assert any((tmp_path / "mixtures").iterdir())


def test_ratios_and_partners_that_see_the_data_are_shown_and_chosen(tmp_path):
    seeing = MixLayer(LabelDistancePairing(0.5), DistanceWarpedRatio(scope="sample"))
    choice = ChoiceLayer([seeing, KMixupLayer(4)])
    x, y = RANDOM.normal(size=(64, 5)).astype("float32"), RANDOM.normal(size=64).astype("float32")
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(32).apply(mix(choice, seed=0))
    shown = MixtureImages(str(tmp_path), choice, (x, y), batch_size=32)
    logs = model.fit(data, epochs=2, verbose=0, callbacks=[shown]).history
    assert np.isfinite(logs["mix_distance"]).all()
