"""Partners by nearness of targets: C-Mixup."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    ExponentialWeight,
    LabelDistancePairing,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    RepeatedPairing,
    mix,
    unpack_targets,
)

# The chance that one statistical assertion fails for a right pairing, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(9)
X = RNG.normal(size=(6, 3)).astype(np.float32)
TARGETS = {
    "numbers": np.array([0.0, 0.3, 1.0, 1.1, 3.0]),
    "column": np.array([[0.0], [0.3], [1.0], [1.1], [3.0]], np.float32),
    "vectors": RNG.normal(size=(5, 2)).astype(np.float16),
    "soft labels": RNG.dirichlet(np.ones(4), size=5).astype(np.float32),
    "wide": RNG.normal(size=(5, 50)) / 5,
    "map": RNG.normal(size=(5, 2, 2)),
    "far from 0": np.array([0.0, 0.3, 1.0, 1.1, 3.0]) + 2.0**20,
}


def probabilities(y, bandwidth, with_itself):
    """By the paper's formula, row by row."""
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    found = np.zeros((len(y), len(y)))
    for i in range(len(y)):
        for j in range(len(y)):
            if with_itself or i != j:
                found[i, j] = np.exp(-np.sum((y[i] - y[j]) ** 2) / (2 * bandwidth**2))
        found[i] /= found[i].sum()
    return found


def drawn(pairing, targets, times):
    """Partners of so many draws, `(times, batch)`."""
    targets = tf.nest.map_structure(tf.constant, targets)
    features = [tf.zeros([len(tf.nest.flatten(targets)[0]), 1])]
    draw = tf.function(lambda seed: pairing(features, seed, targets).partner)
    return tf.map_fn(draw, tf.range(times)).numpy()


def require_probabilities(partners, expected):
    for row, chances in zip(partners.T, expected, strict=True):
        counts = np.bincount(row, minlength=len(chances))
        often = chances * len(row) >= 5
        assert counts[chances == 0].sum() == 0
        seen = np.append(counts[often], counts[~often].sum())
        wanted = np.append(chances[often], chances[~often].sum()) * len(row)
        seen, wanted = seen[wanted > 0], wanted[wanted > 0]
        assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > FALSE_ALARM


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("with_itself", [False, True])
@pytest.mark.representatives("kind, with_itself", [("numbers", False), ("wide", True)])
def test_partners_have_the_probabilities_of_the_paper(kind, with_itself):
    y = TARGETS[kind]
    partners = drawn(LabelDistancePairing(0.6, with_itself=with_itself), y, 3000)
    assert partners.dtype == np.int32
    require_probabilities(partners, probabilities(y, 0.6, with_itself))


def test_partners_of_different_samples_are_drawn_on_their_own():
    partners = drawn(LabelDistancePairing(0.6), TARGETS["numbers"], 3000)
    chances = probabilities(TARGETS["numbers"], 0.6, False)
    counts = np.bincount(5 * partners[:, 1] + partners[:, 2], minlength=25)
    wanted = np.outer(chances[1], chances[2]).ravel() * 3000
    keep = wanted >= 5
    seen = np.append(counts[keep], counts[~keep].sum())
    wanted = np.append(wanted[keep], wanted[~keep].sum())
    assert stats.chisquare(seen, wanted).pvalue > FALSE_ALARM


@pytest.mark.parametrize("bandwidth", [1e-300, pytest.param(1e-9, marks=pytest.mark.matrix)])
def test_a_narrow_bandwidth_mixes_nearest_targets_and_ties_alike_often(bandwidth):
    y = np.array([0.0, 1.0, 2.0, 5.0, 1e3])
    partners = drawn(LabelDistancePairing(bandwidth), y, 2000)
    assert (partners[:, [0, 2, 3, 4]] == [1, 1, 2, 3]).all()
    assert set(partners[:, 1]) == {0, 2}
    assert stats.binomtest(int((partners[:, 1] == 0).sum()), 2000).pvalue > FALSE_ALARM
    assert (drawn(LabelDistancePairing(bandwidth, with_itself=True), y, 50) == np.arange(5)).all()


@pytest.mark.parametrize("y", [TARGETS["numbers"], np.zeros(5), np.array([1e-310, 0, 3e-310, 0, 1e-320])], ids=str)
@pytest.mark.matrix  # as the probabilities of the paper
def test_a_wide_bandwidth_is_plain_mixup(y):
    partners = drawn(LabelDistancePairing(1e300), y, 3000)
    require_probabilities(partners, (1 - np.eye(5)) / 4)


