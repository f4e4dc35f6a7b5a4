"""ResizeMix against partners made smaller pixel by pixel, in the rectangle that the mask shows."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import MixLayer, RandomPairing, ResizeMixBlend

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(8)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


def nearest(values, axis, count):
    size = values.shape[axis]
    return np.take(values, [int(np.floor((i + 0.5) * size / count)) for i in range(count)], axis)


def means(values, axis, count):
    """Each place is cut into so many pieces that a whole number of them makes a new one."""
    values = np.moveaxis(values.astype(np.float64), axis, 0)
    fine = values.repeat(count, 0).reshape(count, len(values), *values.shape[1:]).mean(axis=1)
    return np.moveaxis(fine, 0, axis)


RESIZED = {"nearest": nearest, "area": means}


def rectangle(shown):
    """The first place and the number of places along each axis, of a box of which nothing is missing."""
    if not shown.any():
        return [(0, 0)] * shown.ndim
    ends = [(where.min(), where.max() + 1) for where in np.nonzero(shown)]
    assert shown[tuple(slice(*end) for end in ends)].all()
    return [(start, end - start) for start, end in ends]


def oracle(own, other, shown, resize):
    """What a box of the sample shows if it is the partner's, whole."""
    box, small = rectangle(shown), other
    if not shown.any():
        return own
    for axis, (_, side) in enumerate(box):
        small = RESIZED[resize](small, axis, side)
    mixed = own.astype(np.float64)
    mixed[tuple(slice(start, start + side) for start, side in box)] = small
    return mixed


def sides_of(ratio, sizes):
    sides = [int(np.round((1 - np.float64(ratio)) ** (1 / len(sizes)) * size)) for size in sizes]
    return sides if min(sides) > 0 else [0] * len(sizes)


@plain
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.lists(st.integers(1, 9), min_size=1, max_size=3),
        st.integers(0, 2),
        st.integers(1, 4),
        st.sampled_from([None, 1, 3]),
        st.booleans(),
        st.sampled_from(["nearest", "area"]),
        st.integers(0, 2**31 - 1),
    )
    def test_the_whole_partner_is_in_the_box(
        self, places, channels, batch, interpolations, several_partners, resize, seed
    ):
        rng, axes = np.random.default_rng(seed), len(places)
        first, second = rng.normal(size=(2, batch, *places, *[2] * channels)).astype(np.float32)
        lead = [] if interpolations is None else [interpolations]
        # Sides not so near a half of a place that float32 could see them on the other side of it.
        ratio = (1 - (rng.integers(0, 41, size=(*lead, batch)) / 41 + 0.007) ** axes).clip(0, 1).astype(np.float32)
        ratio = -np.sort(-ratio, axis=0) if lead else ratio
        several_partners = several_partners and interpolations is not None
        partner = rng.integers(0, batch, size=ratio.shape if several_partners else batch).astype(np.int32)
        blend = ResizeMixBlend(axes, resize)
        blended = blend([tf.constant(first)], [tf.constant(second)], tf.constant(partner), tf.constant(ratio), seed)
        assert blended.ratio.shape == ratio.shape
        assert blended.mask.shape == (*ratio.shape, *places)
        shown = blended.mask.numpy().reshape(-1, *places) == 0
        partners = np.broadcast_to(partner, ratio.shape).ravel()
        for at, (other, share) in enumerate(zip(partners, ratio.ravel(), strict=True)):
            expected = oracle(first[at % batch], second[other], shown[at], resize)
            np.testing.assert_allclose(blended.x[0][at], expected, atol=0 if resize == "nearest" else 1e-6)
            assert [side for _, side in rectangle(shown[at])] == sides_of(share, places)
            assert np.isclose(blended.ratio.numpy().ravel()[at], 1 - shown[at].mean(), atol=1e-6)
        if interpolations == 3 and not several_partners:
            nested = shown.reshape(3, batch, *places)
            assert not (nested[:-1] & ~nested[1:]).any()


