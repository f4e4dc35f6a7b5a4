"""SaliencyMix against boxes drawn pixel by pixel round the brightest place that NumPy finds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import CutMixBlend, MixLayer, RandomPairing, RepeatedPairing
from kmix_tf._compat import register
from kmix_tf.blend.saliencymix import SaliencyMixBlend, salient_centre
from kmix_tf.saliency import SpectralResidualSaliency

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(8)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


@register
def first_channel(features, targets):
    """The first feature of three axes or more says itself how salient it is, in its last axis' first entry."""
    image = next(leaf for leaf in features if leaf.shape.rank > 3)
    return tf.cast(image[..., 0], tf.float32)


def oracle(first, second, partner, ratio, saliency):
    """Place by place and mixture by mixture, in float64; `partner` and `ratio` are `(interpolations, batch)`."""
    places, mixed, kept = saliency.shape[1:], [], []
    for partners, ratios in zip(partner, ratio.astype(np.float64), strict=True):
        for row, (other, share) in enumerate(zip(partners, ratios, strict=True)):
            peak = np.unravel_index(np.argmax(saliency[other]), places)
            side = (1 - share) ** (1 / len(places))
            own = np.ones(places, bool)
            for place in np.ndindex(*places):
                distance = [abs(i - j) / size for i, j, size in zip(place, peak, places, strict=True)]
                own[place] = any(d >= side / 2 for d in distance)
            kept.append(own)
            spread = own.reshape(*places, *[1] * (first.ndim - saliency.ndim))
            mixed.append(np.where(spread, first[row], second[other]))
    return np.stack(mixed), np.stack(kept)


@pytest.mark.usefixtures("plain_functions")
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.lists(st.integers(1, 7), min_size=1, max_size=3),
        st.integers(0, 2),
        st.integers(1, 4),
        st.sampled_from([None, 1, 3]),
        st.booleans(),
        st.integers(0, 2**31 - 1),
    )
    def test_the_box_is_round_the_partners_most_salient_place(
        self, places, channels, batch, interpolations, several_partners, seed
    ):
        rng, axes = np.random.default_rng(seed), len(places)
        first, second = rng.normal(size=(2, batch, *places, *[2] * channels)).astype(np.float32)
        lead = [] if interpolations is None else [interpolations]
        # Sides not so near a whole number of places that float32 could see them on the other side of it.
        ratio = (1 - (rng.integers(0, 40, size=(*lead, batch)) / 41 + 0.007) ** axes).astype(np.float32)
        several_partners = several_partners and interpolations is not None
        partner = rng.integers(0, batch, size=ratio.shape if several_partners else batch).astype(np.int32)
        saliency = rng.permuted(np.arange(batch * np.prod(places)).reshape(batch, -1), axis=1) % 50 + 1.0
        saliency[:, rng.integers(0, saliency.shape[1])] = 60
        saliency = saliency.reshape(batch, *places)
        blend = SaliencyMixBlend(axes)
        blended = blend(
            [tf.constant(first)],
            [tf.constant(second)],
            tf.constant(partner),
            tf.constant(ratio),
            seed,
            saliency=(tf.ones_like(saliency), tf.constant(saliency)),
        )
        rows = np.atleast_2d(ratio)
        expected, kept = oracle(first, second, np.broadcast_to(partner, rows.shape), rows, saliency)
        assert (blended.x[0].numpy() == expected).all()
        assert blended.ratio.shape == ratio.shape
        assert blended.mask.shape == (*ratio.shape, *places)
        assert (blended.mask.numpy().reshape(kept.shape) == kept).all()
        np.testing.assert_allclose(blended.ratio.numpy().ravel(), kept.reshape(len(kept), -1).mean(axis=1), atol=1e-6)