@pytest.mark.parametrize("bandwidth", [1e-300, pytest.param(1.0, marks=pytest.mark.matrix), 1e300])
@pytest.mark.parametrize("y", [[1e308, -1e308, 1e307], [1e-320, 0, -1e-320], [0, 0, 0], [1e200, 1, 2]], ids=str)
def test_nothing_over_or_underflows(bandwidth, y):
    partners = drawn(LabelDistancePairing(bandwidth), np.array(y, np.float64), 20)
    assert ((partners >= 0) & (partners < 3) & (partners != np.arange(3))).all()


def test_only_the_ratio_of_targets_and_bandwidth_counts():
    y = TARGETS["numbers"]
    for factor in (2.0**-600, 2.0**-20, 2.0**500):
        scaled = drawn(LabelDistancePairing(0.6 * factor), y * factor, 50)
        assert (scaled == drawn(LabelDistancePairing(0.6), y, 50)).all()


@pytest.mark.usefixtures("plain_and_compiled")
@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("with_itself", [False, True])
def test_small_batches(size, with_itself):
    found = LabelDistancePairing(1.0, with_itself=with_itself)([X[:size]], 3, tf.constant(X[:size, 0]))
    assert found.partner.shape == found.group.shape == (size,)
    expected = {0: [[]], 1: [[0]], 2: [[1, 0]]}[size]
    assert with_itself or found.partner.numpy().tolist() in expected


def test_one_of_several_targets_or_some_together():
    y = {"price": tf.constant([0.0, 9.0, 0.1, 9.1]), "age": tf.constant([0.0, 0.0, 90.0, 90.0]), "id": tf.range(4)}
    by_price, by_age = (LabelDistancePairing(0.01, target=name)([X[:4]], 1, y) for name in ("price", "age"))
    assert by_price.partner.numpy().tolist() == [2, 3, 0, 1]
    assert by_age.partner.numpy().tolist() == [1, 0, 3, 2]
    both = {name: y[name].numpy().astype(np.float64) / 9 for name in ("price", "age")}
    partners = drawn(LabelDistancePairing(2.0, target=["age", "price"]), both, 1500)
    require_probabilities(partners, probabilities(np.stack(list(both.values()), axis=1), 2.0, False))


@pytest.mark.parametrize("columns", [None, 2])
def test_graphs_and_xla_draw_as_eager_calls_do(columns):
    pairing, y = LabelDistancePairing(0.5), RNG.normal(size=(7, 2)).astype(np.float32)
    eager = pairing([tf.zeros([7, 1])], 4, tf.constant(y)).partner.numpy()
    for jit_compile in (False, True):
        graph = tf.function(
            lambda y: pairing([y], 4, y).partner,
            input_signature=[tf.TensorSpec([None, columns])],
            jit_compile=jit_compile,
        )
        assert (graph(y).numpy() == eager).all()


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2)], ids=str)
@pytest.mark.parametrize("targets", ["mixed", "packed"])
def test_a_regression_is_mixed_with_its_near_partners(shape, targets):
    y = np.resize(np.array([0.0, 10.0, 0.1, 10.1, 0.2, 10.2], np.float32), shape[::-1]).T
    layer = MixLayer(LabelDistancePairing(1.0), BetaRatio(1.0, "sample"), targets=targets)
    mixed_x, mixed_y = layer(X, y, seed=2)
    plan = layer.plan([X], 2, tf.constant(y))
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[:, np.newaxis]
    assert (partner % 2 == np.arange(6) % 2).all()
    np.testing.assert_allclose(mixed_x, ratio * X + (1 - ratio) * X[partner], rtol=1e-5, atol=1e-6)
    flat = y.reshape(6, -1)
    expected = ratio * flat + (1 - ratio) * flat[partner]
    if targets == "packed":
        y_a, y_b, share, _ = unpack_targets(mixed_y)
        mixed_y = share[:, np.newaxis] * y_a + (1 - share[:, np.newaxis]) * y_b
    np.testing.assert_allclose(np.reshape(mixed_y, (6, -1)), expected, rtol=1e-5, atol=1e-5)


def test_it_may_be_repeated():
    pairing = RepeatedPairing(LabelDistancePairing(0.6), 2)
    partners = drawn(pairing, TARGETS["numbers"], 2000)
    assert partners.shape == (2000, 2, 5)
    for row in (0, 1):
        require_probabilities(partners[:, row], probabilities(TARGETS["numbers"], 0.6, False))
    assert 0.1 < (partners[:, 0] == partners[:, 1]).mean() < 0.9


