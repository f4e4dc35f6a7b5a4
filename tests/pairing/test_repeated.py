"""Several pairings of one batch, independent of one another."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    BetaRatio,
    MixLayer,
    NearestNeighborPairing,
    OptimalTransportPairing,
    Pairing,
    RandomPairing,
    RepeatedPairing,
    SameClassPairing,
)

# The chance that one statistical assertion fails for a right pairing, were its seeds chosen anew.
FALSE_ALARM = 1e-5
X = np.random.default_rng(1).normal(size=(10, 2)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1], np.int32)


@pytest.mark.parametrize("times", [1, 3])
def test_there_is_a_row_of_partners_for_each_time(times):
    found = RepeatedPairing(RandomPairing(), times)([tf.constant(X)], 1)
    assert found.partner.dtype == tf.int32
    assert found.partner.shape == (times, 10)
    assert found.group.shape == found.partner.shape
    for partner in found.partner.numpy():
        assert sorted(partner) == list(range(10))
        assert (partner != np.arange(10)).all()


@pytest.mark.usefixtures("plain_and_compiled")
def test_every_time_is_an_optimal_matching_of_other_groups():
    x = X[:6]
    partners = RepeatedPairing(OptimalTransportPairing(3), 4)([tf.constant(x)], 1).partner.numpy()
    squares = np.square(x[:, np.newaxis] - x[np.newaxis]).sum(axis=2)

    def is_optimal(partner, ours, theirs):
        best = min(itertools.permutations(theirs), key=lambda order: squares[ours, list(order)].sum())
        return partner[ours].tolist() == list(best)

    splits = [list(rows) for rows in itertools.combinations(range(6), 3)]
    fitting = [
        {
            tuple(rows)
            for rows in splits
            if is_optimal(partner, rows, rest := [row for row in range(6) if row not in rows])
            and is_optimal(partner, rest, rows)
        }
        for partner in partners
    ]
    assert all(fitting)
    # Nor are they one split again and again.
    assert not set.intersection(*fitting)


def test_pairings_are_independent_of_one_another():
    pairing = RepeatedPairing(RandomPairing(), 2)
    draw = tf.function(lambda seed: pairing([tf.zeros([4, 1])], seed).partner[:, 0])
    first, second = tf.map_fn(draw, tf.range(450)).numpy().T
    # Row 0 has three possible partners each time: nine equally likely couples of them.
    table = np.zeros((3, 3))
    np.add.at(table, (first - 1, second - 1), 1)
    assert stats.chisquare(table.ravel()).pvalue > FALSE_ALARM


def test_the_seed_decides():
    pairing = RepeatedPairing(RandomPairing(), 2)
    first, again, other = (pairing([tf.constant(X)], seed).partner.numpy() for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any(axis=1).all()


def test_any_callable_is_repeated():
    def rolled(features, seed):
        rows = tf.range(tf.shape(features[0])[0])
        return Pairing(tf.roll(rows, tf.cast(seed[0] % 2 + 1, tf.int32), axis=0), rows)

    pairing = RepeatedPairing(rolled, 2)
    assert not pairing.runs_on_host
    assert pairing([tf.constant(X)], 1).partner.shape == (2, 10)


@pytest.mark.usefixtures("plain_and_compiled")
def test_classes_are_handed_on():
    layer = MixLayer(RepeatedPairing(SameClassPairing(), 3), num_classes=2)
    _, y = layer(X, LABELS, seed=1)
    np.testing.assert_allclose(y, np.tile(np.eye(2)[LABELS], (3, 1)), atol=1e-6)


def test_what_is_repeated_decides_whether_the_host_is_needed():
    assert RepeatedPairing(OptimalTransportPairing(2), 2).runs_on_host
    assert not RepeatedPairing(OptimalTransportPairing(2, solver="graph"), 2).runs_on_host
    assert not RepeatedPairing(RandomPairing(), 2).runs_on_host
    assert RepeatedPairing(SameClassPairing(), 2).needs_targets
    assert not RepeatedPairing(RandomPairing(), 2).needs_targets


@pytest.mark.parametrize("interpolations", [1, 3])
@pytest.mark.usefixtures("plain_and_compiled")
def test_a_layer_mixes_every_sample_with_each_of_its_partners(interpolations):
    layer = MixLayer(RepeatedPairing(RandomPairing(), 3), BetaRatio(1.0, "sample", interpolations))
    mixed, shares = layer(X, np.eye(10, dtype=np.float32), seed=2)
    assert mixed.shape == (30, 2)
    shares = shares.numpy().reshape(3, 10, 10)
    ratio = np.diagonal(shares, axis1=1, axis2=2)
    partner = (shares * (1 - np.eye(10))).argmax(axis=2)
    assert (partner != np.arange(10)).all()
    assert len({tuple(each) for each in partner}) == 3
    # One ratio serves all three, or each has its own.
    assert len({tuple(each) for each in ratio.round(5)}) == interpolations
    ratio = ratio[..., np.newaxis]
    np.testing.assert_allclose(mixed.numpy().reshape(3, 10, 2), ratio * X + (1 - ratio) * X[partner], atol=1e-5)


@pytest.mark.usefixtures("plain_and_compiled")
def test_two_loaders_face_each_other_the_same_way_each_time():
    second = X[::-1].copy()
    inner = NearestNeighborPairing(4)
    expected = inner.between([tf.constant(X)], [tf.constant(second)])
    found = RepeatedPairing(inner, 3).between([tf.constant(X)], [tf.constant(second)])
    assert found.partner.numpy().tolist() == [expected.partner.numpy().tolist()] * 3
    assert found.group.numpy().tolist() == [expected.group.numpy().tolist()] * 3


@pytest.mark.usefixtures("plain_and_compiled")
def test_two_loaders_are_mixed_several_times():
    layer = MixLayer(RepeatedPairing(RandomPairing(), 2), BetaRatio(1.0, "sample", 2))
    y = np.zeros(10, np.float32)
    mixed, share = layer.between((X, y), (X[::-1].copy(), y + 1), seed=1)
    share = share.numpy()[:, np.newaxis]
    np.testing.assert_allclose(mixed, (1 - share) * np.tile(X, (2, 1)) + share * np.tile(X[::-1], (2, 1)), atol=1e-5)


def test_the_configuration_makes_an_equal_strategy():
    pairing = RepeatedPairing(OptimalTransportPairing(5, "euclidean", "graph"), np.int32(3))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(pairing))))
    assert type(back) is RepeatedPairing
    assert type(back.pairing) is OptimalTransportPairing
    assert back.times == 3
    assert back.pairing.get_config() == {"k": 5, "cost": "euclidean", "solver": "graph", "mutual": False}


@pytest.mark.parametrize("times", [0, -1, 2.0, True, "2", None])
def test_other_numbers_are_refused(times):
    with pytest.raises(ValueError, match=r"RepeatedPairing: times must be an integer >= 1. Received: times="):
        RepeatedPairing(RandomPairing(), times)


@pytest.mark.parametrize("pairing", [None, "random", 3])
def test_what_cannot_be_called_is_refused(pairing):
    with pytest.raises(TypeError, match=r"RepeatedPairing: pairing must be callable. Received: pairing="):
        RepeatedPairing(pairing, 2)
