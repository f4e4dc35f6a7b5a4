"""Aligned mixtures against plans of POT and sums place by place; maps whose places were shuffled come back."""

import keras
import numpy as np
import ot
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import (
    AlignMixBlend,
    BetaRatio,
    ExponentialWeight,
    KMixupLayer,
    MixLayer,
    RandomPairing,
    RepeatedPairing,
)

RNG = np.random.default_rng(6)
plain = pytest.mark.usefixtures("plain_functions")


def maps(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def oracle(first, second, ratio, axes, onto, epsilon):
    """One mixture, in float64: POT's plan, and each place by itself."""
    places = first.shape[:axes]
    a, b = (side.astype(np.float64).reshape(np.prod(places), -1) for side in (first, second))
    cost = np.square(a[:, np.newaxis] - b[np.newaxis]).sum(axis=2)
    uniform = np.full(len(a), 1 / len(a))
    plan = ot.sinkhorn(uniform, uniform, cost, epsilon, method="sinkhorn_log", numItermax=5000, stopThr=1e-9)
    plan *= len(a)
    if onto == "sample":
        mixed = [ratio * a[i] + (1 - ratio) * sum(plan[i, j] * b[j] for j in range(len(b))) for i in range(len(a))]
    else:
        mixed = [ratio * sum(plan[i, j] * a[i] for i in range(len(a))) + (1 - ratio) * b[j] for j in range(len(b))]
    return np.reshape(mixed, first.shape)


def exact(axes=2, epsilon=1.0, **options):
    return AlignMixBlend(axes, epsilon=epsilon, iterations=2000, tolerance=1e-4, **options)


@plain
@pytest.mark.parametrize("onto", ["sample", "partner"])
@pytest.mark.parametrize(("shape", "axes"), [((2, 3, 2), 2), ((5, 2), 1), ((3, 2), 2), ((2, 1, 2, 3), 3)])
def test_mixtures_are_those_of_pots_plan(shape, axes, onto):
    first, second = maps(4, *shape), maps(4, *shape)
    partner, ratio = np.array([2, 2, 0, 1]), np.array([0.3, 0.9, 0.0, 0.5], np.float32)
    sides = [tf.constant(first)], [tf.constant(second)]
    blended = exact(axes, onto=onto)(*sides, tf.constant(partner), tf.constant(ratio), seed=1)
    expected = [
        oracle(first[i], second[j], r, axes, onto, 1.0) for i, (j, r) in enumerate(zip(partner, ratio, strict=True))
    ]
    np.testing.assert_allclose(blended.x[0], expected, atol=1e-3)
    np.testing.assert_array_equal(blended.ratio, ratio)


@pytest.mark.usefixtures("plain_functions")
class TestAnyShuffle:
    @given(st.integers(1, 4), st.integers(1, 4), st.floats(0, 1), st.integers(0, 2**31 - 1))
    def test_shuffled_places_are_aligned_exactly(self, height, width, ratio, seed):
        rng = np.random.default_rng(seed)
        # No two places within a distance of 2 of one another.
        rows = rng.permutation(height * width)[:, np.newaxis] * np.array([2.0, -1.0, 3.0])
        shuffled = rng.permutation(rows)
        x, y = (tf.constant(side.reshape(1, height, width, 3).astype(np.float32)) for side in (rows, shuffled))
        for onto, expected in (("sample", x), ("partner", y)):
            blend = AlignMixBlend(onto=onto)
            mixed = blend([x], [y], tf.constant([0]), tf.constant([ratio], tf.float32), seed=0).x[0]
            expected = x if ratio == 1 else expected
            np.testing.assert_allclose(mixed, expected, atol=1e-3)


@pytest.mark.parametrize("onto", ["either", "sample", "partner"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
def test_a_whole_sample_is_untouched(onto, dtype):
    x = tf.cast(100 * tf.random.stateless_uniform([4, 3, 3, 2], [1, 2]), dtype)
    partner = tf.constant([1, 2, 3, 0])
    blended = AlignMixBlend(onto=onto)([x], [x], partner, tf.constant([1.0, 0.5, 1.0, 0.25]), seed=2)
    assert blended.x[0].dtype == (dtype if x.dtype.is_floating else tf.float32)
    assert blended.x[0].shape == x.shape
    whole = tf.cast(blended.x[0], tf.float64).numpy() == tf.cast(x, tf.float64).numpy()
    assert whole[[0, 2]].all()
    assert not whole[[1, 3]].all()


def test_half_precision_is_computed_in_float32():
    x = maps(3, 4, 4, 2).astype(np.float16)
    partner, ratio = tf.constant([1, 2, 0]), tf.fill([3], 0.4)
    half, wide = (
        exact(onto="sample")([tf.constant(side)], [tf.constant(side)], partner, ratio, 1).x[0]
        for side in (x, x.astype(np.float32))
    )
    np.testing.assert_array_equal(half, tf.cast(wide, tf.float16))


def test_the_direction_is_drawn_for_the_batch_one_as_likely_as_the_other():
    x, partner, ratio = tf.constant(maps(3, 2, 2, 2)), tf.constant([1, 2, 0]), tf.fill([3], 0.5)
    sides = [AlignMixBlend(onto=onto)([x], [x], partner, ratio, 0).x[0].numpy() for onto in ("sample", "partner")]
    counts = [0, 0]
    for seed in range(60):
        mixed = AlignMixBlend()([x], [x], partner, ratio, seed).x[0].numpy()
        counts[[np.allclose(mixed, side, atol=1e-6) for side in sides].index(True)] += 1
    assert not np.allclose(*sides)
    assert sum(counts) == 60
    assert min(counts) >= 12  # A fair coin has fewer in one of 400,000 tests.


def test_several_interpolations_and_partners_are_as_many_mixtures():
    x = tf.constant(maps(4, 2, 3, 2))
    partner = tf.constant([[1, 2, 3, 0], [2, 3, 0, 1]])
    ratio = tf.constant(RNG.uniform(size=(2, 4)).astype(np.float32))
    for onto in ("sample", "partner"):
        blend = AlignMixBlend(onto=onto)
        one = blend([x], [x], partner[0], ratio, 3)
        each = [blend([x], [x], partner[0], ratio[k], 3).x[0] for k in range(2)]
        np.testing.assert_allclose(one.x[0], tf.concat(each, 0), atol=1e-6)
        assert one.ratio.shape == (2, 4)
        two = blend([x], [x], partner, ratio, 3)
        each = [blend([x], [x], partner[k], ratio[k], 3).x[0] for k in range(2)]
        np.testing.assert_allclose(two.x[0], tf.concat(each, 0), atol=1e-6)
        np.testing.assert_allclose(blend([x], [x], partner, ratio[0], 3).ratio, tf.stack([ratio[0]] * 2))


def test_leaves_of_the_same_places_move_alike_and_others_are_averaged():
    image, table = 10 * maps(1, 2, 3, 2), maps(1, 5)
    order = np.array([3, 0, 5, 1, 4, 2])
    turned = image.reshape(1, 6, 2)[:, order].reshape(image.shape) * 1.0
    numbers = np.arange(6.0, dtype=np.float32)
    depth, theirs = numbers.reshape(1, 2, 3), numbers[order].reshape(1, 2, 3)
    first = [tf.constant(leaf) for leaf in (table, image, depth)]
    second = [tf.constant(leaf) for leaf in (2 * table, turned, theirs)]
    blend = AlignMixBlend(epsilon=1e-3, onto="sample")
    blended = blend(first, second, tf.constant([0]), tf.constant([0.25]), seed=0)
    np.testing.assert_allclose(blended.x[0], 1.75 * table, rtol=1e-6)
    np.testing.assert_allclose(blended.x[1], image, atol=1e-3)
    np.testing.assert_allclose(blended.x[2], depth, atol=1e-3)


def test_no_gradient_flows_through_the_plan_but_through_both_maps():
    first, second = (tf.constant(maps(1, 2, 2, 3)) for _ in range(2))
    ratio = 0.3
    blend, partner = exact(onto="sample"), tf.constant([0])
    with tf.GradientTape() as tape:
        tape.watch([first, second])
        mixed = blend([first], [second], partner, tf.constant([ratio]), 0).x[0]
        loss = tf.reduce_sum(tf.square(mixed))
    ours, theirs = (tf.convert_to_tensor(side) for side in tape.gradient(loss, [first, second]))
    cost = np.square(first.numpy().reshape(4, 1, 3) - second.numpy().reshape(1, 4, 3)).sum(axis=2).astype(np.float64)
    uniform = np.full(4, 0.25)
    plan = 4 * ot.sinkhorn(uniform, uniform, cost, 1.0, method="sinkhorn_log", numItermax=5000, stopThr=1e-9)
    upstream = 2 * mixed.numpy().reshape(4, 3)
    np.testing.assert_allclose(ours.numpy().reshape(4, 3), ratio * upstream, atol=1e-4)
    np.testing.assert_allclose(theirs.numpy().reshape(4, 3), (1 - ratio) * plan.T @ upstream, atol=1e-3)


def test_relative_costs_have_no_unit():
    x = maps(3, 3, 3, 1)
    partner, ratio = tf.constant([1, 2, 0]), tf.fill([3], 0.5)
    blend = exact(epsilon=0.2, relative=True, onto="sample")
    small, large = (blend([tf.constant(s * x)], [tf.constant(s * x)], partner, ratio, 0).x[0] for s in (1, 1000))
    np.testing.assert_allclose(1000 * small, large, atol=0.5)
    same = tf.ones([3, 2, 2, 1])  # Costs of 0 have no mean to be divided by.
    np.testing.assert_allclose(blend([same], [same], partner, ratio, 0).x[0], same, atol=1e-6)


@pytest.mark.parametrize("onto", ["either", pytest.param("partner", marks=pytest.mark.matrix)])
def test_a_seed_gives_the_same_mixture_compiled_and_not(onto):
    x, blend = tf.constant(maps(5, 3, 3, 2)), AlignMixBlend(onto=onto)

    def mixed(x, seed):
        return blend([x], [x], tf.constant([1, 2, 3, 4, 0]), tf.fill([5], 0.6), seed).x[0]

    functions = mixed, tf.function(mixed), tf.function(mixed, jit_compile=True)
    for seed in (1, 2):
        ours, *others = (function(x, tf.constant([3, seed])).numpy() for function in functions)
        for other in others:
            np.testing.assert_allclose(other, ours, atol=1e-5)


def test_images_of_any_batch_are_mixed_in_a_map(same):
    x, y = maps(7, 5, 4, 3), np.eye(7, dtype=np.float32)
    layer = MixLayer(ratio=BetaRatio(2.0, "sample"), blend=AlignMixBlend(relative=True))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    for (mixed, label), size in zip(data.map(layer), (3, 3, 1), strict=True):
        assert mixed.shape == (size, 5, 4, 3)
        np.testing.assert_allclose(tf.reduce_sum(label, axis=1), 1, atol=1e-6)
    same(mixed.numpy(), x[6:])  # A batch of one is as it was.


@pytest.mark.parametrize("sizes", [(None, 4), (None, None)])
def test_sizes_may_be_open(sizes):
    x, blend = tf.constant(maps(3, 3, 4, 2)), AlignMixBlend(onto="sample")

    def eager(x):
        return blend([x], [x], tf.constant([1, 2, 0]), tf.fill([3], 0.5), 1).x[0]

    mixed = tf.function(eager, input_signature=[tf.TensorSpec([None, *sizes, 2])])
    np.testing.assert_allclose(mixed(x), eager(x), atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="AlignMixBlend: maps to align must have at most 1024"):
        mixed(np.zeros([3, 257, 4, 2], np.float32))


@pytest.mark.parametrize(
    "options",
    [{"k": 2, "solver": "graph"}, {"interpolations": 3}, {"weight": ExponentialWeight(0.1)}, {"scope": "sample"}],
    ids=lambda options: next(iter(options)),
)
def test_it_combines_with_the_other_decisions(options):
    layer = KMixupLayer(alpha=2.0, blend=AlignMixBlend(), num_classes=3, **{"k": 1, **options})
    mixed = layer(maps(6, 3, 3, 2), np.arange(6) % 3, seed=1)
    assert len(mixed[0]) == 6 * options.get("interpolations", 1)
    assert all(np.isfinite(leaf).all() for leaf in mixed)


def test_two_loaders_and_several_partners():
    first, second = maps(4, 3, 3, 2), maps(4, 3, 3, 2)
    y = np.eye(4, dtype=np.float32)
    x, _ = MixLayer(blend=AlignMixBlend()).between((first, y), (second, y), seed=1)
    assert x.shape == first.shape
    layer = MixLayer(RepeatedPairing(RandomPairing(), 2), BetaRatio(1.0), AlignMixBlend())
    assert layer(first, y, seed=1)[0].shape == (8, 3, 3, 2)


def test_places_are_asked_for():
    pooled = tf.ones([4, 7])
    arguments = tf.constant([1, 2, 3, 0]), tf.fill([4], 0.5), 1
    with pytest.raises(ValueError, match=r"AlignMixBlend: features must have 2 axes of places .*global pooling"):
        AlignMixBlend()([pooled], [pooled], *arguments)
    large = tf.zeros([4, 33, 32, 1])
    with pytest.raises(ValueError, match=r"at most 1024 places.*\(4, 33, 32, 1\), which have 1056"):
        AlignMixBlend()([large], [large], *arguments)
    assert AlignMixBlend(1)([pooled], [pooled], *arguments).x[0].shape == (4, 7)


def test_what_says_where_something_is_is_refused():
    x, y = maps(4, 6, 5, 1), np.eye(4, dtype=np.float32)
    layer = MixLayer(blend=AlignMixBlend(), bounding_box_format="xyxy")
    with pytest.raises(ValueError, match=r"MixLayer: AlignMixBlend moves parts of .* targets, a map of"):
        layer(x, maps(4, 6, 5, 2))
    boxes = {"boxes": np.ones([4, 1, 4], np.float32), "labels": np.ones([4, 1], np.int32)}
    with pytest.raises(ValueError, match=r"nothing else that says where something is.* Received: .*, boxes\."):
        layer(x, boxes)
    with pytest.raises(ValueError, match=r"nothing else that says where something is.* a mask of padding\."):
        MixLayer(blend=AlignMixBlend(), masks=["mask"])({"x": x, "mask": np.ones([4, 6], bool)}, y)
    mixed, (label, small) = MixLayer(blend=AlignMixBlend())(x, (y, maps(4, 3, 5, 2)))
    assert (mixed.shape, label.shape, small.shape) == ((4, 6, 5, 1), (4, 4), (4, 3, 5, 2))


BAD = {
    "axes": [0, 4, 1.5],
    "epsilon": [0, -1.0, float("inf"), "soft"],
    "iterations": [0, 1.5, True],
    "tolerance": [0, -0.1],
    "relative": [1, None],
    "onto": ["both", None, 1],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_other_options_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"AlignMixBlend: {name} must be .* Received: {name}="):
        AlignMixBlend(**{name: value})


def test_the_configuration_makes_an_equal_blend():
    blend = AlignMixBlend(1, epsilon=0.3, iterations=7, tolerance=0.2, relative=True, onto="partner")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert type(back) is AlignMixBlend
    assert back.get_config() == blend.get_config()
    settings = {"axes": 2, "epsilon": 0.1, "iterations": 100, "tolerance": 0.01, "relative": False, "onto": "either"}
    assert AlignMixBlend().get_config() == settings
