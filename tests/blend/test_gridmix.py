"""GridMix against cells that NumPy counts one by one, and against the sets that there are of so many cells."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf import GridMixBlend, GridMixLayer, MixLayer, RandomPairing, RepeatedPairing, UniformRatio
from kmix_tf.blend.cells import ranks_of

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(17)

# Compilation takes most of the time, and other tests see to it.
plain = pytest.mark.usefixtures("plain_functions")


def cell_at(places, grid):
    """The number of the cell at each place, row by row: place p of an axis of n is in cell floor(p grid / n)."""
    number = np.zeros(places, int)
    for place in np.ndindex(*places):
        for p, size in zip(place, places, strict=True):
            number[place] = number[place] * grid + p * grid // size
    return number


def taken_cells(mask, grid):
    """Which cells are the partner's, bool `(mixtures, cells)`, once each is seen to be whole."""
    places = mask.shape[1:]
    number = cell_at(places, grid)
    assert set(np.unique(mask)) <= {0, 1}
    taken = np.stack([mask[:, number == cell].min(axis=1) == 0 for cell in range(grid ** len(places))], axis=1)
    assert (mask == ~taken[:, number.ravel()].reshape(mask.shape)).all()
    return taken


def mixed(x, ratio, seed=1, partner=None, **options):
    partner = tf.roll(tf.range(len(x)), -1, 0) if partner is None else tf.constant(partner)
    features = [x]
    return GridMixBlend(**options)(features, features, partner, tf.constant(ratio, tf.float32), seed)


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
    def test_whole_cells_are_pasted_as_many_as_the_ratio_says(
        self, grid, more, channels, batch, interpolations, several_partners, seed
    ):
        rng, places, axes = np.random.default_rng(seed), [grid + extra for extra in more], len(more)
        first, second = rng.normal(size=(2, batch, *places, *[2] * channels)).astype(np.float32)
        lead = [] if interpolations is None else [interpolations]
        ratio = rng.uniform(size=(*lead, batch)).astype(np.float32)
        several_partners = several_partners and interpolations is not None
        partner = rng.integers(0, batch, size=ratio.shape if several_partners else batch).astype(np.int32)
        blended = GridMixBlend(grid, axes)(
            [tf.constant(first)], [tf.constant(second)], tf.constant(partner), tf.constant(ratio), seed
        )
        assert blended.mask.shape == (*ratio.shape, *places)
        mask = blended.mask.numpy().reshape(-1, *places)
        taken = taken_cells(mask, grid)
        assert (taken.sum(axis=1) == grid**axes - np.round(ratio.astype(np.float64).ravel() * grid**axes)).all()
        own = np.tile(np.arange(batch), len(mask) // batch)
        other = np.broadcast_to(partner, ratio.shape).ravel()
        spread = mask.reshape(*mask.shape, *[1] * channels) == 1
        assert (blended.x[0].numpy() == np.where(spread, first[own], second[other])).all()
        assert blended.ratio.shape == ratio.shape
        np.testing.assert_allclose(blended.ratio.numpy().ravel(), mask.reshape(len(mask), -1).mean(axis=1), rtol=1e-6)

    @given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
    def test_the_largest_comes_first_and_of_equals_the_earlier(self, keys):
        order = sorted(range(len(keys)), key=lambda cell: (-keys[cell], cell))
        assert (np.argsort(ranks_of(tf.constant([keys]))[0]) == order).all()


@pytest.mark.parametrize("size", [5, 7, 8, 33])
@pytest.mark.parametrize("grid", [2, 4, 5])
def test_cells_of_a_grid_differ_by_a_place_at_most(size, grid):
    lengths = np.bincount(cell_at((size,), grid), minlength=grid)
    assert lengths.min() >= 1 and lengths.max() - lengths.min() <= 1


@plain
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_set_of_cells_is_as_likely(count):
    draws = 3000
    taken = taken_cells(mixed(tf.zeros([draws, 2, 2]), [1 - count / 4] * draws, seed=count, grid=2).mask.numpy(), 2)
    sets = list(itertools.combinations(range(4), count))
    observed = [int((taken == np.isin(np.arange(4), each)).all(axis=1).sum()) for each in sets]
    assert sum(observed) == draws
    assert stats.chisquare(observed).pvalue > FALSE_ALARM


@plain
def test_interpolations_take_cells_in_one_order_of_which_any_is_as_likely():
    draws = 4000
    ratio = np.tile(np.float32([[0.75], [0.5], [0.25]]), (1, draws))
    mask = mixed(tf.zeros([draws, 2, 2]), ratio, seed=4, grid=2).mask.numpy()
    assert (mask[1:] <= mask[:-1]).all(), "sets are nested"
    steps = np.concatenate([np.ones((1, draws, 2, 2)), mask]) - np.concatenate([mask, np.zeros((1, draws, 2, 2))])
    order = steps.reshape(4, draws, 4).argmax(axis=2)
    _, observed = np.unique(order, axis=1, return_counts=True)
    assert len(observed) == 24
    assert stats.chisquare(observed).pvalue > FALSE_ALARM


@plain
def test_identical_images_give_the_image_itself_and_a_ratio_of_one_pastes_nothing():
    x = tf.constant(RNG.normal(size=(6, 9, 7, 3)).astype(np.float32))
    itself = mixed(x, [0.4] * 6, partner=range(6))
    assert (itself.x[0].numpy() == x.numpy()).all()
    none = mixed(x, np.float32([1, 1, 1, 0.97, 0.99, 1]))  # A sixteenth is .0625: less than half of it is nothing.
    assert (none.x[0].numpy() == x.numpy()).all()
    assert (none.ratio.numpy() == 1).all() and (none.mask.numpy() == 1).all()
    every = mixed(x, [0.0] * 6)
    assert (every.x[0].numpy() == np.roll(x, -1, axis=0)).all() and (every.ratio.numpy() == 0).all()


@pytest.mark.parametrize("size", [7, 10])
def test_under_xla_the_same_cells_are_taken_and_all_of_an_image_is_a_share_of_one(size):
    # XLA multiplies with 1 / 49, and 49 times that is not 1 in float32.
    x = tf.constant(RNG.normal(size=(5, size, size, 1)).astype(np.float32))
    ratio = np.float32([1, 0.1, 0.5, 0.7, 0])
    compiled = tf.function(lambda x: mixed(x, ratio, seed=[3, 4]), jit_compile=True)(x)
    blended = mixed(x, ratio, seed=[3, 4])
    assert (compiled.mask.numpy() == blended.mask.numpy()).all()
    assert (compiled.x[0].numpy() == blended.x[0].numpy()).all()
    assert (compiled.ratio.numpy() == blended.ratio.numpy()).all()
    assert compiled.ratio[0] == 1 and compiled.ratio[4] == 0
    assert (mixed(x, ratio, seed=[3, 5]).mask.numpy() != blended.mask.numpy()).any()


@plain
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
def test_pixels_of_any_dtype_are_pasted_exactly(dtype):
    x = tf.cast(RNG.integers(0, 250, size=(4, 10, 10, 2)), dtype)
    values = tf.cast(x, tf.float64).numpy()
    blended = mixed(x, [0.7] * 4)
    assert blended.x[0].dtype == (dtype if tf.as_dtype(dtype).is_floating else tf.float32)
    kept = blended.mask.numpy()[..., np.newaxis] == 1
    assert (tf.cast(blended.x[0], tf.float64).numpy() == np.where(kept, values, np.roll(values, -1, axis=0))).all()


@plain
def test_other_leaves_get_the_same_cells_or_the_share():
    table, image, large, small = (
        RNG.normal(size=(5, *shape)).astype(np.float32) for shape in [(3,), (10, 10, 1), (20, 30, 2), (2, 2)]
    )
    leaves = [tf.constant(leaf) for leaf in (table, image, large, small)]
    blended = GridMixBlend(4)(leaves, leaves, tf.roll(tf.range(5), -1, 0), tf.fill([5], 0.66), 1)
    taken = taken_cells(blended.mask.numpy(), 4)
    share = blended.mask.numpy().mean(axis=(1, 2))[:, np.newaxis]
    np.testing.assert_allclose(blended.ratio, share[:, 0], rtol=1e-6)
    np.testing.assert_allclose(blended.x[0], share * table + (1 - share) * np.roll(table, -1, axis=0), atol=1e-6)
    for leaf, shown in zip((image, large, small), blended.x[1:], strict=True):
        inside = taken[:, cell_at(leaf.shape[1:3], 4).ravel()].reshape(leaf.shape[:3])
        inside = inside.reshape(*inside.shape, *[1] * (leaf.ndim - 3))
        assert (shown.numpy() == np.where(inside, np.roll(leaf, -1, axis=0), leaf)).all()


@plain
@pytest.mark.parametrize("several", [False, True], ids=["one pairing", "several"])
def test_both_of_a_pair_swap_the_same_cells(several):
    x = tf.constant(np.stack([np.full((8, 8, 1), row, np.float32) for row in range(6)]))
    partner = [[1, 0, 3, 2, 5, 4], [5, 2, 1, 4, 3, 0]] if several else [1, 0, 3, 2, 5, 4]
    mask = mixed(x, [0.5] * 6, partner=partner, scope="pair").mask.numpy()
    for each, of in zip(mask.reshape(-1, 6, 8, 8), np.atleast_2d(partner), strict=True):
        assert (each == each[of]).all()
        assert len({one.tobytes() for one in each}) == 3
    apart = GridMixBlend(scope="pair")([x], [x], tf.constant([1, 0, 3, 2, 5, 4]), tf.fill([6], 0.5), 1).mask.numpy()
    assert len({one.tobytes() for one in apart}) == 6, "of two loaders, each mixture is of a pair of its own"


def test_images_smaller_than_the_grid_are_refused_now_or_with_the_batch():
    message = r"images must have at least 4 places along each axis, one for each cell of the grid. Received: "
    with pytest.raises(ValueError, match=f"GridMixBlend: {message}8 x 3. Give a smaller grid than 4"):
        mixed(tf.zeros([2, 8, 3, 1]), [0.5, 0.5])
    with pytest.raises(ValueError, match=f"GridMixLayer: {message}3 x 8"):
        GridMixLayer()(np.zeros((2, 3, 8, 1), np.float32), np.eye(2, dtype=np.float32))
    run = tf.function(lambda x: mixed(x, [0.5, 0.5]).x[0], input_signature=[tf.TensorSpec([2, None, None, 1])])
    assert run(tf.zeros([2, 4, 5, 1])).shape == (2, 4, 5, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"GridMixBlend: {message}fewer"):
        run(tf.zeros([2, 8, 3, 1]))
    with pytest.raises(ValueError, match=r"GridMixBlend: features must have 3 axes .*\['\(2, 8, 8\)'\]"):
        mixed(tf.zeros([2, 8, 8]), [0.5, 0.5], axes=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("grid", value) for value in (1, 0, 2.0, True, "4", None)), ("axes", 4), ("axes", 0), ("scope", "batch")],
)
def test_other_arguments_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"GridMixBlend: {name} must be .* Received: {name}="):
        GridMixBlend(**{name: value})
    if name == "grid":
        with pytest.raises(ValueError, match=r"GridMixLayer: grid must be an integer >= 2. Received: grid="):
            GridMixLayer(grid=value)


