"""Attentive CutMix against cells that NumPy averages and sorts."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import (
    AttentiveMixBlend,
    AttentiveMixLayer,
    MixLayer,
    RandomPairing,
    RepeatedPairing,
    SpectralResidualSaliency,
    UniformRatio,
)
from kmix_tf._compat import register

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(29)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


@register
def last_of_channels(features, targets):
    """The first feature says itself how salient it is, in its last axis' last entry."""
    return tf.abs(tf.cast(features[0][..., -1], tf.float32))


def slices_of(places, grid):
    """The places of each cell: from the least p with p grid // n == cell, for each axis of n places."""
    starts = [[-(-cell * n // grid) for cell in range(grid + 1)] for n in places]
    cells = itertools.product(range(grid), repeat=len(places))
    return [tuple(slice(start[i], start[i + 1]) for i, start in zip(cell, starts, strict=True)) for cell in cells]


def oracle(saliency, ratio, grid):
    """The sample's share at each place: 0 in the cells of the highest means, as many as the ratio leaves."""
    cells = slices_of(saliency.shape, grid)
    means = [saliency[cell].mean() for cell in cells]
    mask = np.ones(saliency.shape)
    for cell in np.argsort(means)[::-1][: len(cells) - int(np.round(float(ratio) * len(cells)))]:
        mask[cells[cell]] = 0
    return mask


def mixed(x, ratio, saliency, seed=1, partner=None, **options):
    partner = tf.roll(tf.range(len(x)), -1, 0) if partner is None else tf.constant(partner)
    features, saliency = [tf.convert_to_tensor(x)], tf.constant(saliency)
    return AttentiveMixBlend(**options)(
        features, features, partner, tf.constant(ratio, tf.float32), seed, saliency=(saliency, saliency)
    )


@plain
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(
        st.integers(2, 4),
        st.lists(st.integers(0, 5), min_size=1, max_size=3),
        st.integers(0, 2),
        st.integers(1, 4),
        st.sampled_from([None, 1, 3]),
        st.booleans(),
        st.integers(0, 2**31 - 1),
    )
    def test_the_cells_of_the_highest_means_are_pasted(
        self, grid, more, channels, batch, interpolations, several_partners, seed
    ):
        rng, places, axes = np.random.default_rng(seed), [grid + extra for extra in more], len(more)
        first, second = rng.normal(size=(2, batch, *places, *[2] * channels)).astype(np.float32)
        # Each cell has a level of its own, so that means are not nearly equal.
        levels = rng.permuted(np.tile(np.arange(1.0, grid**axes + 1), (batch, 1)), axis=1)
        saliency = rng.uniform(0, 0.5, size=(batch, *places))
        for row, cell in itertools.product(range(batch), range(grid**axes)):
            saliency[(row, *slices_of(places, grid)[cell])] += levels[row, cell]
        lead = [] if interpolations is None else [interpolations]
        ratio = rng.uniform(size=(*lead, batch)).astype(np.float32)
        several_partners = several_partners and interpolations is not None
        partner = rng.integers(0, batch, size=ratio.shape if several_partners else batch).astype(np.int32)
        blended = AttentiveMixBlend(grid, axes)(
            [tf.constant(first)],
            [tf.constant(second)],
            tf.constant(partner),
            tf.constant(ratio),
            seed,
            saliency=(tf.ones_like(saliency), tf.constant(saliency)),
        )
        other = np.broadcast_to(partner, ratio.shape).ravel()
        pairs = zip(other, ratio.ravel(), strict=True)
        expected = np.stack([oracle(saliency[row], share, grid) for row, share in pairs])
        assert (blended.mask.numpy() == expected.reshape(*ratio.shape, *places)).all()
        own = np.tile(np.arange(batch), len(other) // batch)
        spread = expected.reshape(*expected.shape, *[1] * channels) == 1
        assert (blended.x[0].numpy() == np.where(spread, first[own], second[other])).all()
        means = expected.reshape(len(expected), -1).mean(axis=1)
        np.testing.assert_allclose(blended.ratio.numpy().ravel(), means, rtol=1e-6)


@plain
def test_cells_that_change_places_are_pasted_where_they_went():
    levels = RNG.permuted(np.tile(np.arange(1.0, 17), (5, 1)), axis=1)
    order = RNG.permutation(16)

    def mask(levels):
        saliency = levels.reshape(5, 4, 4).repeat(2, axis=1).repeat(2, axis=2)
        return mixed(tf.zeros([5, 8, 8]), [0.7] * 5, saliency, grid=4).mask.numpy()[:, ::2, ::2].reshape(5, 16)

    assert (mask(levels[:, order]) == mask(levels)[:, order]).all()


@plain
def test_uniformly_salient_partners_give_any_cells_alike():
    draws = 3000
    mask = mixed(tf.zeros([draws, 2, 2]), [0.5] * draws, np.ones((draws, 2, 2)), seed=5, grid=2).mask.numpy()
    taken = mask.reshape(draws, 4) == 0
    sets = itertools.combinations(range(4), 2)
    observed = [int((taken == np.isin(np.arange(4), each)).all(axis=1).sum()) for each in sets]
    assert sum(observed) == draws
    assert stats.chisquare(observed).pvalue > FALSE_ALARM


@plain
def test_only_cells_that_differ_by_rounding_are_taken_at_random():
    saliency = np.ones((200, 2, 2))
    saliency[:, 0, 1], saliency[:, 1, 0] = 1 - 5e-5, 1 - 2e-4
    mask = mixed(tf.zeros([200, 2, 2]), [0.75] * 200, saliency, grid=2).mask.numpy()
    often = (mask == 0).mean(axis=0)
    assert often[1, 0] == 0 and often.sum() == 1
    assert (often > 0).sum() == 3


@plain
def test_the_authors_six_of_forty_nine_are_a_fixed_ratio():
    x = RNG.uniform(size=(6, 28, 28, 1)).astype(np.float32)
    layer = MixLayer(ratio=UniformRatio(43 / 49, 43 / 49), blend=AttentiveMixBlend(saliency=last_of_channels))
    shown, y = layer(x, np.eye(6, dtype=np.float32), seed=1)
    partner = layer.plan([tf.constant(x)], 1).partner.numpy()
    for row, other in enumerate(partner):
        mask = oracle(x[other, ..., 0], 43 / 49, 7)
        assert (mask == 0).sum() == 6 * 16
        assert (shown.numpy()[row, ..., 0] == np.where(mask == 1, x[row, ..., 0], x[other, ..., 0])).all()
    np.testing.assert_allclose(np.diag(y), 43 / 49, rtol=1e-6)


@plain
def test_a_ratio_of_one_pastes_nothing_and_interpolations_are_nested():
    x = RNG.normal(size=(6, 9, 8, 3)).astype(np.float32)
    saliency = RNG.uniform(size=(6, 9, 8))
    none = mixed(x, [1.0] * 6, saliency)
    assert (none.x[0].numpy() == x).all() and (none.ratio.numpy() == 1).all()
    mask = mixed(x, np.sort(RNG.uniform(size=(4, 6)), axis=0)[::-1], np.ones((6, 9, 8))).mask.numpy()
    assert (mask[1:] <= mask[:-1]).all() and (mask[1:] < mask[:-1]).any()


@plain
def test_the_source_is_asked_about_the_partners():
    first, second = RNG.uniform(size=(2, 5, 8, 9, 2)).astype(np.float32)
    partner, ratio = np.array([3, 0, 0, 1, 4]), np.full(5, 0.8, np.float32)
    sides = [tf.constant(first)], [tf.constant(second)], tf.constant(partner), tf.constant(ratio)
    blend = AttentiveMixBlend(4, saliency=last_of_channels)
    expected = np.stack([oracle(second[other, ..., -1], 0.8, 4) for other in partner])
    assert (blend(*sides, seed=1).mask.numpy() == expected).all()
    # Of an image of noise with a patch in it, the default source finds the patch.
    x = 0.1 * RNG.normal(size=(4, 32, 32, 1))
    x[:, 8:16, 20:28] += 5
    x = [tf.constant(x.astype(np.float32))]
    pasted = AttentiveMixBlend(4)(x, x, tf.constant([1, 2, 3, 0]), tf.fill([4], 0.75), 1).mask.numpy() == 0
    assert pasted[:, 8:16, 20:24].all(axis=(1, 2)).mean() >= 0.75


def test_under_xla_the_same_cells_are_taken():
    x = tf.constant(RNG.uniform(size=(5, 9, 10, 1)).astype(np.float32))
    ratio = np.float32([1, 0.1, 0.5, 0.7, 0])

    def mask(x):
        blend, features = AttentiveMixBlend(3, saliency=last_of_channels), [x]
        return blend(features, features, tf.constant([1, 2, 3, 4, 0]), tf.constant(ratio), tf.constant([3, 4])).mask

    assert (tf.function(mask, jit_compile=True)(x).numpy() == mask(x).numpy()).all()


def test_what_does_not_fit_is_refused():
    message = r"images must have at least 7 places along each axis, one for each cell of the grid. Received: "
    with pytest.raises(ValueError, match=f"AttentiveMixBlend: {message}8 x 6. Give a smaller grid than 7"):
        mixed(tf.zeros([2, 8, 6]), [0.5] * 2, np.ones((2, 8, 6)))
    with pytest.raises(ValueError, match=f"AttentiveMixLayer: {message}6 x 6"):
        AttentiveMixLayer()(np.zeros((2, 6, 6, 1), np.float32), np.eye(2, dtype=np.float32))
    run = tf.function(
        lambda x: AttentiveMixBlend(saliency=last_of_channels)([x], [x], tf.range(2), tf.fill([2], 0.5), 1).x[0],
        input_signature=[tf.TensorSpec([2, None, None, 1])],
    )
    assert run(tf.zeros([2, 7, 9, 1])).shape == (2, 7, 9, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"AttentiveMixBlend: {message}fewer"):
        run(tf.zeros([2, 8, 3, 1]))
    with pytest.raises(ValueError, match=r"AttentiveMixBlend: saliency must be of shape \(2, 8, 8\)"):
        mixed(tf.zeros([2, 8, 8]), [0.5] * 2, np.ones((2, 8, 7)))
    with pytest.raises(TypeError, match=r"AttentiveMixLayer: saliency must be callable\. Received: saliency='bird'"):
        AttentiveMixLayer(saliency="bird")
    for value in (1, 2.5, None):
        with pytest.raises(ValueError, match=r"AttentiveMixLayer: grid must be an integer >= 2. Received: grid="):
            AttentiveMixLayer(grid=value)


@pytest.mark.parametrize("source", [None, last_of_channels, SpectralResidualSaliency(size=8)])
def test_the_configuration_makes_an_equal_blend(source):
    blend = AttentiveMixBlend(3, 2, source)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert back.get_config() == blend.get_config()
    assert (back.grid, back.needs_saliency, back.pastes) == (3, True, True)


@plain
def test_several_partners_have_an_order_of_their_own_each():
    x = RNG.uniform(size=(7, 10, 10, 1)).astype(np.float32)
    pairing = RepeatedPairing(RandomPairing(), 3)
    layer = MixLayer(pairing, UniformRatio(0.6, 0.6), AttentiveMixBlend(5, saliency=last_of_channels))
    shown, y = layer(x, np.eye(7, dtype=np.float32), seed=1)
    partner = layer.plan([tf.constant(x)], 1).partner.numpy()
    for row, other in enumerate(partner.ravel()):
        mask = oracle(x[other, ..., 0], 0.6, 5)
        assert (shown.numpy()[row, ..., 0] == np.where(mask == 1, x[row % 7, ..., 0], x[other, ..., 0])).all()
    np.testing.assert_allclose(np.max(y, axis=1), 0.6, rtol=1e-6)


@plain
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_labels_and_maps_follow_the_area_in_batches_of_any_size(batch):
    x = np.zeros((batch, 9, 8, 2), np.float32)
    x[..., 0] = np.arange(batch).reshape(-1, 1, 1)
    x[..., 1] = RNG.uniform(size=x.shape[:3])
    maps = RNG.integers(0, 3, size=(batch, 9, 8))
    layer = AttentiveMixLayer(
        grid=3, saliency=last_of_channels, scope="sample", num_classes={"map": 3, "label": batch + 1}
    )
    shown, y = layer(x, {"map": maps, "label": np.arange(batch)}, seed=3)
    whose = shown.numpy()[..., 0].astype(int)
    assert (y["map"].numpy().argmax(axis=-1) == np.take_along_axis(maps, whose, axis=0)).all()
    labels = [(whose == number).mean(axis=(1, 2)) for number in range(batch)]
    np.testing.assert_allclose(np.asarray(y["label"])[:, :batch], np.stack(labels, axis=1), atol=1e-6)
