"""SmoothMix against masks that NumPy and SciPy's quadrature and root finding give."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from kmix_tf import MixLayer, RandomPairing, RepeatedPairing, SmoothMixBlend, SmoothMixLayer
from kmix_tf.blend.smoothmix import mask_of_spots, rates_of
from kmix_tf.seeding import random_uniform

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(23)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


def share_of(sigma, centre):
    """The mean of a spot over the unit cube: quadrature, from the centre to both edges of each axis."""

    def bell(u, c):
        return np.exp(-((u - c) ** 2) / (2 * sigma**2))

    # Quadrature might miss a narrow bell; beyond 40 sigma it is nothing.
    ends = [((max(0, c - 40 * sigma), c), (c, min(1, c + 40 * sigma))) for c in centre]
    pieces = [[integrate.quad(bell, *end, args=(c,))[0] for end in of] for of, c in zip(ends, centre, strict=True)]
    return np.prod(np.sum(pieces, axis=1))


def sigma_of(ratio, centre):
    return optimize.brentq(lambda sigma: share_of(sigma, centre) - (1 - ratio), 1e-3, 1e3, xtol=1e-10, rtol=1e-10)


def spot(places, centre, sigma):
    """The sample's share at each place, in float64."""
    squares = np.zeros(places)
    for place in np.ndindex(*places):
        squares[place] = sum(((p + 0.5) / n - c) ** 2 for p, n, c in zip(place, places, centre, strict=True))
    return 1 - np.exp(-squares / (2 * sigma**2))


def mixed(x, ratio, seed=(0, 1), partner=None, **options):
    partner = tf.roll(tf.range(len(x)), -1, 0) if partner is None else tf.constant(partner)
    features = [x]
    return SmoothMixBlend(**options)(features, features, partner, tf.constant(ratio, tf.float32), tf.constant(seed))


@plain
@pytest.mark.parametrize("places", [(7,), (5, 8), (4, 3, 6)], ids=["signal", "image", "volume"])
@pytest.mark.parametrize("interpolations", [None, 3])
def test_masks_are_spots_of_the_share_that_the_ratio_leaves(places, interpolations):
    batch, axes, seed = 4, len(places), (7, 1)
    first, second = RNG.normal(size=(2, batch, *places, 2)).astype(np.float32)
    ratio = RNG.uniform(0.1, 0.9, size=(interpolations or 1, batch)).astype(np.float32)
    partner = RNG.integers(0, batch, size=batch)
    asked = tf.constant(ratio if interpolations else ratio[0])
    sides = [tf.constant(first)], [tf.constant(second)]
    blended = SmoothMixBlend(axes)(*sides, tf.constant(partner), asked, tf.constant(seed))
    centre = random_uniform([batch, axes], tf.constant(seed)).numpy().astype(np.float64)
    masks = [[spot(places, c, sigma_of(r, c)) for r, c in zip(row, centre, strict=True)] for row in ratio]
    expected = np.array(masks).reshape(-1, *places)
    np.testing.assert_allclose(blended.mask.numpy().reshape(expected.shape), expected, atol=2e-6)
    assert blended.mask.shape == (*asked.shape, *places) and blended.ratio.shape == asked.shape
    means = expected.reshape(len(expected), -1).mean(axis=1)
    np.testing.assert_allclose(blended.ratio.numpy().ravel(), means, atol=2e-6)
    own, other = np.tile(np.arange(batch), interpolations or 1), np.tile(partner, interpolations or 1)
    share = expected[..., np.newaxis]
    np.testing.assert_allclose(blended.x[0], share * first[own] + (1 - share) * second[other], atol=2e-5)


@given(st.integers(1, 3), st.integers(0, 2**31 - 1), st.floats(0, 1, width=32))
@example(1, 0, 1 - 2.0**-23)
@example(2, 0, 1 - 2.0**-23)
@example(3, 0, 2.0**-20)
@plain
def test_any_ratio_has_a_spot_whose_share_follows_it(axes, seed, ratio):
    centre = np.random.default_rng(seed).uniform(size=(1, axes)).astype(np.float32)
    rate = float(rates_of(centre, tf.constant([ratio]), axes=axes)[0])
    if ratio in (0, 1):
        assert rate == (np.inf if ratio == 1 else 0)
        return
    assert 0 < rate < np.inf
    share = share_of(1 / np.sqrt(2 * rate), centre[0].astype(np.float64))
    assert share == pytest.approx(1 - ratio, rel=1e-6)


