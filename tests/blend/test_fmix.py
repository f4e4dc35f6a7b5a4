"""FMix against NumPy: how many places are kept, which, and the spectrum of the noise that they are cut from."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kmix_tf.blend.fmix import FMixBlend, fit_mask, highest, noise, standard_normals

# The chance that one statistical assertion fails for a right blend, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(12)
SEED = tf.constant([0, 7])


def power(sizes, decay):
    """Power of the paper's noise at each frequency, from its definition: (1 / frequency^decay)^2, in float64."""
    grid = np.meshgrid(*[np.fft.fftfreq(size) for size in sizes], indexing="ij")
    frequency = np.maximum(np.sqrt(sum(axis**2 for axis in grid)), 1 / max(sizes))
    return frequency ** (-2.0 * decay), frequency


def fields(sizes, count, decay=3.0, seed=SEED):
    """Drawn noise `(count, *sizes)`, brought to the scale of the paper's: the lowest frequency has power 1 here."""
    transform = noise(tf.zeros([count, *sizes]), seed, axes=len(sizes), decay=decay).numpy()
    return transform.real - transform.imag


@pytest.mark.usefixtures("plain_functions")
class TestAnyShape:
    """Without compilation, because each example has a shape of its own."""

    @given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 2**31 - 1))
    def test_exactly_the_highest_are_marked(self, places, rows, thresholds, has_ties, seed):
        rng = np.random.default_rng(seed)
        field = rng.normal(size=(rows, places)) * 10.0 ** rng.integers(-5, 6)
        field = np.round(rng.normal(size=(rows, places))) if has_ties else field
        count = rng.integers(0, places + 1, size=(thresholds, rows)).astype(np.int32)
        marked = highest(tf.constant(field), tf.constant(count)).numpy()
        # A stable sort keeps equal values in order: the later ones are the higher.
        rank = places - 1 - np.argsort(np.argsort(field, axis=1, kind="stable"), axis=1)
        assert (marked == (rank < count[..., np.newaxis])).all()

    @given(
        st.lists(st.integers(1, 9), min_size=1, max_size=3),
        st.sampled_from(["uint8", "float16", "bfloat16", "float32", "float64", "bool"]),
        st.sampled_from([None, 1, 3]),
        st.sampled_from([0.0, 1.5, 3.0, 400.0]),
        st.integers(0, 2**31 - 1),
    )
    def test_as_many_places_are_kept_as_the_ratio_says(self, sizes, dtype, interpolations, decay, seed):
        rng, axes = np.random.default_rng(seed), len(sizes)
        x = tf.cast(np.stack([np.zeros(sizes), np.ones(sizes)]), dtype)
        lead = [] if interpolations is None else [interpolations]
        ratio = rng.uniform(size=(*lead, 2)).astype(np.float32)
        ratio.flat[0] = rng.choice([0, 0.5, 1, ratio.flat[0]])
        blended = FMixBlend(decay, axes)([x], [x], tf.constant([1, 0]), tf.constant(ratio), seed=seed)
        (mixed,) = blended.x
        places = np.prod(sizes)
        kept = np.round(ratio.astype(np.float64) * places)
        mask = blended.mask.numpy()
        assert mask.shape == (*lead, 2, *sizes)
        assert set(np.unique(mask)) <= {0, 1}
        assert (mask.reshape(*ratio.shape, -1).sum(axis=-1) == kept).all()
        assert (blended.ratio.numpy() == (kept / places).astype(np.float32)).all()
        assert mixed.dtype == (dtype if tf.as_dtype(dtype).is_floating else tf.float32)
        # Sample 0 is zeros and sample 1 ones: the mask itself shows in the mixture of sample 1.
        shown = tf.cast(mixed, tf.float32).numpy().reshape(-1, 2, *sizes)
        masks = mask.reshape(-1, 2, *sizes)
        assert (shown[:, 0] == 1 - masks[:, 0]).all() and (shown[:, 1] == masks[:, 1]).all()

    @given(st.lists(st.integers(1, 7), min_size=1, max_size=2), st.integers(1, 7), st.integers(1, 7))
    def test_a_mask_is_stretched_to_other_sizes_by_the_middles_of_places(self, sizes, first, second):
        new = [first, second][: len(sizes)]
        mask = RNG.integers(0, 2, size=(2, 3, *sizes)).astype(np.float32)
        fitted = fit_mask(tf.constant(mask), 2, tf.zeros([3, *new, 1]), len(sizes)).numpy()
        assert fitted.shape == (2, 3, *new)
        for place in np.ndindex(*new):
            at = tuple(int((i + 0.5) / n * s) for i, n, s in zip(place, new, sizes, strict=True))
            assert (fitted[(..., *place)] == mask[(..., *at)]).all()


