"""Samples whose pair is too far stay exactly what they are where far pairs are kept; nothing else changes."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    AttentiveMixBlend,
    BetaRatio,
    Blended,
    CutMixBlend,
    FMixBlend,
    GridMixBlend,
    LinearBlend,
    LocalMixupLayer,
    LocalMixupLoss,
    MixLayer,
    NearestNeighborWeight,
    PuzzleMixBlend,
    RandomPairing,
    RepeatedPairing,
    ResizeMixBlend,
    SaliencyMixBlend,
    SmoothMixBlend,
    SpectralResidualSaliency,
    ThresholdWeight,
    WeightStrategy,
    mix,
    unpack_targets,
)

RNG = np.random.default_rng(4)
X = RNG.normal(size=(9, 8, 8, 1)).astype(np.float32)
Y = np.eye(9, dtype=np.float32)
OTHER = RNG.normal(size=(9, 8, 8, 1)).astype(np.float32)
# About half of the pairs of X.
EPSILON = float(np.median([np.linalg.norm(a - b) for a in X for b in X if (a != b).any()]))
BLENDS = {
    "linear": LinearBlend,
    "cutmix": CutMixBlend,
    "fmix": FMixBlend,
    "gridmix": GridMixBlend,
    "smoothmix": SmoothMixBlend,
    "attentivemix": lambda: AttentiveMixBlend(saliency=SpectralResidualSaliency()),
    "resizemix": ResizeMixBlend,
    "saliencymix": lambda: SaliencyMixBlend(saliency=SpectralResidualSaliency()),
    "puzzle": lambda: PuzzleMixBlend(blocks=4, saliency=SpectralResidualSaliency()),
    "puzzle, in graph": lambda: PuzzleMixBlend(blocks=2, saliency=SpectralResidualSaliency(), solver="graph"),
}
COUNTS = {"one": (None, None), "interpolations": (None, 3), "partners": (2, None), "both": (2, 2)}
each_blend = pytest.mark.parametrize("blend", BLENDS)
each_count = pytest.mark.parametrize("count", COUNTS)
REPRESENTATIVES = [("linear", "one"), ("cutmix", "interpolations"), ("fmix", "partners"), ("puzzle", "both")]


def made(weight, blend="linear", count="one", **options):
    times, interpolations = COUNTS[count]
    pairing = RandomPairing() if times is None else RepeatedPairing(RandomPairing(), times)
    return MixLayer(pairing, BetaRatio(0.8, "sample", interpolations or 1), BLENDS[blend](), weight, **options)


def distances_by_brute_force(layer, seed, x=X, other=X):
    """Of each mixture's pair, from the partners that are drawn without weights."""
    plan = MixLayer(layer.pairing, layer.ratio).plan([x], seed)
    apart = np.sqrt(np.square(x[np.newaxis] - other[np.atleast_2d(plan.partner)]).sum(axis=(2, 3, 4)))
    copies = 1 if plan.ratio.shape.rank == 1 else plan.ratio.shape[0] // len(apart)
    return np.tile(apart, (copies, 1)).ravel()


