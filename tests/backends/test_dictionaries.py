"""On each back end of Keras: one dictionary with boxes, as `keras.layers.MixUp` has it, choices, what sees data."""

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
    MixLayer,
    MixtureImages,
    RemixShares,
    mix,
)

RNG = np.random.default_rng(0)
N = 8
IMAGES = RNG.random((N, 16, 16, 3), np.float32)
LABELS = np.arange(N) % 3
DATA = {
    "images": IMAGES,
    "labels": np.eye(3, dtype=np.float32)[LABELS],
    "bounding_boxes": {"boxes": RNG.random((N, 2, 4), np.float32), "labels": RNG.integers(0, 9, (N, 2))},
}


def numbers(part):
    return np.asarray(keras.ops.convert_to_numpy(part))


def test_a_dictionary_is_mixed_by_the_plan_with_the_boxes_of_both():
    layer = KMixupLayer(1, alpha=1.0)
    plan = layer.plan([IMAGES], 5)
    partner, ratio = numbers(plan.partner), numbers(plan.ratio)
    mixed = layer(DATA, seed=5)
    assert list(mixed) == list(DATA) and keras.ops.is_tensor(mixed["bounding_boxes"]["boxes"])
    for name in ("images", "labels"):
        share = ratio.reshape(-1, *[1] * (DATA[name].ndim - 1))
        expected = share * DATA[name] + (1 - share) * DATA[name][partner]
        np.testing.assert_allclose(numbers(mixed[name]), expected, rtol=1e-5, atol=1e-6)
    for name, came in DATA["bounding_boxes"].items():
        assert (partner != np.arange(N)).all()
        np.testing.assert_array_equal(
            numbers(mixed["bounding_boxes"][name]), np.concatenate([came, came[partner]], axis=1)
        )


@pytest.mark.parametrize("make", [KMixupLayer, CutMixLayer], ids=["mixup", "cutmix"])
def test_a_map_of_dictionaries_gives_tensors(make):
    layer = make(bounding_box_format="rel_xyxy", box_weights=True)
    for mixed in tf.data.Dataset.from_tensor_slices(DATA).batch(5).apply(mix(layer, seed=0)):
        boxes = mixed["bounding_boxes"]
        assert all(isinstance(leaf, tf.Tensor) for leaf in tf.nest.flatten(mixed))
        assert boxes["boxes"].shape[1:] == (4, 4) and boxes["box_weights"].shape[1:] == (4,)


def test_a_choice_draws_alike_by_hand_and_is_shown_in_training(tmp_path):
    remix = KMixupLayer(4, num_classes=3, label_shares=RemixShares([6, 3, 1]))
    choice = ChoiceLayer([remix, CutMixLayer(num_classes=3, scope="pair"), None], [0.4, 0.4, 0.2])
    kind = type(keras.layers.RandomFlip()(IMAGES))
    drawn = [choice(IMAGES, LABELS, seed=seed) for seed in range(6)]
    assert all(type(part) is kind for pair in drawn for part in pair)
    again = choice(IMAGES, LABELS, seed=3)
    np.testing.assert_array_equal(numbers(again[0]), numbers(drawn[3][0]))
    assert len({numbers(x).tobytes() for x, _ in drawn}) > 3
    between = choice.between((IMAGES, LABELS), (IMAGES[::-1].copy(), LABELS[::-1].copy()), seed=1)
    assert type(between[0]) is kind
    model = keras.Sequential([keras.layers.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4).apply(mix(choice, seed=0))
    shown = MixtureImages(str(tmp_path), choice, (IMAGES, LABELS), batch_size=8)
    logs = model.fit(data, epochs=2, verbose=0, callbacks=[shown]).history
    assert np.isfinite(logs["loss"] + logs["mix_ratio"] + logs["mix_distance"]).all()
    assert any((tmp_path / "mixtures").iterdir())


def test_partners_and_ratios_that_see_the_data_are_those_of_the_plan():
    layer = MixLayer(LabelDistancePairing(0.5), DistanceWarpedRatio())
    x, y = IMAGES.reshape(N, -1), LABELS.astype(np.float32)
    mixed, targets = layer(x, y, seed=2)
    plan = layer.plan([x], 2, targets=tf.constant(y))
    partner, ratio = numbers(plan.partner), numbers(plan.ratio)
    assert len(np.unique(ratio)) > 1
    np.testing.assert_allclose(numbers(targets), ratio * y + (1 - ratio) * y[partner], rtol=1e-5, atol=1e-6)
    expected = ratio[:, None] * x + (1 - ratio[:, None]) * x[partner]
    np.testing.assert_allclose(numbers(mixed), expected, rtol=1e-5, atol=1e-6)