@plain
@pytest.mark.parametrize("resize", ["nearest", "area"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_the_ends_are_the_sample_and_the_partner_to_the_bit(dtype, resize):
    x = RNG.integers(0, 256, size=(4, 7, 5, 3)).astype(dtype)
    if dtype != np.uint8:
        x += RNG.normal(size=x.shape).astype(dtype)
    partner, ratio = tf.constant([1, 2, 3, 0]), tf.constant([0.0, 1, 0, 1])
    blended = ResizeMixBlend(resize=resize)([tf.constant(x)], [tf.constant(x)], partner, ratio, seed=2)
    expected = np.stack([x[1], x[1], x[3], x[3]])
    assert blended.x[0].dtype == (np.float32 if dtype == np.uint8 else dtype)
    assert (blended.x[0].numpy() == expected).all()
    assert (blended.ratio.numpy() == ratio.numpy()).all()


@pytest.mark.parametrize("resize", ["nearest", "area"])
def test_the_ends_are_exact_where_xla_divides(resize):
    x = tf.constant(RNG.normal(size=(3, 49, 7, 1)))
    call = tf.function(
        lambda ratio: ResizeMixBlend(resize=resize)([x], [x], tf.constant([1, 2, 0]), ratio, seed=2),
        jit_compile=True,
    )
    for ratio in (0.0, 1.0):
        blended = call(tf.fill([3], ratio))
        assert (blended.x[0].numpy() == (x if ratio else tf.roll(x, -1, axis=0)).numpy()).all()
        assert (blended.ratio.numpy() == ratio).all()


@plain
def test_a_box_too_small_for_a_pixel_leaves_the_sample():
    x = tf.constant(RNG.normal(size=(2, 8, 2, 1)), tf.float32)
    # 1.6 of 8 places, and 0.4 of 2.
    blended = ResizeMixBlend()([x], [x], tf.constant([1, 0]), tf.fill([2], 0.96), seed=1)
    assert (blended.x[0].numpy() == x.numpy()).all()
    assert (blended.ratio.numpy() == 1).all()


@plain
def test_each_place_is_as_likely_as_any_other_and_each_sample_has_its_own():
    count = 3000
    x = tf.zeros([count, 6, 9, 1])
    blended = ResizeMixBlend()([x], [x + 1], tf.range(count), tf.fill([count], 0.75), seed=4)
    shown = blended.x[0].numpy()[..., 0]
    tops, lefts = shown.any(axis=2).argmax(axis=1), shown.any(axis=1).argmax(axis=1)
    # 3 of 6 rows have 4 places, round(4.5) = 4 of 9 columns have 6.
    table = np.zeros((4, 6))
    np.add.at(table, (tops, lefts), 1)
    assert stats.chisquare(table.ravel()).pvalue > FALSE_ALARM
    assert not np.array_equal(
        shown, ResizeMixBlend()([x], [x + 1], tf.range(count), tf.fill([count], 0.75), seed=5).x[0].numpy()[..., 0]
    )


@plain
def test_leaves_of_other_sizes_have_the_box_at_the_same_share_and_others_are_mixed_by_it():
    large, small, column = RNG.normal(size=(3, 8, 8, 1)), RNG.normal(size=(3, 4, 4)), RNG.normal(size=(3, 2))
    leaves = [tf.constant(leaf, tf.float32) for leaf in (column, large, small)]
    partner = tf.constant([1, 2, 0])
    blended = ResizeMixBlend()(leaves, leaves, partner, tf.fill([3], 0.75), seed=3)
    share = blended.ratio.numpy()
    assert (share == 0.75).all()
    expected = 0.75 * column + 0.25 * column[[1, 2, 0]]
    np.testing.assert_allclose(blended.x[0], expected, atol=1e-6)
    for row in range(3):
        (top, _), (left, _) = rectangle(blended.mask[row].numpy() == 0)
        changed = blended.x[2][row].numpy() != small[row].astype(np.float32)
        (top_2, side), (left_2, _) = rectangle(changed)
        assert side == 2
        # Between the same ends: of 5 places in the large one, of 3 in the small one.
        assert top // 5 <= top_2 / 3 + 1 and int(top / 5 * 3) in (top_2 - 1, top_2)
        assert int(left / 5 * 3) in (left_2 - 1, left_2)


@plain
def test_both_samples_of_a_pair_have_one_place():
    layer = MixLayer(RandomPairing(mutual=True), blend=ResizeMixBlend(scope="pair"), features_only=True)
    x = np.arange(6, dtype=np.float32)[:, np.newaxis, np.newaxis] + np.zeros((6, 10, 10), np.float32)
    mixed = layer(x, seed=8).numpy()
    partner = layer.plan([x], seed=8).partner.numpy()
    boxes = mixed != x
    assert boxes.any(axis=(1, 2)).all()
    assert (boxes == boxes[partner]).all()


def test_unknown_sizes_are_pasted_alike():
    x = RNG.normal(size=(4, 6, 10, 2)).astype(np.float32)
    partner, ratio = tf.constant([1, 2, 3, 0]), tf.constant([0.3, 0.5, 0.7, 0.9])
    for resize in RESIZED:
        blend = ResizeMixBlend(resize=resize)
        call = tf.function(
            lambda x, blend=blend: blend([x], [x], partner, ratio, seed=3),
            input_signature=[tf.TensorSpec([None, None, None, 2])],
        )
        expected = blend([tf.constant(x)], [tf.constant(x)], partner, ratio, seed=3)
        np.testing.assert_allclose(call(x).x[0], expected.x[0], atol=1e-6)
        assert (call(x).ratio.numpy() == expected.ratio.numpy()).all()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"ResizeMixBlend: resize must be one of 'nearest', 'area'. Received: "):
        ResizeMixBlend(resize="cubic")
    with pytest.raises(ValueError, match=r"ResizeMixBlend: axes must be 1, 2 or 3. Received: axes=4"):
        ResizeMixBlend(4)
    with pytest.raises(ValueError, match=r"ResizeMixBlend: scope must be one of 'sample', 'pair'"):
        ResizeMixBlend(scope="batch")
    table = tf.zeros([4, 3])
    with pytest.raises(ValueError, match=r"ResizeMixBlend: features must have 2 axes after the batch's"):
        ResizeMixBlend()([table], [table], tf.range(4), tf.ones([4]), seed=1)
