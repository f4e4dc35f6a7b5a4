"""What a callback says was drawn, against the mixtures themselves."""

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    Blended,
    CutMixLayer,
    KMixupLayer,
    LocalMixupLayer,
    MixLayer,
    MultiMixLayer,
    NearestNeighborPairing,
    RandomPairing,
    ThresholdWeight,
)
from kmix_tf.callbacks.look import differ, effective_count, look, statistics

N = 24
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(N, 6, 5)).astype(np.float32)
LABELS = np.arange(N) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
SEED = [3, 4]


def looked_at(layer, x=X, y=ONE_HOT):
    return look(lambda: layer.mixed(x, y, training=True, seed=SEED))


def thirds(first, second, partner, ratio, seed):
    """Mixtures of three samples each: one half, three tenths and a fifth."""
    one = tf.eye(tf.shape(first[0])[0])
    shares = 0.5 * one + 0.3 * tf.roll(one, 1, axis=1) + 0.2 * tf.roll(one, 2, axis=1)
    return Blended([tf.tensordot(shares, leaf, 1) for leaf in first], ratio, shares=shares)


LAYERS = {
    "plain": lambda: KMixupLayer(1),
    "matched": lambda: KMixupLayer(4, scope="sample"),
    "several": lambda: MultiMixLayer(4),
    "neighbors": lambda: MixLayer(NearestNeighborPairing(2)),
    "itself": lambda: MixLayer(RandomPairing(with_itself=True)),
    "half": lambda: KMixupLayer(4, probability=0.5),
}