@pytest.mark.parametrize("decay", [1.0, 2.0, 3.0, 4.5])
@pytest.mark.parametrize("sizes", [(256,), (48, 48), (33, 64), (16, 17, 15)], ids=str)
@pytest.mark.representatives("sizes, decay", [((256,), 3.0), ((48, 48), 1.0), ((33, 64), 4.5), ((16, 17, 15), 2.0)])
@pytest.mark.usefixtures("plain_and_compiled")
def test_the_power_spectrum_falls_with_twice_the_decay(sizes, decay):
    drawn = fields(sizes, 100, decay)
    spectrum = np.mean(np.abs(np.fft.fftn(drawn, axes=range(1, drawn.ndim))) ** 2, axis=0)
    expected, frequency = power(sizes, decay)
    above = frequency > 1.5 / max(sizes)
    # The logarithm of a mean of 100 (of one-half of them, where a frequency is its own mirror image) has a standard
    # deviation below 0.15; over more than a hundred frequencies of a decade in breadth the slope's is below 0.02.
    slope = np.polyfit(np.log(frequency[above]), np.log(spectrum[above]), 1)[0]
    assert slope == pytest.approx(-2 * decay, abs=0.12)
    # Nor is any frequency favoured: each power is its expectation times a mean of 100 exponential variables or of
    # squares of normal ones, which is outside of [0.3, 2.5] less than once in 10^8.
    relative = spectrum / expected
    relative /= np.median(relative)
    assert ((relative > 0.3) & (relative < 2.5)).all()


@pytest.mark.parametrize("sizes", [(9,), (6, 5), (4, 3, 5)], ids=str)
@pytest.mark.usefixtures("plain_and_compiled")
def test_the_covariance_is_that_of_the_real_part_of_complex_noise_transformed(sizes):
    # The paper's field is Re sum_f A_f Z_f exp(2 pi i f.x): covariance sum_f A_f^2 cos(2 pi f.(x - x')).
    count = 20_000
    drawn = fields(sizes, count, decay=1.0).reshape(count, -1)
    squares, _ = power(sizes, 1.0)
    squares = squares / squares.max()
    places = np.array(list(np.ndindex(*sizes)))
    rates = np.stack(np.meshgrid(*[np.fft.fftfreq(size) for size in sizes], indexing="ij"), -1).reshape(
        -1, len(sizes)
    )
    difference = places[:, np.newaxis] - places[np.newaxis]
    expected = np.cos(2 * np.pi * difference @ rates.T) @ squares.ravel()
    observed = drawn.T @ drawn / count
    # The standard deviation of a covariance of normal variables, and Bonferroni over all pairs.
    error = np.sqrt((np.outer(expected.diagonal(), expected.diagonal()) + expected**2) / count)
    assert (np.abs(observed - expected) < stats.norm.isf(FALSE_ALARM / 2 / expected.size) * error).all()
    assert stats.kstest(drawn[:, 1] / expected[1, 1] ** 0.5, "norm").pvalue > FALSE_ALARM