@plain
def test_the_source_is_asked_about_the_partners():
    first, second = RNG.permuted(np.arange(2 * 5 * 8 * 9 * 2.0)).reshape(2, 5, 8, 9, 2).astype(np.float32)
    partner, ratio = np.array([3, 0, 0, 1, 4]), np.full(5, 0.8, np.float32)
    blend = SaliencyMixBlend(saliency=first_channel)
    blended = blend([tf.constant(first)], [tf.constant(second)], tf.constant(partner), tf.constant(ratio), seed=1)
    expected, kept = oracle(first, second, partner[np.newaxis], ratio[np.newaxis], second[..., 0])
    assert (blended.x[0].numpy() == expected).all()
    np.testing.assert_allclose(blended.ratio, kept.mean(axis=(1, 2)), atol=1e-6)
    given_pair = tuple(blend.saliency_of([tf.constant(x)]) for x in (first, second))
    again = blend(
        [tf.constant(first)], [tf.constant(second)], tf.constant(partner), tf.constant(ratio), 1, saliency=given_pair
    )
    assert (again.x[0].numpy() == expected).all()


@plain
def test_boxes_hold_an_object_that_the_default_source_must_find():
    x = 0.3 * RNG.normal(size=(12, 32, 32, 3))
    where = RNG.integers(4, 24, size=(12, 2))
    for row, (top, left) in enumerate(where):
        x[row, top : top + 4, left : left + 4] += 5
    x = tf.constant(x.astype(np.float32))
    partner = tf.roll(tf.range(12), 1, axis=0)
    blended = SaliencyMixBlend()([x], [x], partner, tf.fill([12], 0.8), seed=3)
    pasted = blended.mask.numpy() == 0
    shares = [
        pasted[row, top : top + 4, left : left + 4].mean() for row, (top, left) in enumerate(where[partner.numpy()])
    ]
    # Boxes of a fifth of the image, 14 x 14 pixels, hold the whole object even if they are round its edge.
    assert shares == [1] * 12
    random = CutMixBlend()([x], [x], partner, tf.fill([12], 0.8), seed=3).mask.numpy() == 0
    held = [
        random[row, top : top + 4, left : left + 4].mean() for row, (top, left) in enumerate(where[partner.numpy()])
    ]
    assert np.mean(held) < 0.6


@plain
@pytest.mark.parametrize("several_partners", [False, True], ids=["one partner", "several"])
def test_boxes_of_one_pair_share_a_centre_and_are_nested(several_partners):
    rows = 10
    x = [tf.constant(RNG.permuted(np.tile(np.arange(400.0), (rows, 1)), axis=1).reshape(rows, 20, 20, 1))]
    ratio = np.sort(RNG.uniform(size=(4, rows)), axis=0)[::-1].astype(np.float32)
    partner = RNG.permutation(rows).astype(np.int32)
    partner = np.stack([partner] * 4) if several_partners else partner
    blended = SaliencyMixBlend(saliency=first_channel)(x, x, tf.constant(partner), tf.constant(ratio.copy()), seed=1)
    kept = blended.mask.numpy() > 0
    assert (kept[1:] <= kept[:-1]).all()
    assert blended.x[0].shape == (4 * rows, 20, 20, 1)
    peaks = x[0].numpy()[..., 0].reshape(rows, -1).argmax(axis=1)[partner]
    inside = ~kept.reshape(4, rows, -1)
    assert np.take_along_axis(inside, np.broadcast_to(peaks, (4, rows))[..., np.newaxis], axis=2).all()


@plain
def test_identical_images_give_the_image_itself_and_a_ratio_of_one_pastes_nothing():
    x = tf.constant(RNG.normal(size=(6, 9, 7, 3)).astype(np.float32))
    itself = SaliencyMixBlend()([x], [x], tf.range(6), tf.fill([6], 0.4), seed=1)
    assert (itself.x[0].numpy() == x.numpy()).all()
    none = SaliencyMixBlend()([x], [x], tf.constant([1, 2, 3, 4, 5, 0]), tf.ones([6]), seed=1)
    assert (none.x[0].numpy() == x.numpy()).all()
    assert (none.ratio.numpy() == 1).all()
    assert (none.mask.numpy() == 1).all()