@pytest.mark.parametrize("name", LAYERS)
def test_partners_and_shares_make_the_mixtures(name):
    layer = LAYERS[name]()
    seen = looked_at(layer)
    x, y = layer(X, ONE_HOT, training=True, seed=SEED)
    share = seen.ratio[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(x, share * X[seen.sample] + (1 - share) * X[seen.partner], atol=1e-5)
    np.testing.assert_allclose(seen.mixed_x["features"], x)
    np.testing.assert_allclose(seen.mixed_y["targets"], y)
    apart = np.sqrt(np.square(X[seen.sample] - X[seen.partner]).sum(axis=(1, 2)))
    np.testing.assert_allclose(seen.distance, apart, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(seen.x["features"], X)


def test_the_share_is_the_one_that_the_blend_realised():
    layer = CutMixLayer()
    images = np.random.default_rng(1).random((N, 7, 9, 1), np.float32)
    seen = looked_at(layer, images)
    x, _ = layer(images, ONE_HOT, training=True, seed=SEED)
    own = np.mean(np.asarray(x) == images, axis=(1, 2, 3))  # pixels of other images are equal to none of these
    np.testing.assert_allclose(seen.ratio, np.where(seen.partner == seen.sample, 1, own), atol=1e-6)


def test_of_mixtures_of_three_the_largest_two_count():
    seen = looked_at(MixLayer(blend=thirds))
    rows = np.arange(N)
    np.testing.assert_array_equal(seen.sample, rows)
    np.testing.assert_array_equal(seen.partner, (rows + 1) % N)
    np.testing.assert_allclose(seen.ratio, 0.5)
    at, shares = zip(*seen.parts(2), strict=True)
    assert at == (2, 3, 4)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=1e-6)
    np.testing.assert_allclose(seen.distance[0], np.linalg.norm(X[0] - X[1]), rtol=1e-5)


@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_of_several_mixes_each_mixture_is_of_its_own(targets):
    layers = [KMixupLayer(k, scope="sample", targets=targets) for k in (1, 8)]
    chosen = np.arange(N) % 3  # the third of nothing

    def mix():
        x, y = zip(*(layer.mixed(X, ONE_HOT, training=True, seed=[4, layer.k]) for layer in layers), strict=True)
        return np.choose(chosen[:, np.newaxis, np.newaxis], [*x, X]), y[0]

    seen = look(mix)
    x, _ = mix()
    share = seen.ratio[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(x, share * X[seen.sample] + (1 - share) * X[seen.partner], atol=1e-5)
    np.testing.assert_array_equal(seen.mixed_x["features"], x)
    assert (seen.partner[chosen == 2] == np.flatnonzero(chosen == 2)).all() and (seen.ratio[chosen == 2] == 1).all()
    assert (seen.partner[chosen < 2] != np.flatnonzero(chosen < 2)).all()


def test_where_nothing_mixes_every_sample_is_itself():
    seen = look(lambda: (X, ONE_HOT))
    found = statistics(seen)
    assert found["mix_ratio"] == 1 and found["mix_mixed"] == 0
    assert np.isnan(found["mix_distance"])


def test_nothing_is_kept_where_nobody_looks():
    with tf.Graph().as_default():
        KMixupLayer(4)(tf.constant(X), tf.constant(ONE_HOT), seed=SEED)
    assert len(looked_at(KMixupLayer(4)).ratio) == N


@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_the_numbers_are_those_of_numpy(targets):
    layer = LocalMixupLayer(scope="sample", weight=ThresholdWeight(7.6, far="drop"), num_classes=3, targets=targets)
    seen = looked_at(layer, y=LABELS)
    found = statistics(seen)
    near = np.linalg.norm((X[seen.sample] - X[seen.partner]).reshape(N, -1), axis=1) <= 7.6
    assert 0 < near.sum() < N
    assert found["mix_ratio"] == pytest.approx(seen.ratio.mean())
    assert found["mix_ratio_std"] == pytest.approx(seen.ratio.std())
    assert found["mix_effective_samples"] == pytest.approx(near.sum())  # of equal weights, and others of none
    other = LABELS[seen.sample] != LABELS[seen.partner]
    assert found["mix_across_classes"] == pytest.approx(other.mean())
    assert 0.3 < other.mean() < 1


def test_pairs_with_oneself_are_no_pairs():
    seen = looked_at(MixLayer(RandomPairing(with_itself=True)))
    found, apart = statistics(seen), seen.sample != seen.partner
    assert 0 < apart.sum() < N
    assert found["mix_mixed"] == pytest.approx(apart.mean())
    assert found["mix_distance"] == pytest.approx(seen.distance[apart].mean())


@pytest.mark.parametrize(
    ("weights", "count"), [([1, 1, 1, 1], 4), ([2, 2, 0, 0], 2), ([3, 1], 1.6), ([0, 0], 0), (None, 7)]
)
def test_the_effective_count_is_kishs(weights, count):
    assert effective_count(None if weights is None else np.array(weights, float), 7) == pytest.approx(count)


DIFFER = {
    "integers": (np.array([0, 1, 1]), [True, False]),
    "column": (np.array([[0], [1], [1]]), [True, False]),
    "one-hot": (np.eye(3, dtype=np.float32)[[0, 1, 1]], [True, False]),
    "soft": (np.array([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9]]), [True, False]),
    "half": (np.array([[0.3333, 0.6665], [0.7, 0.3], [0.9, 0.1]], np.float16), [True, False]),
    "several": (np.array([[1, 0, 1], [1, 1, 1], [1, 1, 1]], np.float32), [True, False]),
    "binary": (np.array([0.0, 1.0, 1.0]), [True, False]),
}


@pytest.mark.parametrize("name", DIFFER)
def test_classes_differ(name):
    targets, expected = DIFFER[name]
    np.testing.assert_array_equal(differ(targets)(np.array([0, 1]), np.array([1, 2])), expected)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2), (6, 4, 4, 3)])
def test_numbers_and_maps_are_no_classes(shape):
    assert differ(np.random.default_rng(0).normal(size=shape)) is None


def test_several_targets_have_numbers_of_their_own():
    y = {"a": ONE_HOT, "b": GENERATOR.normal(size=N).astype(np.float32), "c": (LABELS > 0).astype(np.float32)}
    found = statistics(looked_at(KMixupLayer(1), y=y))
    assert [name for name in found if "classes" in name] == ["mix_across_classes_a", "mix_across_classes_c"]
    assert found["mix_across_classes_a"] > found["mix_across_classes_c"] > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "uint8"])
def test_any_dtype_can_be_looked_at(dtype):
    x = tf.cast(np.abs(X) * 10, dtype)
    seen = looked_at(KMixupLayer(4), x)
    wide = np.asarray(tf.cast(x, tf.float64))
    np.testing.assert_allclose(
        seen.distance, np.linalg.norm((wide[seen.sample] - wide[seen.partner]).reshape(N, -1), axis=1), rtol=1e-5
    )