@pytest.mark.parametrize("size", [1, 4, 5])
def test_normals_are_normal_and_independent(size):
    drawn = standard_normals(tf.constant(20_000), tf.constant(size), SEED).numpy()
    assert drawn.shape == (20_000, size)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > FALSE_ALARM
    for first, second in itertools.combinations(range(size), 2):
        assert stats.pearsonr(drawn[:, first], drawn[:, second]).pvalue > FALSE_ALARM
        assert stats.pearsonr(drawn[:, first] ** 2, drawn[:, second] ** 2).pvalue > FALSE_ALARM
    if size > 1:
        assert stats.pearsonr(drawn[:-1, -1], drawn[1:, 0]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("sizes", [(7,), (6, 5), (3, 4, 3)], ids=str)
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
@pytest.mark.representatives("sizes, ratio", [((7,), 0.3), ((6, 5), 0.8), ((3, 4, 3), 0.5)])
@pytest.mark.usefixtures("plain_and_compiled")
def test_each_place_is_kept_equally_often(sizes, ratio):
    count, places = 4000, np.prod(sizes)
    mask, _ = FMixBlend(axes=len(sizes)).draw(tf.zeros([count, *sizes]), tf.fill([count], ratio), seed=5)
    kept = tf.reduce_sum(mask, axis=0).numpy().ravel()
    share = np.round(ratio * places) / places
    for each in kept:
        assert stats.binomtest(int(each), count, share).pvalue > FALSE_ALARM / places


@pytest.mark.usefixtures("plain_and_compiled")
def test_masks_of_one_pair_are_nested_and_those_of_others_differ():
    ratio = np.sort(RNG.uniform(size=(5, 30)), axis=0)[::-1].astype(np.float32)
    mask, _ = FMixBlend().draw(tf.zeros([30, 12, 9, 3]), tf.constant(ratio), seed=3)
    kept = mask.numpy() > 0
    # Descending ratios: later masks keep less, and none of what earlier ones give away.
    assert (kept[1:] <= kept[:-1]).all()
    even, _ = FMixBlend().draw(tf.zeros([30, 12, 9]), tf.fill([30], 0.5), seed=3)
    assert len({image.tobytes() for image in even.numpy()}) == 30


@pytest.mark.usefixtures("plain_and_compiled")
def test_higher_decay_makes_fewer_edges():
    edges = []
    for decay in (0.0, 1.0, 2.0, 3.0, 5.0):
        mask, _ = FMixBlend(decay).draw(tf.zeros([50, 32, 32]), tf.fill([50], 0.5), seed=3)
        edges.append(np.abs(np.diff(mask.numpy(), axis=1)).mean())
    assert edges == sorted(edges, reverse=True)
    # Half of the neighbours differ in white noise; five hundred places on either side of a cut through 32 rows.
    assert edges[0] == pytest.approx(0.5, abs=0.02)
    assert edges[-1] < 0.08


def test_a_seed_repeats_whatever_compiles_and_however_large_the_batch_is():
    blend, ratio = FMixBlend(), tf.constant(RNG.uniform(size=(2, 9)).astype(np.float32))
    images = tf.zeros([9, 31, 24, 3])
    mask, share = blend.draw(images, ratio, seed=4)
    for options in ({}, {"jit_compile": True}):
        other, other_share = tf.function(blend.draw, **options)(images, ratio, seed=4)
        assert (other.numpy() == mask.numpy()).all() and (other_share.numpy() == share.numpy()).all()
    open_size = tf.function(
        blend.draw,
        input_signature=[tf.TensorSpec([None] * 4), tf.TensorSpec([2, None]), tf.TensorSpec([2], tf.int32)],
    )
    assert (open_size(images, ratio, tf.constant([0, 4]))[0].numpy() == mask.numpy()).all()
    fewer, _ = blend.draw(images[:5], ratio[:, :5], seed=4)
    assert (fewer.numpy() == mask.numpy()[:, :5]).all()
    another, _ = blend.draw(images, ratio, seed=5)
    assert (another.numpy() != mask.numpy()).any()


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.representatives("axes", [2])
@pytest.mark.usefixtures("plain_and_compiled")
def test_ratios_of_one_and_zero_keep_all_and_nothing(axes):
    x = tf.constant(RNG.normal(size=(5, 4, 5, 6, 2)).astype(np.float32))
    partner = tf.constant([1, 2, 3, 4, 0])
    ratio = tf.constant([[1.0] * 5, [1.0, 0.5, 0.0, 1e-9, 0.0]])
    blended = FMixBlend(axes=axes)([x], [x], partner, ratio, seed=2)
    mixed = blended.x[0].numpy().reshape(2, 5, 4, 5, 6, 2)
    assert (mixed[0] == x.numpy()).all() and (mixed[1, 0] == x.numpy()[0]).all()
    assert (mixed[1, 2:] == x.numpy()[[3, 4, 0]]).all()
    assert blended.ratio.numpy().tolist() == [[1] * 5, [1, 0.5, 0, 0, 0]]


@pytest.mark.parametrize("size", [7, 41, 49, 55, 61, 82, 83])
@pytest.mark.representatives("size", [7, 83])
@pytest.mark.usefixtures("plain_and_compiled")
def test_whole_masks_count_one_whatever_the_size(size):
    # Multiplied by their inverse in float32 or float64, some of these numbers of places do not give 1.
    _, share = FMixBlend(axes=1).draw(tf.zeros([2, size]), tf.constant([1.0, 0.0]), seed=1)
    assert share.numpy().tolist() == [1, 0]


@pytest.mark.usefixtures("plain_and_compiled")
def test_identical_images_stay_what_they_are():
    image = RNG.normal(size=(1, 8, 9, 3)).astype(np.float16)
    x = tf.constant(np.repeat(image, 4, axis=0))
    blended = FMixBlend()([x], [x], tf.constant([1, 2, 3, 0]), tf.fill([4], 0.4), seed=1)
    assert (blended.x[0].numpy() == x.numpy()).all()


def test_ratios_and_places_without_end_are_counted_exactly():
    # A float32 product would miss by places: 2^24 is the last number it counts to.
    places = 1_000_003
    ratio = np.array([0.123456789, 0.987654321], np.float32)
    mask, share = FMixBlend(axes=1).draw(tf.zeros([2, places]), tf.constant(ratio), seed=1)
    expected = np.round(ratio.astype(np.float64) * places)
    assert (mask.numpy().sum(axis=1, dtype=np.float64) == expected).all()
    assert (share.numpy() == (expected / places).astype(np.float32)).all()


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 1, 1)], ids=str)
@pytest.mark.usefixtures("plain_and_compiled")
def test_batches_and_images_of_nothing_and_of_one_place_come_back(shape):
    x = tf.ones(shape)
    blended = FMixBlend()([x], [x], tf.range(shape[0]), tf.fill([shape[0]], 0.7), seed=1)
    assert blended.x[0].shape == shape
    assert (blended.ratio.numpy() == 1).all()


@pytest.mark.parametrize(("shape", "axes"), [((4, 3), 2), ((4,), 1), ((4, 5, 5), 3)], ids=str)
def test_features_without_places_are_refused(shape, axes):
    x = tf.zeros(shape)
    message = rf"FMixBlend: features must have {axes} axes after the batch's.*Received: features of shapes"
    with pytest.raises(ValueError, match=message):
        FMixBlend(axes=axes)([x], [x], tf.range(4), tf.ones([4]), seed=1)


@pytest.mark.parametrize("axes", [0, 4, 2.0, True, "2", None])
def test_other_numbers_of_axes_are_refused(axes):
    with pytest.raises(ValueError, match=r"FMixBlend: axes must be .* Received: axes="):
        FMixBlend(axes=axes)


@pytest.mark.parametrize("decay", [-0.1, float("nan"), float("inf"), True, "3", None])
def test_other_decays_are_refused(decay):
    with pytest.raises(ValueError, match=r"FMixBlend: decay must be >= 0 and finite. Received: decay="):
        FMixBlend(decay)


def test_the_configuration_makes_an_equal_strategy():
    blend = FMixBlend.from_config(FMixBlend(2.5, 3).get_config())
    assert (blend.decay, blend.axes) == (2.5, 3)
