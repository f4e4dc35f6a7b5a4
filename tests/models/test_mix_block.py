"""MixBlock: attention between two feature maps as a mask, against NumPy, and what holds of any mask."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf import MixBlock
from kmix_tf.models.automix.attention import area_loss, attended, resized, scaled_ratio

pytestmark = pytest.mark.usefixtures("plain_functions")


def block_of(seed=0, **options):
    """A block with weights far from where they begin."""
    block = MixBlock(**{"channels": 3, **options})
    rng = np.random.default_rng(seed)
    block.set_weights([rng.normal(size=weight.shape) for weight in block.get_weights()])
    return block


def maps_of(seed, n=4, places=(3, 2), channels=3):
    return np.random.default_rng(seed).normal(size=(n, *places, channels)).astype(np.float32)


def softmax(values):
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def partners_logits(block, first, second, ratio):
    """Place by place, what the partner is to have, of one pair: `(places,)`, with loops over places."""
    query, key, value = ([np.array(weight) for weight in part.get_weights()] for part in parts(block))
    first, second = (np.reshape(each, (-1, block.channels)).astype(np.float64) for each in (first, second))
    bent = [(4 / 3 * r**3 - 2 * r**2 + 1.25 * r) / (1.25 - 2 / 3) for r in (ratio, 1 - ratio)]
    if block.ratio_as == "channel":
        first, second = (
            np.concatenate([each, np.full((len(each), 1), r)], 1) for each, r in ((first, ratio), (second, 1 - ratio))
        )
    if block.ratio_as == "scale":
        first, second = first * (1 + bent[0]), second * (1 + bent[1])
    values = second
    if block.variant == "samix":
        values = second @ block.hidden.get_weights()[0] + block.hidden.get_weights()[1]
        values = np.where(values > 0, values, np.exp(np.minimum(values, 0)) - 1)
        first = second = np.concatenate([first, second], axis=1)
    logits = []
    for place in range(len(first)):
        asking = first[place] @ query[0] + query[1]
        fits = [asking @ (other @ key[0] + key[1]) / np.sqrt(len(asking)) for other in second]
        logits.append(softmax(np.array(fits)) @ (values @ value[0] + sum(value[1:]))[:, 0])
    return np.array(logits)


def parts(block):
    return block.query, block.key, block.value


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"ratio_as": "none"}, {"variant": "samix"}], ids=["automix", "none", "samix"]
)
@pytest.mark.representatives("options, symmetric", [({}, True), ({"variant": "samix"}, False)])
def test_masks_are_those_of_a_loop_over_places(options, symmetric):
    block = block_of(symmetric=symmetric, reduction=1, **options)
    first, second, ratio = maps_of(1), maps_of(2), np.array([0.1, 0.5, 0.8, 1.0], np.float32)
    mask = block(first, second, ratio).numpy()
    for n in range(4):
        logits = partners_logits(block, first[n], second[n], ratio[n])
        if symmetric:
            logits = logits - partners_logits(block, second[n], first[n], 1 - ratio[n])
        np.testing.assert_allclose(mask[n].ravel(), 1 / (1 + np.exp(logits)), rtol=1e-4, atol=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 2**31 - 1), st.sampled_from(["automix", "samix"]), st.floats(0, 1, width=32))
def test_both_orders_of_a_pair_have_masks_that_sum_to_one(seed, variant, ratio):
    block, first, second = block_of(seed, variant=variant), maps_of(seed + 1), maps_of(seed + 2)
    ratio = np.full(4, ratio, np.float32)
    total = block(first, second, ratio) + block(second, first, 1 - ratio)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    half = block(first, first, tf.fill([4], 0.5))
    assert (half.numpy() == 0.5).all()


@pytest.mark.parametrize("places", [(5,), (2, 3), (2, 1, 2)])
def test_maps_have_one_to_three_axes_and_any_float_dtype(places):
    block, ratio = block_of(), tf.constant([0.2, 0.9])
    first, second = maps_of(1, 2, places), maps_of(2, 2, places)
    mask = block(first, second, ratio)
    assert mask.shape == (2, *places) and mask.dtype == tf.float32
    half = block(first.astype(np.float16), second.astype(np.float16), tf.cast(ratio, tf.float16))
    np.testing.assert_allclose(half, mask, atol=0.02)


def test_a_mask_depends_on_its_own_pair_alone():
    block, first, second, ratio = block_of(variant="samix"), maps_of(1), maps_of(2), tf.constant([0.1, 0.3, 0.6, 1])
    alone = [block(first[n : n + 1], second[n : n + 1], ratio[n : n + 1]) for n in range(4)]
    np.testing.assert_allclose(tf.concat(alone, 0), block(first, second, ratio), atol=1e-5)


def test_masks_begin_near_a_half():
    mask = MixBlock(channels=8)(maps_of(1, channels=8), maps_of(2, channels=8), tf.fill([4], 0.3))
    np.testing.assert_allclose(mask, 0.5, atol=0.05)


@pytest.mark.parametrize("upsampling, method", [("nearest", "nearest"), ("linear", "bilinear")])
@pytest.mark.parametrize("sizes", [(4, 6), (7, 5), (2, 3)])
def test_maps_are_enlarged_as_images_are(upsampling, method, sizes):
    maps = maps_of(1, places=(2, 3), channels=1)
    expected = tf.image.resize(maps, sizes, method=method)[..., 0]
    np.testing.assert_allclose(resized(tf.constant(maps[..., 0]), sizes, upsampling), expected, atol=1e-6)
    open_sizes = [tf.constant(size) for size in sizes]
    np.testing.assert_allclose(resized(tf.constant(maps[..., 0]), open_sizes, upsampling), expected, atol=1e-6)


def test_attention_is_a_mean_of_values():
    query, key = maps_of(1, places=(6,), channels=2), maps_of(2, places=(6,), channels=2)
    np.testing.assert_allclose(attended(query, key, tf.ones([4, 6])), 1, atol=1e-6)


def test_the_ratio_of_samix_keeps_its_ends_and_its_middle_and_rises():
    ratio = tf.linspace(0.0, 1.0, 101)
    bent = scaled_ratio(ratio, 0.25).numpy()
    np.testing.assert_allclose(bent[[0, 50, 100]], [0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(bent + bent[::-1], 1, atol=1e-6)
    assert (np.diff(bent) > 0).all()


def test_areas_cost_what_they_miss_beyond_the_margin():
    realised, ratio = np.array([0.5, 0.9, 0.2], np.float32), np.array([0.45, 0.5, 0.5], np.float32)
    np.testing.assert_allclose(area_loss(realised, ratio, 0.1), (0 + 0.3 + 0.2) / 3, rtol=1e-6)


MAKE = """
import keras
import numpy as np
import kmix_tf