@each_blend
@each_count
@pytest.mark.representatives("blend, count", REPRESENTATIVES)
def test_far_samples_come_back_exactly_and_near_pairs_are_mixed_as_without(blend, count):
    keep, drop = (made(ThresholdWeight(EPSILON, far), blend, count) for far in ("keep", "drop"))
    for seed in range(2):
        apart = distances_by_brute_force(keep, seed)
        assert 0 < (apart > EPSILON).sum() < apart.size
        x, y, weight = (part.numpy() for part in keep(X, Y, seed=seed))
        assert (weight == 1).all()
        own = np.tile(np.arange(9), len(x) // 9)
        np.testing.assert_array_equal(x[apart > EPSILON], X[own][apart > EPSILON])
        np.testing.assert_array_equal(y[apart > EPSILON], Y[own][apart > EPSILON])
        theirs = drop(X, Y, seed=seed)
        assert ((theirs[2].numpy() > 0) == (apart <= EPSILON)).all()
        for ours, others in zip((x, y), theirs, strict=False):
            np.testing.assert_array_equal(ours[apart <= EPSILON], others.numpy()[apart <= EPSILON])


@each_blend
@pytest.mark.representatives("blend", ["cutmix", "puzzle"])
def test_between_two_loaders_far_samples_stay_themselves_too(blend):
    x, second = X, OTHER
    apart = np.sqrt(np.square(x - second).sum(axis=(1, 2, 3)))
    layer = made(ThresholdWeight(float(np.median(apart))), blend)
    mixed, y, weight = layer.between((x, Y), (second, np.zeros_like(Y)), seed=1)
    far = apart > np.median(apart)
    assert far.sum() == 4
    np.testing.assert_array_equal(mixed[far], x[far])
    np.testing.assert_array_equal(y[far], Y[far])
    assert (weight.numpy() == 1).all()
    assert (np.abs(mixed.numpy() - x)[~far].max(axis=(1, 2, 3)) > 0).sum() >= 3


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.representatives("dtype, jit_compile", [("float16", True)])
def test_in_graphs_and_of_any_dtype(dtype, jit_compile):
    layer = made(ThresholdWeight(EPSILON), count="interpolations")
    x = X.astype(dtype)
    run = tf.function(lambda batch, y: layer(batch, y, seed=[0, 1]), jit_compile=jit_compile)
    for size in (9, 5, 1):
        mixed, y, weight = run(tf.constant(x[:size]), tf.constant(Y[:size]))
        assert mixed.dtype == dtype
        assert (weight.numpy() == 1).all()
        # A row is its sample exactly if and only if its label is.
        own = np.tile(np.arange(size), 3)
        alone = y.numpy()[np.arange(3 * size), own] == 1
        assert (mixed.numpy()[alone] == x[own][alone]).all()
        assert alone.any()


def test_packed_targets_are_the_samples_own_with_ratio_and_weight_one():
    layer = made(ThresholdWeight(EPSILON), targets="packed")
    apart = distances_by_brute_force(layer, 3)
    packed = unpack_targets(layer(X, Y, seed=3)[1])
    far = apart > EPSILON
    assert 0 < far.sum() < 9
    np.testing.assert_array_equal(packed.y_a, Y)
    np.testing.assert_array_equal(packed.y_b[far], Y[far])
    assert (packed.ratio.numpy()[far] == 1).all()
    assert (packed.weight.numpy() == 1).all()


def test_neighbours_that_are_none_stay_unmixed():
    layer = made(NearestNeighborWeight(1))
    flat = X.reshape(9, -1).astype(np.float64)
    table = np.linalg.norm(flat[:, np.newaxis] - flat, axis=2) + np.where(np.eye(9), np.inf, 0)
    nearest = table.argmin(axis=1)
    mixed, y, weight = layer(X, Y, seed=0)
    partner = MixLayer(layer.pairing, layer.ratio).plan([X], 0).partner.numpy()
    near = (nearest == partner) | (nearest[partner] == np.arange(9))
    assert 0 < near.sum() < 9
    np.testing.assert_array_equal(mixed[~near], X[~near])
    np.testing.assert_array_equal((y.numpy() == Y).all(axis=1), ~near)
    assert (weight.numpy() == 1).all()


def test_users_weights_and_those_of_samples_are_as_before():
    own = RNG.uniform(0.5, 2, 9).astype(np.float32)
    layer = made(ThresholdWeight(EPSILON))
    far = distances_by_brute_force(layer, 2) > EPSILON
    *_, weight = layer(X, Y, own, seed=2)
    np.testing.assert_allclose(weight[far], own[far], rtol=1e-6)


class FarRows(WeightStrategy):
    """Counts even rows, each twice."""

    far = "keep"

    def __call__(self, first, second, partner):
        return tf.where(partner % 2 == 0, 2.0, 0.0)


def as_function(first, second, partner):
    return tf.where(partner % 2 == 0, 2.0, 0.0)


as_function.far = "keep"


def each_mixture(first, second, partner):
    """As many weights as there are mixtures, of more axes than the partners."""
    return tf.tile(tf.where(partner % 2 == 0, 2.0, 0.0)[tf.newaxis], [3, 1])


each_mixture.far = "keep"


@pytest.mark.parametrize(
    ("weight", "count"), [(FarRows(), "one"), (as_function, "partners"), (each_mixture, "interpolations")]
)
def test_weights_of_ones_own_keep_far_pairs_where_they_declare_it(weight, count):
    layer = made(weight, count=count)
    x, y, counts = layer(X, Y, seed=1)
    partner = MixLayer(layer.pairing, layer.ratio).plan([X], 1).partner.numpy()
    far = np.tile(partner % 2 == 1, len(x) // partner.size).reshape(-1)
    raw = np.where(far, 1, 2)
    np.testing.assert_allclose(counts, raw / raw.mean(), rtol=1e-6)
    own = np.tile(np.arange(9), len(x) // 9)
    np.testing.assert_array_equal(x[far], X[own][far])
    assert (y.numpy()[~far] != Y[own][~far]).any(axis=1).all()


def test_a_blend_that_heeds_no_ratio_shows_the_sample_itself():
    def larger(first, second, partner, ratio, seed):
        mixed = [tf.maximum(ours, tf.gather(theirs, partner)) for ours, theirs in zip(first, second, strict=True)]
        return Blended(mixed, tf.fill(tf.shape(ratio), 0.5))

    layer = MixLayer(blend=larger, weight=ThresholdWeight(0.0))
    x, y, _ = layer(X, Y)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def network():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(9)])


@pytest.mark.parametrize("packed", [False, True])
def test_at_epsilon_zero_it_is_plain_training(packed):
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    layer = LocalMixupLayer(weight=ThresholdWeight(0.0), targets="packed" if packed else "mixed")
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    models = [network(), network()]
    models[0].compile("sgd", LocalMixupLoss(loss) if packed else loss)
    models[1].compile("sgd", loss)
    before = models[0].get_weights()[0]
    for model, batches in zip(models, (data.apply(mix(layer, seed=0)), data), strict=True):
        model.fit(batches, epochs=3, verbose=0)
    np.testing.assert_allclose(models[0].get_weights()[0], models[1].get_weights()[0], rtol=1e-4, atol=1e-6)
    assert np.abs(models[0].get_weights()[0] - before).max() > 1e-3


@pytest.mark.parametrize("make", [lambda far: ThresholdWeight(1.0, far), lambda far: NearestNeighborWeight(2, far)])
def test_far_is_an_option_that_is_checked_read_and_saved(make):
    name = type(make("keep")).__name__
    for bad in (None, "Keep", True, 1):
        with pytest.raises(ValueError, match=rf"{name}: far must be one of 'drop', 'keep'. Received: far="):
            make(bad)
    for far in ("drop", "keep"):
        layer = LocalMixupLayer(weight=make(far))
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        assert keras.saving.deserialize_keras_object(config).weight.far == far


def test_another_word_on_a_weight_of_ones_own_is_refused():
    class Mine(FarRows):
        far = "forget"

    with pytest.raises(ValueError, match=r"MixLayer: weight.far must be one of 'drop', 'keep'"):
        MixLayer(weight=Mine())


def test_batches_that_are_not_mixed_count_in_full():
    layer = made(ThresholdWeight(0.0), probability=0.0)
    x, y, weight = layer(X, Y)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    assert (weight.numpy() == 1).all()