@plain
def test_what_is_realised_is_the_mean_over_places_and_near_the_ratio_where_these_are_small():
    x, ratio = tf.zeros([41, 64, 64, 1]), np.linspace(0, 1, 41)
    blended = mixed(x, ratio)
    np.testing.assert_allclose(blended.ratio, blended.mask.numpy().astype(np.float64).mean(axis=(1, 2)), atol=1e-7)
    np.testing.assert_allclose(blended.ratio, ratio, atol=1e-4)
    # A spot much smaller than a place may be between the middles of all: labels have what is seen.
    coarse = mixed(tf.zeros([200, 3, 3, 1]), [0.995] * 200)
    np.testing.assert_allclose(coarse.ratio, coarse.mask.numpy().mean(axis=(1, 2)), atol=1e-6)
    assert coarse.ratio.numpy().min() < 0.99 and coarse.ratio.numpy().max() > 0.999


@plain
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
def test_a_ratio_of_one_gives_the_sample_to_the_bit_and_none_the_partner(dtype):
    x = tf.cast(RNG.uniform(0, 250, size=(6, 9, 7, 3)), dtype)
    whole, none = mixed(x, [1.0] * 6), mixed(x, [0.0] * 6)
    assert whole.x[0].dtype == (tf.float32 if dtype == "uint8" else dtype)
    assert (whole.x[0].numpy() == x.numpy()).all() and (whole.ratio.numpy() == 1).all()
    assert (none.x[0].numpy() == np.roll(x, -1, axis=0)).all() and (none.ratio.numpy() == 0).all()


@plain
def test_a_spot_in_the_middle_of_a_place_is_none_at_ratio_one():
    # Where the distance is 0, so would be the exponent, whatever the rate; but for infinity.
    centre = tf.constant([[0.5, 0.5]])
    mask = mask_of_spots(centre, rates_of(centre, tf.constant([1.0]), axes=2), sizes=[5, 5])
    assert (mask.numpy() == 1).all()


@plain
def test_masks_of_one_pair_share_their_middle_and_are_ordered():
    ratio = np.sort(RNG.uniform(size=(5, 10)), axis=0)[::-1]
    mask = mixed(tf.zeros([10, 16, 16, 1]), ratio).mask.numpy()
    assert (mask[1:] <= mask[:-1]).all()
    middle = mask[-1].reshape(10, -1).argmin(axis=1)
    for each in mask[:-1]:
        place = each.reshape(10, -1)
        assert (place[np.arange(10), middle] == place.min(axis=1)).all()


@plain
def test_middles_are_anywhere_alike():
    # The sample's share is the least at the place nearest to the middle.
    count = 3000
    mask = mixed(tf.zeros([count, 10, 10, 1]), [0.8] * count, seed=(3, 5)).mask.numpy()
    assert stats.chisquare(np.bincount(mask.reshape(count, -1).argmin(axis=1), minlength=100)).pvalue > FALSE_ALARM


@plain
def test_there_is_no_edge():
    # The steepest a bell of this sigma gets is exp(-1/2) / sigma a unit.
    mask = mixed(tf.zeros([1, 100, 100, 1]), [0.7]).mask.numpy()[0]
    centre = random_uniform([1, 2], tf.constant([0, 1])).numpy()[0].astype(np.float64)
    steepest = np.exp(-0.5) / sigma_of(np.float32(0.7), centre) / 100
    assert 0 < max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) <= steepest * (1 + 1e-4)


def test_under_xla_masks_are_the_same_but_for_rounding():
    x = tf.constant(RNG.normal(size=(5, 9, 8, 1)).astype(np.float32))
    ratio = np.float32([1, 0.1, 0.5, 0.97, 0])
    compiled = tf.function(lambda x: mixed(x, ratio), jit_compile=True)(x)
    blended = mixed(x, ratio)
    np.testing.assert_allclose(compiled.mask, blended.mask, atol=1e-6)
    np.testing.assert_allclose(compiled.x[0], blended.x[0], atol=1e-6)
    assert compiled.ratio[0] == 1 and compiled.ratio[4] == 0
    assert (mixed(x, ratio, seed=(0, 2)).mask.numpy() != blended.mask.numpy()).any()


