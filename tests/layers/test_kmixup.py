"""KMixupLayer is MixLayer with groups matched by optimal transport."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import BetaRatio, KMixupLayer, MixLayer, OptimalTransportPairing

RNG = np.random.default_rng(3)
X = RNG.normal(size=(16, 2)).astype(np.float32)
Y = np.eye(4, dtype=np.float32)[np.arange(16) % 4]


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
@pytest.mark.usefixtures("plain_and_compiled")
def test_it_is_its_parts(cost, same):
    parts = MixLayer(OptimalTransportPairing(4, cost), BetaRatio(0.3, "group"))
    same(KMixupLayer(4, 0.3, scope="group", cost=cost)(X, Y, seed=1), parts(X, Y, seed=1))


@pytest.mark.parametrize("k", [2, 5, 100])
@pytest.mark.usefixtures("plain_and_compiled")
def test_groups_are_matched_optimally(k, excess):
    layer = KMixupLayer(k)
    found = layer.pairing([tf.constant(X)], 1)
    assert excess(X, X, found.partner.numpy(), found.group.numpy()) < 1e-5


def test_matched_partners_are_nearer_than_random_ones():
    def mean_square(k):
        layer = KMixupLayer(k)
        partners = [layer.plan([X], seed).partner.numpy() for seed in range(20)]
        return np.mean([np.square(X - X[partner]).sum(axis=1).mean() for partner in partners])

    # In expectation the squared distance falls with every k; 8 against 1 is far beyond what chance can turn.
    assert mean_square(8) < 0.6 * mean_square(1)


def test_groups_of_one_are_plain_mixup(same):
    same(KMixupLayer(1)(X, Y, seed=1), MixLayer()(X, Y, seed=1))


def test_the_defaults_are_the_papers():
    config = KMixupLayer().get_config()
    assert (config["k"], config["alpha"], config["scope"], config["cost"]) == (16, 1.0, "batch", "sqeuclidean")
    assert len(set(KMixupLayer(4).plan([X], 1).ratio.numpy())) == 1


def test_targets_do_not_influence_the_matching():
    # The same features with other targets have the same partners: the paper matches inputs only.
    mixed = [KMixupLayer(8)(X, y, seed=1)[0].numpy() for y in (Y, 100 * Y[::-1].copy())]
    assert (mixed[0] == mixed[1]).all()


def test_only_plain_mixup_compiles_with_the_model():
    if not keras.__version__.startswith("3"):
        pytest.skip("Keras 2 has no supports_jit")
    assert KMixupLayer(1).supports_jit
    assert not KMixupLayer(2).supports_jit


def test_plain_mixup_runs_under_xla():
    layer = KMixupLayer(1, 0.5, scope="sample")
    compiled = tf.function(lambda x, y: layer(x, y, seed=1), jit_compile=True)
    for ours, theirs in zip(compiled(X, Y), layer(X, Y, seed=1), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("plain_functions")
@pytest.mark.parametrize("batch", [2, 3, 5, 31, 33])
def test_any_batch_size_is_mixed_with_the_recommended_k(batch):
    x = RNG.normal(size=(batch, 2)).astype(np.float32)
    layer = KMixupLayer()
    plan = layer.plan([x], 1)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[:, np.newaxis]
    assert (partner != np.arange(batch)).all()
    mixed, _ = layer(x, x, seed=1)
    np.testing.assert_allclose(mixed, ratio * x + (1 - ratio) * x[partner], rtol=1e-5, atol=1e-6)
