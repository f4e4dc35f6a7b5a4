"""What a layer learns from data before it mixes: the scales of columns, and the alpha that makes up for matching."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from scipy.spatial.distance import cdist

from kmix_tf import (
    BetaRatio,
    DistributionRatio,
    KMixupLayer,
    MixLayer,
    MultiMixLayer,
    OptimalTransportPairing,
    OtherClassPairing,
    Pairing,
    RandomPairing,
    mix,
)

# The chance that one statistical assertion fails for a right layer, were its seeds chosen anew.
FALSE_ALARM = 1e-5
RNG = np.random.default_rng(11)
UNITS = np.array([1.0, 1e3, 1e-4])
TABLE = (RNG.normal(size=(60, 3)) * UNITS + [5, -2e4, 0]).astype(np.float32)


def adapted(layer, data=TABLE, **options):
    layer.adapt(data, **options)
    return layer.get_config()["adapted"]


def inverse_deviations(values):
    values = np.asarray(values, np.float64)
    columns = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, np.newaxis]
    return 1 / columns.std(axis=0)


class Recorder:
    """A pairing that remembers on what features it matched, and how."""

    runs_on_host = True

    def __init__(self, pairing):
        self.pairing = pairing

    def __call__(self, features, seed):
        found = self.pairing(features, seed)
        self.features, self.partner, self.group = features, found.partner.numpy(), found.group.numpy()
        return found


def batches(*sizes, data=TABLE):
    """A dataset of batches of these sizes."""
    parts = [tf.data.Dataset.from_tensors(part) for part in np.split(data, np.cumsum(sizes)[:-1])]
    return functools.reduce(lambda dataset, part: dataset.concatenate(part), parts)


@pytest.mark.parametrize("sizes", [(60,), (1, 59), (7, 7, 7, 7, 32), (1, 2, 3, 54)], ids=str)
def test_scales_are_the_inverse_deviations_of_all_data(sizes):
    learnt = adapted(KMixupLayer(4), batches(*sizes))
    assert learnt["alpha"] is None
    (scales,) = learnt["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(TABLE), rtol=1e-9)


def test_the_data_are_read_once():
    reads = []

    def rows():
        reads.append(0)
        yield from np.split(TABLE, 6)

    dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec([None, 3]))
    adapted(KMixupLayer(4), dataset)
    assert len(reads) == 1


@pytest.mark.parametrize(
    "data",
    [
        lambda: TABLE,
        lambda: (TABLE, TABLE[:, 0]),
        lambda: tf.data.Dataset.from_tensor_slices(TABLE).batch(16),
        lambda: tf.data.Dataset.from_tensor_slices((TABLE, TABLE[:, 0])).batch(16),
        lambda: tf.data.Dataset.from_tensor_slices((TABLE, TABLE[:, 0], TABLE[:, 1])).batch(16),
    ],
    ids=["arrays", "arrays with targets", "dataset", "dataset with targets", "dataset with weights"],
)
def test_data_come_as_the_layer_takes_them(data):
    (scales,) = adapted(KMixupLayer(4), data(), batch_size=25)["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(TABLE), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64])
def test_images_are_scaled_by_channel(dtype):
    images = (RNG.uniform(size=(20, 4, 5, 3)) * [10, 100, 250]).astype(dtype)
    (scales,) = adapted(KMixupLayer(4), images, batch_size=6)["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(images), rtol=1e-9)


def test_each_leaf_is_scaled_by_itself():
    x = {"b": TABLE, "a": (100 * TABLE[:, 0]).astype(np.float32), "c": {"image": RNG.normal(size=(60, 2, 2, 1))}}
    scales = adapted(KMixupLayer(4), x)["scales"]
    for ours, leaf in zip(scales, (x["a"], x["b"], x["c"]["image"]), strict=True):
        np.testing.assert_allclose(ours, inverse_deviations(leaf), rtol=1e-9)


def test_only_the_features_matched_on_are_scaled():
    x = {"id": np.arange(60), "image": np.zeros((60, 4), np.float32), "table": TABLE}
    layer = KMixupLayer(4, match_on="table", passthrough="id")
    (scales,) = adapted(layer, x)["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(TABLE), rtol=1e-9)


def tripled(x):
    return x[:, :2] * 3


def test_an_embedding_is_scaled_instead_of_its_features():
    (scales,) = adapted(KMixupLayer(4, embedding=tripled), TABLE)["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(TABLE[:, :2]) / 3, rtol=1e-6)


@settings(max_examples=25)
@given(
    st.one_of(st.sampled_from([0.0, 1.0, -3.0, 1e30, 4.475123345364248]), st.floats(-1e6, 1e6)),
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
    st.sampled_from([np.float32, np.float64]),
)
def test_columns_that_never_vary_keep_their_scale(value, sizes, dtype):
    rows = sum(sizes)
    data = np.stack([np.full(rows, value), np.arange(rows)], axis=1).astype(dtype)
    (scales,) = adapted(KMixupLayer(4), batches(*sizes, data=data))["scales"]
    assert scales[0] == 1
    assert rows == 1 or scales[1] == pytest.approx(1 / np.arange(rows).std())


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"b": x, "a": x[:, :1] * 7}], ids=["one leaf", "two leaves"])
@pytest.mark.usefixtures("plain_and_compiled")
def test_matching_is_optimal_for_scaled_features_and_mixing_is_of_raw_ones(wrap, excess):
    pairing = Recorder(OptimalTransportPairing(6))
    layer = MixLayer(pairing, BetaRatio(1.0, "sample"))
    layer.adapt(wrap(TABLE), batch_size=13)
    x = wrap(TABLE[:24])
    unscaled, found = [], 0
    for seed in range(5):
        mixed, shares = layer(x, np.eye(24, dtype=np.float32), seed=seed)
        expected = [
            np.asarray(leaf, np.float64) * inverse_deviations(whole)
            for leaf, whole in zip(tf.nest.flatten(x), tf.nest.flatten(wrap(TABLE)), strict=True)
        ]
        for ours, leaf in zip(pairing.features, expected, strict=True):
            np.testing.assert_allclose(ours, leaf, rtol=1e-5)
        assert excess(expected, expected, pairing.partner, pairing.group) < 1e-5
        # Not so for the raw features, of which one column has all the weight.
        raw = list(tf.nest.flatten(x))
        unscaled.append(excess(raw, raw, pairing.partner, pairing.group))
        ratio = np.diag(shares)[:, np.newaxis].astype(np.float64)
        for ours, leaf in zip(tf.nest.flatten(mixed), raw, strict=True):
            np.testing.assert_allclose(ours, ratio * leaf + (1 - ratio) * leaf[pairing.partner], rtol=1e-4, atol=1e-7)
            found += 1
    assert max(unscaled) > 0.1
    assert found


@pytest.mark.usefixtures("plain_and_compiled")
def test_two_loaders_are_matched_by_scaled_features(excess):
    layer = KMixupLayer(6)
    layer.adapt(TABLE)
    first, second = TABLE[:12], TABLE[12:24]
    _, share = layer.between((first, np.eye(24)[:12]), (second, np.eye(24)[12:]), seed=1)
    partner = share.numpy()[:, 12:].argmax(axis=1)
    scale = inverse_deviations(TABLE)
    assert excess(first * scale, second * scale, partner, np.arange(12) // 6) < 1e-5


def gamma_squared(alpha):
    """E[min(l, 1 - l)^2] by quadrature."""
    return 2 * integrate.quad(lambda x: x**2 * stats.beta.pdf(x, alpha, alpha), 0, 0.5)[0]


def independent_alpha(alpha, plain, cost):
    wanted = gamma_squared(alpha) * plain / cost
    return optimize.brentq(lambda other: gamma_squared(other) - wanted, 0.05, 500)


def half_alone(features, seed):
    """Pairs the first half with itself, each with the next, and leaves the rest alone."""
    size = tf.shape(features[0])[0]
    rows = tf.range(size)
    return Pairing(tf.where(rows < size // 2, (rows + 1) % (size // 2), rows), rows)


def test_alpha_makes_up_for_the_cost_of_the_layers_own_pairs():
    # The corners of a simplex: all random pairs cost the same, and with half of the samples alone it is half of that.
    layer = MixLayer(half_alone, BetaRatio(0.6, "sample"))
    matched = adapted(layer, np.eye(12), batch_size=12, match_alpha=True)["alpha"]
    assert matched == pytest.approx(independent_alpha(0.6, 2.0, 1.0), rel=1e-5)
    # And from now on ratios come from it.
    draw = tf.function(lambda seed: layer.plan([tf.eye(12)], seed).ratio[0])
    ratios = [draw(tf.constant([0, seed])).numpy() for seed in range(300)]
    assert stats.kstest(ratios, stats.beta(matched, matched).cdf).pvalue > FALSE_ALARM
    assert stats.kstest(ratios, stats.beta(0.6, 0.6).cdf).pvalue < FALSE_ALARM


@pytest.mark.parametrize("scale", [True, False])
def test_alpha_is_that_of_an_independent_estimate(scale):
    # By SciPy, on groups of 8 of all the data. Each cost's standard error is two percent or so, in either estimate.
    data = np.random.default_rng(3).normal(size=(1600, 4)) * [1, 1, 1, 5]
    learnt = adapted(KMixupLayer(8, 0.2), data, batch_size=32, scale=scale, match_alpha=True)
    assert (learnt["scales"] is not None) == scale
    points = data / data.std(axis=0) if scale else data
    order = np.random.default_rng(4).permutation(1600).reshape(-1, 2, 8)
    costs = []
    for first, second in order:
        squares = cdist(points[first], points[second], "sqeuclidean")
        costs.append(squares[optimize.linear_sum_assignment(squares)].mean())
    plain, cost = 2 * points.var(axis=0).sum(), np.mean(costs)
    assert cost < 0.7 * plain
    assert gamma_squared(learnt["alpha"]) * cost == pytest.approx(gamma_squared(0.2) * plain, rel=0.1)


@pytest.mark.parametrize("pairing", [RandomPairing(), OptimalTransportPairing(1)], ids=["random", "k = 1"])
@pytest.mark.parametrize("alpha", [0.5, 1000.0])
def test_random_pairs_need_no_other_alpha(pairing, alpha):
    learnt = adapted(MixLayer(pairing, BetaRatio(alpha)), TABLE, batch_size=20, match_alpha=True)
    assert learnt["alpha"] == pytest.approx(alpha, rel=1e-6)


@pytest.mark.usefixtures("plain_and_compiled")
def test_pairs_by_class_are_given_the_classes():
    # Classes that are clusters: pairs of different ones are further apart than random ones, so alpha falls.
    labels = np.arange(60) % 3
    x = (RNG.normal(size=(60, 2)) + 9 * labels[:, np.newaxis]).astype(np.float32)
    layer = MixLayer(OtherClassPairing(), num_classes=3)
    learnt = adapted(layer, (x, labels), batch_size=30, match_alpha=True)
    assert 0.1 < learnt["alpha"] < 1


@pytest.mark.usefixtures("plain_and_compiled")
def test_an_empty_batch_among_others_changes_nothing():
    with_empty = adapted(KMixupLayer(4, 0.3), batches(30, 0, 30), match_alpha=True)
    np.testing.assert_allclose(with_empty["scales"][0], inverse_deviations(TABLE), rtol=1e-9)
    assert with_empty["alpha"] > 0.3


def test_alpha_is_learnt_once_more_with_the_scales_that_are_there():
    layer = KMixupLayer(4, 0.3)
    layer.adapt(TABLE)
    scales = layer.get_config()["adapted"]["scales"]
    learnt = adapted(layer, TABLE, batch_size=20, scale=False, match_alpha=True)
    assert learnt["scales"] == scales
    assert learnt["alpha"] > 0.3
    # It starts from the alpha that was given, not from that learnt before.
    assert adapted(layer, TABLE, batch_size=20, scale=False, match_alpha=True) == learnt
    assert layer.get_config()["alpha"] == 0.3


@pytest.mark.usefixtures("plain_and_compiled")
def test_scope_and_interpolations_stay():
    layer = MultiMixLayer(3, 0.3, k=4, scope="sample")
    layer.adapt(TABLE, batch_size=20, match_alpha=True)
    ratio = layer.plan([TABLE[:20]], 1).ratio.numpy()
    assert ratio.shape == (3, 20)
    assert (np.diff(ratio, axis=0) <= 0).all()
    assert len(set(ratio[0])) == 20


def test_what_is_learnt_survives_json(same):
    layer = KMixupLayer(4, 0.3, scope="sample")
    layer.adapt(TABLE, batch_size=20, match_alpha=True)
    config = json.loads(json.dumps(layer.get_config()))
    for back in (
        KMixupLayer.from_config(config),
        keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))),
    ):
        assert back.get_config()["adapted"] == layer.get_config()["adapted"]
        same(back(TABLE[:20], TABLE[:20], seed=3), layer(TABLE[:20], TABLE[:20], seed=3), rtol=0, atol=0)


def test_what_is_learnt_is_saved_with_a_model_and_loaded_in_another_process(tmp_path, elsewhere):
    layer = KMixupLayer(4, 0.3, scope="sample", features_only=True, name="mixup")
    layer.adapt(TABLE, batch_size=20, match_alpha=True)
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", TABLE[:20])
    program = """