@plain
def test_other_leaves_get_the_same_spot_or_the_share():
    table, image, large = (RNG.normal(size=(5, *shape)).astype(np.float32) for shape in [(3,), (8, 8, 1), (12, 6, 2)])
    leaves = [tf.constant(leaf) for leaf in (table, image, large)]
    seed = tf.constant([0, 1])
    blended = SmoothMixBlend()(leaves, leaves, tf.roll(tf.range(5), -1, 0), tf.fill([5], 0.6), seed)
    share = blended.ratio.numpy()[:, np.newaxis]
    np.testing.assert_allclose(blended.x[0], share * table + (1 - share) * np.roll(table, -1, axis=0), atol=1e-6)
    centre = random_uniform([5, 2], seed).numpy().astype(np.float64)
    masks = np.stack([spot((12, 6), c, sigma_of(np.float32(0.6), c)) for c in centre])[..., np.newaxis]
    np.testing.assert_allclose(blended.x[2], masks * large + (1 - masks) * np.roll(large, -1, axis=0), atol=1e-5)


@plain
@pytest.mark.parametrize("several", [False, True], ids=["one pairing", "several"])
def test_both_of_a_pair_have_one_spot(several):
    partner = [[1, 0, 3, 2, 5, 4], [5, 2, 1, 4, 3, 0]] if several else [1, 0, 3, 2, 5, 4]
    mask = mixed(tf.zeros([6, 8, 8, 1]), [0.5] * 6, partner=partner, scope="pair").mask.numpy()
    for each, of in zip(mask.reshape(-1, 6, 8, 8), np.atleast_2d(partner), strict=True):
        assert (each == each[of]).all()
        assert len({one.tobytes() for one in each}) == 3
    x, blend = tf.zeros([6, 8, 8, 1]), SmoothMixBlend(scope="pair")
    apart = blend([x], [x], tf.constant([1, 0, 3, 2, 5, 4]), tf.fill([6], 0.5), 1).mask.numpy()
    assert len({one.tobytes() for one in apart}) == 6, "of two loaders, each mixture is of a pair of its own"


@pytest.mark.parametrize(("name", "value"), [("axes", 4), ("axes", 0), ("axes", 2.0), ("scope", "batch")])
def test_other_arguments_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"SmoothMixBlend: {name} must be .* Received: {name}="):
        SmoothMixBlend(**{name: value})
    with pytest.raises(ValueError, match=r"SmoothMixLayer: features must have 2 axes .*axes=1 is for signals"):
        SmoothMixLayer()(np.zeros((2, 8), np.float32), np.eye(2, dtype=np.float32))


def test_the_configuration_makes_an_equal_blend():
    blend = SmoothMixBlend(1, "pair")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert type(back) is SmoothMixBlend
    assert back.get_config() == blend.get_config() == {"axes": 1, "scope": "pair"}
    assert back.by_pair and not back.pastes


@plain
def test_labels_and_maps_follow_the_mask():
    x = RNG.normal(size=(6, 8, 8, 1)).astype(np.float32)
    maps, labels = RNG.integers(0, 3, size=(6, 8, 8)), np.arange(6)
    layer = SmoothMixLayer(interpolations=2, scope="sample", num_classes={"label": 6, "map": 3})
    _, y = layer(x, {"label": labels, "map": maps}, seed=2)
    plan = layer.plan([tf.constant(x)], 2)
    mask = layer.blend([tf.constant(x)], [tf.constant(x)], *plan).mask.numpy().reshape(12, 8, 8, 1)
    own, other = np.tile(labels, 2), np.tile(plan.partner, 2)
    hot = np.eye(3)[maps]
    np.testing.assert_allclose(y["map"], mask * hot[own] + (1 - mask) * hot[other], atol=1e-6)
    share = mask.mean(axis=(1, 2))
    np.testing.assert_allclose(y["label"], share * np.eye(6)[own] + (1 - share) * np.eye(6)[other], atol=1e-6)


def test_one_partner_and_several_are_taken_by_turns():
    # A compiled function forgets ranks that have varied.
    images = RNG.uniform(size=(5, 7, 9, 1)).astype(np.float32)
    for pairing, count in ((RandomPairing(), 5), (RepeatedPairing(RandomPairing(), 2), 10), (RandomPairing(), 5)):
        x, y = MixLayer(pairing, blend=SmoothMixBlend())(images, np.eye(5, dtype=np.float32), seed=1)
        assert len(x) == len(y) == count