OTHERS = {
    "several": {"ratio": BetaRatio(0.5, interpolations=3)},
    "cutmix": {"blend": CutMixBlend(1)},
    "local": {"weight": ExponentialWeight(0.5)},
    "seldom": {"probability": 0.5},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.representatives("other", ["local"])
def test_it_goes_with_every_other_decision(other, same):
    layer = MixLayer(LabelDistancePairing(0.5), **OTHERS[other])
    y, weight = RNG.normal(size=6).astype(np.float32), np.arange(6, dtype=np.float32)
    eager = layer(X, y, weight, seed=3)
    data = tf.data.Dataset.from_tensors((X, y, weight)).map(lambda *batch: layer(*batch, seed=3))
    same(next(iter(data)), eager, rtol=1e-5, atol=1e-5)


def test_pipelines_with_a_last_partial_batch_are_repeatable(same):
    data = tf.data.Dataset.from_tensor_slices((X, X[:, 0])).batch(4)
    epochs = [list(data.apply(mix(MixLayer(LabelDistancePairing(0.5)), seed=1))) for _ in range(2)]
    assert [len(x) for x, _ in epochs[0]] == [4, 2]
    same(epochs[0], epochs[1], rtol=0, atol=0)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.representatives("jit_compile, hidden", [(True, False), (False, True)])
def test_models_are_trained_with_it(jit_compile, hidden):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1)(keras.layers.Dense(4, activation="relu", name="hidden")(inputs))
    model, layer = keras.Model(inputs, outputs), MixLayer(LabelDistancePairing(0.5))
    mixing = ManifoldMixModel(model, ["input", "hidden"], layer) if hidden else MixModel(model, layer)
    mixing.compile("sgd", "mse", jit_compile=jit_compile)
    assert np.isfinite(mixing.fit(X, X[:, 0], batch_size=4, epochs=2, verbose=0).history["loss"]).all()


def test_it_is_saved_with_the_layer(same):
    layer = MixLayer(LabelDistancePairing(0.25, target="y", with_itself=True))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert back.pairing.get_config() == {"bandwidth": 0.25, "target": "y", "with_itself": True}
    same(back(X, {"y": X[:, 0]}, seed=3), layer(X, {"y": X[:, 0]}, seed=3), rtol=0, atol=0)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), None, "wide", True])
def test_a_bandwidth_that_is_not_positive_is_refused(value):
    message = r"LabelDistancePairing: bandwidth must be > 0 and finite. Received: bandwidth="
    with pytest.raises(ValueError, match=message):
        LabelDistancePairing(value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "pairing by targets needs targets. Received: features alone"),
        (np.arange(6), r"needs float targets \(batch, ...\). Received: a .*Tensor of dtype int.*SameClassPairing"),
        ({"a": X, "b": X}, "target must name one of several targets. Received: 2 of them"),
    ],
    ids=["none", "integers", "several"],
)
def test_other_targets_are_refused(y, message):
    layer = MixLayer(LabelDistancePairing(1.0), targets="packed", features_only=True)
    with pytest.raises(ValueError, match=f"LabelDistancePairing: .*{message}"):
        layer(X, y)


def test_other_options_and_two_loaders_are_refused():
    with pytest.raises(ValueError, match="LabelDistancePairing: with_itself must be True or False"):
        LabelDistancePairing(1.0, with_itself=1)
    with pytest.raises(TypeError, match="LabelDistancePairing: target must be a key"):
        LabelDistancePairing(1.0, target=1.5)
    with pytest.raises(ValueError, match=r"LabelDistancePairing: target must .*nowhere"):
        MixLayer(LabelDistancePairing(1.0, target="nowhere"))(X, {"y": X})
    with pytest.raises(ValueError, match="LabelDistancePairing: two loaders cannot be paired by the distance"):
        MixLayer(LabelDistancePairing(1.0)).between((X, X), (X, X))
    ragged = {"y": X, "words": tf.RaggedTensor.from_row_lengths(tf.zeros([6]), [1] * 6)}
    with pytest.raises(ValueError, match=r"LabelDistancePairing: .*needs float targets.*Received: a RaggedTensor"):
        MixLayer(LabelDistancePairing(1.0, target="words"), passthrough="words")(X, ragged)