import json, sys, keras, numpy as np
import kmix_tf
folder = sys.argv[1]
layer = keras.saving.load_model(folder + "/model.keras").get_layer("mixup")
np.save(folder + "/mixed.npy", layer(np.load(folder + "/x.npy"), seed=3))
json.dump(layer.get_config()["adapted"], open(folder + "/adapted.json", "w"))
"""
    elsewhere(program, tmp_path)
    assert json.loads((tmp_path / "adapted.json").read_text()) == layer.get_config()["adapted"]
    np.testing.assert_allclose(np.load(tmp_path / "mixed.npy"), layer(TABLE[:20], seed=3), rtol=1e-6)


def test_a_layer_that_learnt_nothing_says_so():
    layer = KMixupLayer(4)
    assert layer.get_config()["adapted"] is None
    assert adapted(layer, TABLE, scale=False) is None


def test_steps_say_how_many_batches_of_an_endless_dataset_count():
    dataset = tf.data.Dataset.from_tensor_slices(TABLE).batch(20).repeat()
    (scales,) = adapted(KMixupLayer(4), dataset, steps=2)["scales"]
    np.testing.assert_allclose(scales, inverse_deviations(TABLE[:40]), rtol=1e-9)


def test_pipelines_made_afterwards_match_by_what_was_learnt():
    layer, rows = KMixupLayer(10), TABLE[:20]
    layer.adapt(TABLE)
    dataset = tf.data.Dataset.from_tensors((rows, np.eye(20, dtype=np.float32))).repeat(20)
    matched, raw = (
        [(shares.numpy() * (1 - np.eye(20))).argmax(axis=1) for _, shares in dataset.apply(mix(each, seed=1))]
        for each in (layer, KMixupLayer(10))
    )
    scaled = rows * inverse_deviations(TABLE)
    # The same groups for both, so that no pair of groups is matched better without what was learnt.
    costs, others = (
        [np.square(scaled - scaled[partner]).sum() for partner in partners] for partners in (matched, raw)
    )
    assert (np.array(costs) <= np.array(others) * 1.00001).all()
    assert sum(costs) < 0.8 * sum(others)


def test_a_dataset_that_repeats_for_ever_is_refused():
    dataset = tf.data.Dataset.from_tensor_slices(TABLE).batch(20).repeat()
    with pytest.raises(ValueError, match=r"KMixupLayer: adapt needs a finite dataset, or steps"):
        KMixupLayer(4).adapt(dataset)


@pytest.mark.parametrize("options", [{}, {"match_alpha": True}, {"scale": False, "match_alpha": True}], ids=str)
@pytest.mark.parametrize(
    "data",
    [
        lambda: TABLE[:0],
        lambda: tf.data.Dataset.from_tensor_slices(TABLE).batch(20).take(0),
        lambda: tf.data.Dataset.from_tensor_slices(TABLE).filter(lambda row: False).batch(20),
        lambda: tf.data.Dataset.from_tensors(TABLE[:0]),
    ],
    ids=["no rows", "no batches", "none left", "an empty batch"],
)
def test_an_empty_dataset_is_refused(data, options):
    layer = KMixupLayer(4)
    with pytest.raises(ValueError, match=r"adapt needs at least one sample. Received: an empty dataset"):
        layer.adapt(data(), **options)
    assert layer.get_config()["adapted"] is None


@pytest.mark.parametrize("x", [TABLE[:20, :2], np.zeros((20, 4)), np.zeros(20)], ids=["two", "four", "no axis"])
def test_features_of_another_width_are_refused(x):
    layer = KMixupLayer(4)
    layer.adapt(TABLE)
    message = r"KMixupLayer: features must have as many columns.*Received: a leaf of shape .*adapted to 3 columns"
    with pytest.raises(ValueError, match=message):
        layer(x, np.zeros(20, np.float32), seed=1)


def test_another_number_of_features_is_refused():
    layer = KMixupLayer(4)
    layer.adapt(TABLE)
    message = r"KMixupLayer: features must be those that the layer was adapted to.*2 leaves to match on, adapted to 1"
    with pytest.raises(ValueError, match=message):
        layer((TABLE, TABLE), TABLE, seed=1)


def test_an_alpha_that_does_not_exist_is_refused_and_nothing_is_learnt():
    # On a line, in groups of thirty, pairs are so near that no ratio perturbs them enough.
    x = np.random.default_rng(1).normal(size=(60, 1))
    layer = KMixupLayer(30, 1.0)
    with pytest.raises(ValueError, match=r"no alpha .*largest reachable is below"):
        layer.adapt(x, match_alpha=True)
    assert layer.get_config()["adapted"] is None


def test_only_beta_ratios_have_an_alpha_to_learn():
    layer = MixLayer(ratio=DistributionRatio(lambda shape, seed: tf.fill(shape, 0.5)))
    with pytest.raises(ValueError, match=r"MixLayer: ratio must be a BetaRatio where match_alpha=True"):
        layer.adapt(TABLE, match_alpha=True)


def test_data_that_cannot_be_mixed_cannot_be_learnt_from():
    bad = TABLE.copy()
    bad[3, 1] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"KMixupLayer: features must be finite"):
        KMixupLayer(4).adapt(bad)
    with pytest.raises(TypeError, match=r"KMixupLayer: features must be numeric"):
        KMixupLayer(4).adapt(np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"KMixupLayer: match_on must name leaves"):
        KMixupLayer(4, match_on="other").adapt({"x": TABLE})


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_other_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match=r"KMixupLayer: steps must be an integer >= 1. Received: steps="):
        KMixupLayer(4).adapt(TABLE, steps=steps)