block = keras.models.load_model({path!r} + ".keras")
arrays = np.load({path!r} + ".npz")
np.save({path!r} + "_mask.npy", block(arrays["first"], arrays["second"], arrays["ratio"]))
"""


@pytest.mark.parametrize("variant", ["automix", "samix"])
@pytest.mark.representatives("variant", ["samix"])
def test_a_saved_block_makes_the_same_masks_elsewhere(variant, tmp_path, elsewhere):
    block, path = block_of(variant=variant, reduction=1, symmetric=False), str(tmp_path / "block")
    arrays = {"first": maps_of(1), "second": maps_of(2), "ratio": np.float32([0.1, 0.5, 0.8, 1])}
    block.save(path + ".keras")
    np.savez(path + ".npz", **arrays)
    elsewhere(MAKE.format(path=path))
    np.testing.assert_allclose(np.load(path + "_mask.npy"), block(*arrays.values()), atol=1e-6)
    again = MixBlock.from_config(block.get_config())
    again.set_weights(block.get_weights())
    np.testing.assert_allclose(again(*arrays.values()), block(*arrays.values()), atol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"channels": 0}, "MixBlock: channels must be an integer >= 1. Received: channels=0."),
        ({"variant": "mix"}, "MixBlock: variant must be one of 'automix', 'samix'. Received: variant='mix'."),
        ({"reduction": 0.5}, "MixBlock: reduction must be an integer >= 1. Received: reduction=0.5."),
        (
            {"ratio_as": "mul"},
            "MixBlock: ratio_as must be one of 'channel', 'scale', 'none'. Received: ratio_as='mul'.",
        ),
        ({"upsampling": "bicubic"}, "MixBlock: upsampling must be one of 'nearest', 'linear'."),
        ({"symmetric": 1}, "MixBlock: symmetric must be True or False. Received: symmetric=1."),
    ],
)
def test_other_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MixBlock(**{"channels": 3, **options})


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3, 4)])
def test_other_maps_are_refused(shape):
    with pytest.raises(ValueError, match=r"MixBlock: feature maps must be \(n, \*places, 3\).* Received: a shape"):
        block_of().mask(tf.zeros(shape), tf.zeros(shape), tf.ones([2]), (3, 3))


def test_weights_are_float32_under_any_policy():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        block = MixBlock(3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {tf.as_dtype(weight.dtype) for weight in block.weights} == {tf.float32}
    assert block(maps_of(1), maps_of(2), tf.ones([4])).dtype == tf.float32
