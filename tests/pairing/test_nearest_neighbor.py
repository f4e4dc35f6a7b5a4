"""The nearest sample of the facing group, against brute force; the groups are those of optimal transport."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kmix_tf import KMixupLayer, MixLayer, NearestNeighborPairing, OptimalTransportPairing, RandomPairing


def noise(size, dimension=2, seed=0):
    return np.random.default_rng(seed).normal(size=(size, dimension)).astype(np.float32)


def found(pairing, leaves, seed):
    leaves = leaves if isinstance(leaves, list) else [leaves]
    pairs = pairing([tf.constant(leaf) for leaf in leaves], seed)
    return pairs.partner.numpy(), pairs.group.numpy()


def squared_distances(first, second):
    first, second = (
        np.concatenate([leaf.astype(np.float64).reshape(len(leaf), int(np.prod(leaf.shape[1:]))) for leaf in side], 1)
        for side in (first, second)
    )
    return np.square(first[:, np.newaxis] - second[np.newaxis]).sum(axis=2)


def assert_nearest(leaves, k, seed, tolerance=1e-9):
    """Every partner is the nearest of those that optimal transport, with the same seed, pairs the same group with.

    `tolerance` is relative to the largest distance: of two that are equally near but for rounding, either will do.
    """
    leaves = leaves if isinstance(leaves, list) else [leaves]
    partner, group = found(NearestNeighborPairing(k), leaves, seed)
    facing, transport_group = found(OptimalTransportPairing(k), leaves, seed)
    assert partner.dtype == group.dtype == np.int32
    assert (group == transport_group).all()
    distances = squared_distances(leaves, leaves)
    for row, theirs in enumerate(partner):
        candidates = facing[group == group[row]]
        assert theirs in candidates
        assert distances[row, theirs] <= distances[row, candidates].min() + tolerance * distances.max()
    return partner


@pytest.mark.usefixtures("plain_functions")
class TestAnySize:
    """Without compilation, because each example has a shape of its own."""

    @settings(max_examples=80)
    @given(st.integers(0, 40), st.integers(1, 24), st.integers(1, 3), st.integers(0, 2**31 - 1))
    def test_partners_are_the_nearest_of_the_facing_group(self, size, k, dimension, seed):
        partner = assert_nearest(noise(size, dimension, seed), k, seed)
        assert partner.shape == (size,)
        if size > 1:
            assert (partner != np.arange(size)).all()

    @given(st.integers(0, 40), st.integers(0, 2**31 - 1))
    def test_groups_of_one_are_plain_mixups(self, size, seed):
        x = noise(size)
        for ours, theirs in zip(
            found(NearestNeighborPairing(1), x, seed), found(RandomPairing(), x, seed), strict=True
        ):
            assert (ours == theirs).all()

    @given(st.integers(0, 40), st.integers(1, 24), st.integers(0, 2**31 - 1))
    def test_in_two_batches_groups_face_their_like(self, size, k, seed):
        first, second = noise(size, 2, seed), noise(size, 2, seed + 1)
        pairs = NearestNeighborPairing(k).between([tf.constant(first)], [tf.constant(second)])
        partner, distances = pairs.partner.numpy(), squared_distances([first], [second])
        assert pairs.group.numpy().tolist() == [row // k for row in range(size)]
        for row in range(size):
            candidates = np.arange(row // k * k, min(row // k * k + k, size))
            assert partner[row] in candidates
            assert distances[row, partner[row]] <= distances[row, candidates].min() + 1e-9

    @pytest.mark.parametrize("size", [8, 11])
    @pytest.mark.parametrize(
        ("offset", "scale", "dtype"),
        [
            (0.0, 1e30, np.float32),
            (0.0, 1e-30, np.float32),
            (1e5, 1.0, np.float32),
            (0.0, 1e200, np.float64),
            (0.0, 1e-200, np.float64),
        ],
    )
    def test_they_are_the_nearest_wherever_the_data_lie(self, size, offset, scale, dtype):
        for seed in range(3):
            x = (offset + scale * noise(size, 3, seed).astype(np.float64)).astype(dtype)
            # The oracle's own squares must neither over- nor underflow: it sees the same pairs in another unit.
            partner, group = found(NearestNeighborPairing(4), x, seed)
            facing, _ = found(OptimalTransportPairing(4), x, seed)
            unit = ((x.astype(np.float64) - offset) / scale).round(12)
            distances = squared_distances([unit], [unit])
            for row, theirs in enumerate(partner):
                candidates = facing[group == group[row]]
                assert theirs in candidates
                assert distances[row, theirs] <= distances[row, candidates].min() + 1e-6 * distances.max()

    def test_all_features_count(self):
        rng = np.random.default_rng(3)
        leaves = [
            rng.normal(size=(14, 2, 2)).astype(np.float32),
            rng.integers(0, 9, 14).astype(np.uint8),
            rng.integers(0, 2, (14, 9)).astype(bool),
        ]
        for seed in range(3):
            assert_nearest(leaves, 4, seed)
        without = [found(NearestNeighborPairing(4), leaves[:2], seed)[0].tolist() for seed in range(3)]
        assert without != [found(NearestNeighborPairing(4), leaves, seed)[0].tolist() for seed in range(3)]

    def test_many_features_are_compared_as_well_as_few(self):
        for seed in range(3):
            assert_nearest(noise(12, 300, seed), 5, seed, tolerance=1e-5)

    def test_a_sample_may_be_the_partner_of_many(self):
        x = noise(8)
        partners = [found(NearestNeighborPairing(4), x, seed)[0] for seed in range(5)]
        assert min(len(set(partner)) for partner in partners) < 8


def test_compiled_pairs_are_the_nearest_too():
    for size in (8, 11):
        assert_nearest(noise(size, 2, size), 4, 1)


def test_it_compiles_with_the_function_that_calls_it(same):
    layer, x = MixLayer(NearestNeighborPairing(4)), noise(11)
    assert layer.supports_jit
    compiled = tf.function(lambda x: layer(x, x, seed=3), jit_compile=True)
    same(compiled(x), layer(x, x, seed=3))


def test_a_layer_mixes_each_sample_with_its_nearest():
    x, y = noise(11), np.eye(11, dtype=np.float32)
    layer, transport = MixLayer(NearestNeighborPairing(4)), KMixupLayer(4)
    mixed, shares = layer(x, y, seed=3)
    shares = shares.numpy()
    ratio = np.diag(shares)
    partner = (shares - np.diag(ratio)).argmax(axis=1)
    np.testing.assert_allclose(mixed, ratio[:, None] * x + (1 - ratio[:, None]) * x[partner], atol=1e-5)
    # A transport of the same groups cannot bring anyone nearer.
    theirs = transport.plan([x], 3).partner.numpy()
    near, far = (np.square(x - x[other]).sum(axis=1) for other in (partner, theirs))
    assert (near <= far + 1e-6).all()
    assert near.sum() < far.sum()


def test_partners_are_what_the_seed_says():
    x = noise(16)
    first = found(NearestNeighborPairing(4), x, 1)[0]
    assert (first == found(NearestNeighborPairing(4), x, 1)[0]).all()
    assert (first != found(NearestNeighborPairing(4), x, 2)[0]).any()


def test_the_configuration_makes_an_equal_strategy():
    pairing = NearestNeighborPairing(np.int64(3))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(pairing))))
    assert type(back) is NearestNeighborPairing
    assert back.get_config() == {"k": 3}


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "4", None, float("nan")])
def test_other_ks_are_refused(k):
    with pytest.raises(ValueError, match=r"NearestNeighborPairing: k must be an integer >= 1. Received: k="):
        NearestNeighborPairing(k)