@pytest.mark.parametrize("eagerly", [True, False], ids=["plain", "compiled"])
@pytest.mark.parametrize("size", [5, 6, 224])
def test_a_box_as_large_as_the_image_has_its_size_wherever_it_is(size, eagerly):
    # Where the size is even, its edges are on middles of places: in whole numbers, one is inside and one is not.
    peaks = np.arange(size)
    saliency = tf.constant(np.eye(size, dtype=np.float32))
    x = tf.zeros([size, size, 1])
    tf.config.run_functions_eagerly(eagerly)
    try:
        mask = SaliencyMixBlend(axes=1)([x], [x], tf.range(size), tf.zeros([size]), 1, (saliency, saliency)).mask
    finally:
        tf.config.run_functions_eagerly(False)
    within = np.array([[2 * peak - size <= 2 * place < 2 * peak + size for place in peaks] for peak in peaks])
    np.testing.assert_array_equal(np.asarray(mask) == 0, within)


def test_of_equal_places_one_is_drawn_and_any_as_likely():
    count = 3000
    centre = salient_centre(tf.ones([count, 4, 5]), seed=3).numpy()
    index = np.rint(centre * [4, 5] - 0.5).astype(int)
    observed = np.bincount(index[:, 0] * 5 + index[:, 1], minlength=20)
    assert len(observed) == 20
    assert stats.chisquare(observed).pvalue > FALSE_ALARM


def test_only_places_of_the_largest_saliency_are_drawn():
    values = np.zeros((500, 6, 6), np.float32)
    values[:, 1, 4] = values[:, 5, 0] = 1
    values[:, 3, 3] = 1 - 5e-5  # within a ten-thousandth: rounding must not decide
    values[:, 2, 2] = 1 - 2e-4
    index = np.rint(salient_centre(tf.constant(values), seed=7).numpy() * 6 - 0.5).astype(int)
    assert {tuple(place) for place in index.tolist()} == {(1, 4), (5, 0), (3, 3)}


def test_centres_are_middles_of_places():
    values = np.zeros((2, 3, 8, 5), np.float32)
    values[0, 2, 7, 0] = values[1, 0, 3, 4] = 1
    expected = [[2.5 / 3, 7.5 / 8, 0.5 / 5], [0.5 / 3, 3.5 / 8, 4.5 / 5]]
    np.testing.assert_allclose(salient_centre(tf.constant(values), seed=0), expected, atol=1e-6)


def test_a_seed_gives_the_same_draws_compiled_and_not():
    x = tf.zeros([50, 9, 9, 1])

    def mix(x, seed):
        return SaliencyMixBlend(saliency=first_channel)([x], [x + 1], tf.range(50), tf.fill([50], 0.7), seed).mask

    compiled = tf.function(mix, jit_compile=True)
    masks = [function(x, tf.constant([3, seed])).numpy() for function in (mix, compiled) for seed in (1, 2)]
    assert (masks[0] == masks[2]).all()
    assert (masks[1] == masks[3]).all()
    assert (masks[0] != masks[1]).any()


@plain
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
def test_pixels_of_any_dtype_are_pasted_exactly(dtype):
    x = tf.cast(RNG.integers(0, 250, size=(4, 10, 10, 2)), dtype)
    values = tf.cast(x, tf.float64).numpy()
    partner = np.array([1, 2, 3, 0])
    ratio = np.full(4, 0.7, np.float32)
    blended = SaliencyMixBlend(saliency=first_channel)([x], [x], tf.constant(partner), tf.constant(ratio), seed=0)
    saliency = np.where(values[..., 0] >= 0.999 * values[..., 0].max(axis=(1, 2), keepdims=True), values[..., 0], 0)
    kept = blended.mask.numpy()[..., np.newaxis] == 1
    assert blended.x[0].dtype == (dtype if tf.as_dtype(dtype).is_floating else tf.float32)
    assert (tf.cast(blended.x[0], tf.float64).numpy() == np.where(kept, values, values[partner])).all()
    # The middle of each box is a brightest place: several may be.
    for row, other in enumerate(partner):
        assert ((~kept[row, ..., 0]) & (saliency[other] > 0)).any()