def test_the_configuration_makes_an_equal_blend():
    blend = GridMixBlend(3, 1, "pair")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(blend))
    assert type(back) is GridMixBlend
    assert back.get_config() == blend.get_config() == {"grid": 3, "axes": 1, "scope": "pair"}
    assert back.by_pair and back.pastes


@plain
@pytest.mark.parametrize(("places", "interpolations"), [((9, 7), 1), ((8, 8), 3), ((33,), 2), ((5, 4, 6), 1)])
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.representatives("places, batch", [((8, 8), 7), ((33,), 1), ((5, 4, 6), 2)])
def test_labels_are_means_of_masks_in_batches_of_any_size(places, interpolations, batch):
    x = np.broadcast_to(np.arange(batch).reshape(-1, *[1] * (len(places) + 1)), (batch, *places, 1))
    layer = GridMixLayer(axes=len(places), interpolations=interpolations, scope="sample")
    shown, y = layer(x.astype(np.float32), np.eye(batch, dtype=np.float32), seed=3)
    whose = shown.numpy().reshape(batch * interpolations, -1)
    labels = np.stack([(whose == number).mean(axis=1) for number in range(batch)], axis=1)
    np.testing.assert_allclose(y, labels, atol=1e-6)
    assert (labels.max(axis=1) < 1).any() == (batch > 1)


def test_one_partner_and_several_are_taken_by_turns():
    # A compiled function forgets ranks that have varied.
    images = RNG.uniform(size=(5, 7, 9, 1)).astype(np.float32)
    blend = GridMixBlend(3)
    for pairing, count in ((RandomPairing(), 5), (RepeatedPairing(RandomPairing(), 2), 10), (RandomPairing(), 5)):
        x, y = MixLayer(pairing, UniformRatio(0.3, 0.7), blend)(images, np.eye(5, dtype=np.float32), seed=1)
        assert len(x) == len(y) == count
