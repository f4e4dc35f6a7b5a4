"""Pairs that swap: each sample is its partner's partner, and both are mixed with one ratio, box or mask."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from kmix_tf import (
    AttentiveMixLayer,
    BetaRatio,
    CutMixBlend,
    CutMixLayer,
    DistributionRatio,
    FMixBlend,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    OptimalTransportPairing,
    OtherClassPairing,
    PuzzleMixLayer,
    RandomPairing,
    RepeatedPairing,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    UniformRatio,
    mix,
)
from kmix_tf.seeding import as_seed, permutation

RNG = np.random.default_rng(8)
X = RNG.normal(size=(9, 8, 6, 2)).astype(np.float32)
Y = np.eye(9, dtype=np.float32)


@pytest.mark.usefixtures("plain_functions")
@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 2**31 - 1))
def test_every_sample_is_the_partner_of_its_partner_and_of_an_odd_number_one_is_its_own(size, k, seed):
    points = np.random.default_rng(seed).normal(size=(size, 2)).astype(np.float32)
    for pairing in (OptimalTransportPairing(k, mutual=True), RandomPairing(mutual=True)):
        partner, group = (part.numpy() for part in pairing([points], seed))
        rows = np.arange(size)
        assert (partner[partner] == rows).all()
        assert (partner == rows).sum() == size % 2
        assert (group[partner] == group).all()
        if size:
            assert group.min() >= 0
            assert group.max() < size


@pytest.mark.parametrize("solver", ["host", "graph"])
@pytest.mark.parametrize(("size", "k"), [(16, 4), (13, 4), (9, 16), (8, 1)])
def test_facing_groups_are_matched_at_least_cost(size, k, solver, excess):
    points = np.random.default_rng(size).normal(size=(size, 3)).astype(np.float32)
    partner, group = (part.numpy() for part in OptimalTransportPairing(k, solver=solver, mutual=True)([points], 5))
    counts = collections.Counter(group.tolist())
    largest = min(k, size // 2)
    full, rest = divmod(size - size % 2, 2 * largest)
    assert sorted(counts.values()) == sorted([2 * largest] * full + [rest] * (rest > 0) + [1] * (size % 2))
    # Which half a row is in is not told; the permutation of the seed says it. Of those halves, no exchange of
    # partners within a group may be shorter.
    ours = permutation(as_seed(5), size).numpy()[: size // 2]
    assert not set(partner[ours]) & set(ours)
    first, second = points[ours], points[partner[ours]]
    assert excess(first, second, np.arange(len(ours)), group[ours]) < 1e-6


def drawn(pairing, size, times):
    """Partners of so many samples for so many seeds, `(times, size)`."""
    draw = tf.function(lambda seed: pairing([tf.zeros([size, 1])], seed).partner)
    return np.stack([draw(tf.constant(seed)) for seed in range(times)])


def test_all_ways_to_pair_four_are_equally_likely():
    counts = collections.Counter(map(tuple, drawn(RandomPairing(mutual=True), 4, 900)))
    assert len(counts) == 3
    # Chi square with 2 degrees of freedom: a false alarm once in 10^6.
    assert sum((count - 300) ** 2 / 300 for count in counts.values()) < chi2.isf(1e-6, 2)


def test_the_one_left_over_is_any_with_equal_chance():
    pairing = RandomPairing(mutual=True)
    partners = drawn(pairing, 5, 1000)
    counts = np.bincount(np.argmax(partners == np.arange(5), axis=1), minlength=5)
    # Chi square with 4 degrees of freedom: a false alarm once in 10^6.
    assert ((counts - 200) ** 2 / 200).sum() < chi2.isf(1e-6, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.representatives("dtype, jit_compile", [(np.float32, True), (np.float16, False)])
@pytest.mark.parametrize("make", [KMixupLayer, CutMixLayer, FMixLayer, GridMixLayer, SmoothMixLayer])
def test_the_two_of_a_pair_swap(make, jit_compile, dtype):
    # What one shows of itself the other shows of its partner: together they are what both were. One sample is left.
    layer = make(k=1, scope="pair")
    run = tf.function(lambda x, y: layer(x, y, seed=4), jit_compile=jit_compile)
    x, y = run(tf.constant(X.astype(dtype)), tf.constant(Y))
    plan = layer.plan([tf.constant(X)], 4)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()
    x = x.numpy().astype(np.float64)
    np.testing.assert_allclose(x + x[partner], X + X[partner], atol=2e-2 if dtype == np.float16 else 1e-5)
    alone = np.flatnonzero(partner == np.arange(9))
    assert len(alone) == 1
    assert (x[alone] == X.astype(dtype)[alone]).all()
    # One ratio in both, of either in its own mixture; and as many ratios as there are pairs.
    own = np.diag(y.numpy())
    np.testing.assert_allclose(own, own[partner], rtol=1e-6)
    np.testing.assert_allclose(ratio, ratio[partner], rtol=0)
    assert len(np.unique(ratio)) == 5
    np.testing.assert_allclose(y, own[:, None] * Y + (1 - own)[:, None] * Y[partner], rtol=1e-5, atol=1e-6)


def test_a_box_is_one_for_both_of_a_pair_and_another_for_each_pair():
    white = np.stack([np.full((16, 16, 1), row, np.float32) for row in range(8)])
    layer = CutMixLayer(scope="pair")
    for seed in range(5):
        x, _ = layer(white, np.eye(8, dtype=np.float32), seed=seed)
        partner = layer.plan([tf.constant(white)], seed).partner.numpy()
        boxes = x.numpy() == partner[:, None, None, None]
        assert (boxes == boxes[partner]).all()
        assert len({box.tobytes() for box in boxes}) >= 3  # Some may be empty.


def test_without_pairs_boxes_are_of_each_sample():
    # As before: their streams have not changed.
    white = np.stack([np.full((16, 16, 1), row, np.float32) for row in range(8)])
    x, _ = MixLayer(RandomPairing(mutual=True), BetaRatio(scope="pair"), CutMixBlend())(white, np.eye(8), seed=1)
    partner = RandomPairing(mutual=True)([tf.constant(white)], tf.constant([0, 1])).partner.numpy()
    boxes = x.numpy() != np.arange(8)[:, None, None, None]
    assert not (boxes == boxes[partner]).all()


MAKERS = {
    "k-mixup": lambda: KMixupLayer(2, scope="pair", solver="graph"),
    "local": lambda: LocalMixupLayer(scope="pair", k=2, solver="graph"),
    "multi-mix": lambda: MultiMixLayer(3, scope="pair"),
    "batch augmentation": lambda: MultiMixLayer(3, scope="pair", baseline="batch_augmentation"),
    "cutmix": lambda: CutMixLayer(scope="pair", interpolations=2),
    "fmix": lambda: FMixLayer(scope="pair", interpolations=2),
    "resizemix": lambda: ResizeMixLayer(scope="pair", interpolations=2),
    "gridmix": lambda: GridMixLayer(scope="pair", grid=2, interpolations=2),
    "smoothmix": lambda: SmoothMixLayer(scope="pair"),
    "attentivemix": lambda: AttentiveMixLayer(scope="pair", grid=2),
    "saliencymix": lambda: SaliencyMixLayer(scope="pair"),
    "puzzle mix": lambda: PuzzleMixLayer(scope="pair", solver="graph"),
    "any distribution": lambda: MixLayer(RandomPairing(mutual=True), DistributionRatio(quarter, "pair")),
    "an interval": lambda: MixLayer(RandomPairing(mutual=True), UniformRatio(0.2, 0.6, "pair")),
    "boxes of several": lambda: MixLayer(
        RepeatedPairing(RandomPairing(mutual=True), 2), BetaRatio(scope="pair"), CutMixBlend(scope="pair")
    ),
}


@keras.saving.register_keras_serializable(package="kmix_tf_tests")
def quarter(shape, seed):
    return tf.fill(shape, 0.25)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.representatives("name", ["k-mixup", "cutmix", "fmix", "batch augmentation"])
def test_every_preset_shares_its_ratios_in_pairs(name, same):
    layer = MAKERS[name]()
    plan = layer.plan([tf.constant(X)], 2)
    ratio, partner = np.atleast_2d(plan.ratio), np.atleast_2d(plan.partner)
    partner = np.broadcast_to(partner, ratio.shape)
    assert (np.take_along_axis(partner, partner, 1) == np.arange(9)).all()
    assert (np.take_along_axis(ratio, partner, 1) == ratio).all()
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    same(back(X, Y, seed=3), layer(X, Y, seed=3), rtol=0, atol=0)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).apply(mix(layer, seed=0))
    sizes = [len(element[0]) for element in data]
    assert sizes == [len(ratio) * size for size in (4, 4, 1)]


def test_a_box_of_several_pairings_is_one_for_both_of_each_pair():
    white = np.stack([np.full((16, 16, 1), row, np.float32) for row in range(6)])
    layer = MAKERS["boxes of several"]()
    x, _ = layer(white, np.eye(6), seed=3)
    partner = layer.plan([tf.constant(white)], 3).partner.numpy()
    for image, of in zip(x.numpy().reshape(2, 6, 16, 16), partner, strict=True):
        boxes = image == of[:, None, None]
        assert (boxes == boxes[of]).all()


def test_options_can_be_read_and_come_back():
    layer = CutMixLayer(scope="pair")
    assert (layer.scope, layer.pairing.mutual, layer.blend.scope) == ("pair", True, "pair")
    assert not CutMixLayer().pairing.mutual
    for made in (RandomPairing(mutual=True), OptimalTransportPairing(2, mutual=True), RandomPairing()):
        assert type(made).from_config(made.get_config()).mutual is made.mutual
    for made in (CutMixBlend(1, "pair"), FMixBlend(2.0, 1, "pair"), CutMixBlend()):
        assert type(made).from_config(made.get_config()).scope == made.scope


def test_two_loaders_are_mixed_with_a_ratio_for_each_pair():
    layer = CutMixLayer(scope="pair")
    x, y = layer.between((X, Y), (X[::-1], Y[::-1]), seed=1)
    own = np.diag(y.numpy()).copy()
    own[4] = 0  # It meets itself.
    assert len(np.unique(own)) >= 7
    assert x.shape == X.shape


def test_a_callable_may_say_that_its_pairs_are_mutual():
    def reversed_rows(features, seed):
        rows = tf.range(tf.shape(features[0])[0])
        return rows[::-1], tf.zeros_like(rows)

    with pytest.raises(ValueError, match=r"MixLayer: pairing must be mutual for a ratio with scope='pair'."):
        MixLayer(reversed_rows, BetaRatio(scope="pair"))
    reversed_rows.mutual = True
    _, y = MixLayer(reversed_rows, BetaRatio(scope="pair"))(X, Y, seed=1)
    own = np.diag(y.numpy())
    np.testing.assert_allclose(own, own[::-1], rtol=1e-6)
    assert len(np.unique(own)) == 5


def test_what_contradicts_pairs_is_refused():
    with pytest.raises(ValueError, match=r"RandomPairing: with_itself must be False where mutual=True"):
        RandomPairing(with_itself=True, mutual=True)
    with pytest.raises(ValueError, match=r"MixLayer: pairing must be mutual for a blend with .* Received: Oth"):
        MixLayer(OtherClassPairing(), blend=CutMixBlend(scope="pair"))
    with pytest.raises(ValueError, match=r"CutMixBlend: scope must be one of 'sample', 'pair'. Received: "):
        CutMixBlend(scope="batch")
    with pytest.raises(ValueError, match=r"mutual must be True or False"):
        OptimalTransportPairing(2, mutual="yes")

    def next_row(features, seed):
        rows = tf.range(tf.shape(features[0])[0])
        return tf.roll(rows, 1, 0), rows

    next_row.mutual = True
    with pytest.raises(tf.errors.InvalidArgumentError, match="MixLayer: scope='pair' needs pairs"):
        MixLayer(next_row, BetaRatio(scope="pair"))(X, Y)
    layer = MultiMixLayer(2, scope="pair", baseline="batch_augmentation", blend=FMixBlend(scope="pair"))
    with pytest.raises(ValueError, match=r"scope must be 'sample' where a batch is paired several times"):
        layer(X, Y)