@plain
def test_other_leaves_get_the_same_box_or_the_share():
    image = RNG.uniform(size=(5, 8, 8, 1)).astype(np.float32).round(2)
    image[np.arange(5), [1, 2, 3, 7, 0], [6, 4, 2, 0, 1]] = 2
    large = RNG.normal(size=(5, 16, 16, 2)).astype(np.float32)
    table = RNG.normal(size=(5, 3)).astype(np.float32)
    partner = np.array([1, 2, 3, 4, 0])
    leaves = [tf.constant(leaf) for leaf in (table, image, large)]
    blended = SaliencyMixBlend(saliency=first_channel)(
        leaves, leaves, tf.constant(partner), tf.fill([5], 0.66), seed=1
    )
    expected, kept = oracle(image, image, partner[np.newaxis], np.full((1, 5), np.float32(0.66)), image[..., 0])
    share = kept.mean(axis=(1, 2))[:, np.newaxis]
    assert (blended.x[1].numpy() == expected).all()
    np.testing.assert_allclose(blended.x[0], share * table + (1 - share) * table[partner], atol=1e-6)
    own = (blended.x[2].numpy() == large).all(axis=-1)
    # Within one of the larger image's places of the same box.
    coarse = own.reshape(5, 8, 2, 8, 2).mean(axis=(2, 4))
    assert (np.abs(coarse - kept) < 1).all()


def test_saliency_that_does_not_fit_is_refused():
    x, partner, ratio = [tf.ones([2, 4, 5, 1])], tf.range(2), tf.ones([2])
    with pytest.raises(ValueError, match=r"SaliencyMixBlend: saliency must be of shape \(2, 4, 5\)"):
        SaliencyMixBlend()(x, x, partner, ratio, 0, saliency=(tf.ones([2, 4, 5]), tf.ones([2, 5, 4])))
    with pytest.raises(ValueError, match="SaliencyMixBlend: saliency must be a pair of tensors"):
        SaliencyMixBlend()(x, x, partner, ratio, 0, saliency=tf.ones([2, 4, 5]))
    with pytest.raises(ValueError, match=r"SaliencyMixBlend: features must have 3 axes .*\['\(2, 4, 5\)'\]"):
        SaliencyMixBlend(3)([x[0][..., 0]], [x[0][..., 0]], partner, ratio, 0)


@pytest.mark.parametrize("axes", [0, 4, 2.0, True, "2", None])
def test_other_numbers_of_axes_are_refused(axes):
    with pytest.raises(ValueError, match=r"SaliencyMixBlend: axes must be .* Received: axes="):
        SaliencyMixBlend(axes)


def test_a_source_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"SaliencyMixBlend: saliency must be callable. Received: saliency=3"):
        SaliencyMixBlend(saliency=3)


@pytest.mark.parametrize(
    "source", [None, first_channel, SpectralResidualSaliency(size=8)], ids=["default", "own", "ours"]
)
def test_the_configuration_makes_an_equal_strategy(source):
    blend = SaliencyMixBlend(2, source)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert back.get_config() == blend.get_config()
    assert back.needs_saliency
    x = [tf.constant(RNG.uniform(size=(4, 12, 12, 1)).astype(np.float32))]
    partner, ratio = tf.constant([1, 2, 3, 0]), tf.fill([4], 0.6)
    assert (back(x, x, partner, ratio, 5).x[0].numpy() == blend(x, x, partner, ratio, 5).x[0].numpy()).all()


def test_one_partner_and_several_are_taken_by_turns():
    # A compiled function forgets ranks that have varied.
    images = RNG.uniform(size=(5, 7, 9, 1)).astype(np.float32)
    blend = SaliencyMixBlend()
    for pairing, count in ((RandomPairing(), 5), (RepeatedPairing(RandomPairing(), 2), 10), (RandomPairing(), 5)):
        x, y = MixLayer(pairing, blend=blend)(images, np.eye(5, dtype=np.float32), seed=1)
        assert len(x) == len(y) == count
