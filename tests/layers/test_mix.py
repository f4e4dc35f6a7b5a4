"""MixLayer: what comes in comes out mixed as the plan says, in its own structure, dtype and shape."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import (
    BetaRatio,
    Blended,
    KMixupLayer,
    LinearBlend,
    MixLayer,
    OptimalTransportPairing,
    RandomPairing,
    mix,
)

RNG = np.random.default_rng(7)
X = RNG.normal(size=(8, 3)).astype(np.float32)
Y = RNG.normal(size=(8, 2)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 1, 1], np.int32)


# One layer with the plain pairing, one with matching.
MIX, KMIXUP = MixLayer(ratio=BetaRatio(0.7, "sample")), KMixupLayer(4, 0.7, scope="sample")
each_layer = pytest.mark.parametrize("layer", [MIX, KMIXUP], ids=["mix", "kmixup"])


def by_plan(layer, features, seed, values):
    """What NumPy makes of values with the partners and ratios that the layer draws for the features."""
    plan = layer.plan([tf.constant(leaf) for leaf in features], seed)
    values = np.asarray(values, np.float64)
    ratio = plan.ratio.numpy().astype(np.float64).reshape(-1, *[1] * (values.ndim - 1))
    return ratio * values + (1 - ratio) * values[plan.partner.numpy()]


@each_layer
def test_features_targets_and_weights_are_mixed_as_the_plan_says(layer):
    weight = RNG.uniform(size=8).astype(np.float32)
    mixed = layer(X, Y, weight, seed=5)
    assert len(mixed) == 3
    counts = by_plan(layer, [X], 5, weight)
    targets = by_plan(layer, [X], 5, weight[:, np.newaxis] * Y) / counts[:, np.newaxis]
    for ours, values in zip(mixed, (by_plan(layer, [X], 5, X), targets, counts), strict=True):
        assert ours.dtype == tf.float32
        np.testing.assert_allclose(ours, values, rtol=1e-5, atol=1e-6)


@each_layer
def test_plans_hold_each_partner_once_and_ratios_within_bounds(layer):
    plan = layer.plan([X], 2)
    assert sorted(plan.partner.numpy()) == list(range(8))
    assert ((plan.ratio.numpy() >= 0) & (plan.ratio.numpy() <= 1)).all()


@each_layer
def test_as_many_parts_come_out_as_came_in(layer):
    assert isinstance(layer(X, Y, seed=1), tuple)
    assert len(layer(X, Y, seed=1)) == 2
    alone = MixLayer(features_only=True)(X, seed=1)
    assert alone.shape == X.shape


@each_layer
def test_the_same_seed_gives_the_same_mixture_and_another_seed_another(layer, same):
    same(layer(X, Y, seed=(1, 2)), layer(X, Y, seed=(1, 2)), rtol=0, atol=0)
    assert not np.allclose(layer(X, Y, seed=(1, 2))[0], layer(X, Y, seed=(1, 3))[0])
    assert not np.allclose(layer(X, Y, seed=(1, 2))[0], layer(X, Y, seed=(0, 2))[0])


def test_calls_without_a_seed_follow_the_layers_stream(same):
    first, second = MixLayer(seed=4), MixLayer(seed=4)
    draws = [first(X, Y) for _ in range(3)]
    for drawn in draws:
        same(drawn, second(X, Y))
    assert len({drawn[0].numpy().tobytes() for drawn in draws}) == 3
    assert not np.allclose(draws[0][0], MixLayer(seed=5)(X, Y)[0])


def test_unseeded_layers_differ():
    assert not np.allclose(MixLayer()(X, Y)[0], MixLayer()(X, Y)[0])


@pytest.mark.parametrize(("scope", "ratios"), [("batch", 1), ("group", 2), ("sample", 8)])
def test_scopes_set_how_many_ratios_a_batch_has(scope, ratios):
    plan = KMixupLayer(4, scope=scope).plan([X], 3)
    assert len(set(plan.ratio.numpy())) == ratios


def test_partners_and_ratios_are_drawn_independently():
    # Were one seed used for both, the ratio would tell the partner.
    layer = MixLayer()
    plan = tf.function(lambda seed: layer.plan([tf.constant(X)], seed)[:2])
    drawn = [plan(tf.constant([0, seed])) for seed in range(300)]
    partners = np.array([partner.numpy()[0] for partner, _ in drawn])
    ratios = np.array([ratio.numpy()[0] for _, ratio in drawn])
    means = np.array([ratios[partners == partner].mean() for partner in range(1, 8)])
    counts = np.array([(partners == partner).sum() for partner in range(1, 8)])
    z = (means - 0.5) * np.sqrt(12 * counts)
    # Squares of seven standard normals; 35 is exceeded once in 90,000 choices of seeds.
    assert np.square(z).sum() < 35


@each_layer
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_float_features_keep_their_dtype_and_targets_stay_float32(layer, dtype):
    x = tf.cast(X, dtype)
    mixed, y = layer(x, Y, seed=1)
    assert mixed.dtype == x.dtype
    assert y.dtype == tf.float32
    rounding = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 1e-6)
    expected = by_plan(layer, [x], 1, tf.cast(x, tf.float64))
    np.testing.assert_allclose(tf.cast(mixed, tf.float64), expected, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool])
@pytest.mark.parametrize("training", [True, False, None])
def test_features_that_are_no_floats_become_float32(dtype, training):
    x = RNG.integers(0, 2, size=(8, 3)).astype(dtype)
    mixed, _ = MixLayer()(x, Y, training=training, seed=1)
    assert mixed.dtype == tf.float32
    expected = x if training is False else by_plan(MixLayer(), [x], 1, x)
    np.testing.assert_allclose(mixed, expected, rtol=1e-6)


def test_float64_targets_stay_float64_to_the_last_digit():
    y = Y.astype(np.float64) * np.pi
    _, mixed = MixLayer()(X, y, seed=1)
    np.testing.assert_allclose(mixed, by_plan(MixLayer(), [X], 1, y), rtol=1e-14)


@each_layer
def test_alpha_zero_gives_the_batch_back_exactly(layer):
    layer = MixLayer(layer.pairing, BetaRatio(0))
    for ours, theirs in zip(layer(X, Y, seed=1), (X, Y), strict=True):
        assert (ours.numpy() == theirs).all()


@each_layer
def test_a_large_alpha_gives_midpoints(layer):
    layer = MixLayer(layer.pairing, BetaRatio(1e6, "sample"))
    partner = layer.plan([X], 1).partner.numpy()
    mixed, y = layer(X, Y, seed=1)
    # The ratio's deviation is 1/2828: seven of them, times the largest distances.
    np.testing.assert_allclose(mixed, (X + X[partner]) / 2, atol=7 / 2828 * np.ptp(X))
    np.testing.assert_allclose(y, (Y + Y[partner]) / 2, atol=7 / 2828 * np.ptp(Y))


def test_labels_become_soft_with_the_ratios_of_the_features():
    for labels in (LABELS, LABELS[:, np.newaxis]):
        _, y = MixLayer(num_classes=3)(X, labels, seed=1)
        assert y.shape == (8, 3)
        np.testing.assert_allclose(y, by_plan(MixLayer(), [X], 1, np.eye(3)[LABELS]), rtol=1e-6)
        np.testing.assert_allclose(tf.reduce_sum(y, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 4, 2)], ids=str)
def test_regression_targets_keep_their_shape(shape):
    y = RNG.normal(size=shape).astype(np.float32)
    _, mixed = MixLayer()(X, y, seed=1)
    assert mixed.shape == shape
    np.testing.assert_allclose(mixed, by_plan(MixLayer(), [X], 1, y), rtol=1e-5, atol=1e-6)


def test_nested_features_and_targets_keep_their_structure():
    layer = KMIXUP
    x = {"image": RNG.integers(0, 255, size=(8, 2, 2, 1), dtype=np.uint8), "rest": (X, [X[:, 0]])}
    y = [Y, {"a": Y[:, 0]}]
    mixed = layer(x, y, seed=1)
    tf.nest.assert_same_structure(mixed, (x, y))
    features = tf.nest.flatten(x)
    for ours, values in zip(tf.nest.flatten(mixed), tf.nest.flatten((x, y)), strict=True):
        np.testing.assert_allclose(ours, by_plan(layer, features, 1, values), rtol=1e-5, atol=1e-5)


def test_each_of_several_targets_has_its_number_of_classes():
    layer = MixLayer(num_classes={"kind": 3, "size": None})
    _, y = layer(X, {"kind": LABELS, "size": Y}, seed=1)
    assert y["kind"].shape == (8, 3)
    np.testing.assert_allclose(y["size"], by_plan(layer, [X], 1, Y), rtol=1e-5, atol=1e-6)


@each_layer
def test_inference_only_converts(layer):
    layer = MixLayer(layer.pairing, num_classes=3)
    x, y, weight = layer(X.astype(np.float16), LABELS, np.ones(8, int), training=False)
    assert x.dtype == tf.float16
    assert (x.numpy() == X.astype(np.float16)).all()
    assert (y.numpy() == np.eye(3)[LABELS]).all()
    assert weight.dtype == tf.float32
    assert (weight.numpy() == 1).all()


def test_inference_needs_no_targets():
    assert (MixLayer()(X, training=False).numpy() == X).all()


def test_no_training_argument_means_training(same):
    same(MixLayer()(X, Y, seed=1), MixLayer()(X, Y, training=True, seed=1))
    assert not np.allclose(MixLayer()(X, Y, seed=1)[0], X)


@each_layer
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_a_batch_of_one_comes_back_exactly(layer, dtype):
    # Many numbers, because a sum of two shares of one number mostly rounds to the number itself.
    x = RNG.uniform(0, 255, size=(1, 200)).astype(dtype)
    y, weight = RNG.uniform(size=(1, 200)).astype(np.float32), RNG.uniform(size=1).astype(np.float32)
    for seed in range(3):
        for ours, theirs in zip(layer(x, y, weight, seed=seed), (x, y, weight), strict=True):
            assert (ours.numpy() == theirs).all()


@each_layer
def test_an_empty_batch_stays_empty(layer):
    x, y, weight = layer(X[:0], Y[:0], np.zeros(0, np.float32), seed=1)
    assert (x.shape, y.shape, weight.shape) == ((0, 3), (0, 2), (0,))


@pytest.mark.usefixtures("plain_functions")
@pytest.mark.parametrize(
    "shape", [(), (5,), (6, 4, 3), (2, 3, 2, 1), (16, 10)], ids=["scalars", "table", "image", "video", "spectrogram"]
)
def test_samples_of_any_shape_are_mixed(shape):
    layer = KMIXUP
    x = RNG.normal(size=(5, *shape)).astype(np.float32)
    mixed, _ = layer(x, Y[:5], seed=1)
    np.testing.assert_allclose(mixed, by_plan(layer, [x], 1, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "spec"),
    [
        pytest.param(MIX, [8, 3]),
        (KMIXUP, [8, 3]),
        (KMIXUP, [None, 3]),
        (KMIXUP, [None, None]),
    ],
    ids=["mix-known", "known", "any batch", "any width"],
)
def test_eager_calls_graphs_and_pipelines_agree(layer, spec, same):
    eager = layer(X, Y, seed=5)
    signature = [tf.TensorSpec(spec), tf.TensorSpec([*spec[:1], 2])]
    graph = tf.function(lambda x, y: layer(x, y, seed=5), input_signature=signature)
    same(graph(X, Y), eager)
    dataset = tf.data.Dataset.from_generator(lambda: iter([(X, Y)]), output_signature=tuple(signature))
    same(next(iter(dataset.map(lambda x, y: layer(x, y, seed=5)))), eager)


@each_layer
def test_shapes_known_before_are_known_after(layer):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4, drop_remainder=True).map(layer)
    assert [spec.shape.as_list() for spec in dataset.element_spec] == [[4, 3], [4, 2]]
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).map(layer)
    assert [spec.shape.as_list() for spec in dataset.element_spec] == [[None, 3], [None, 2]]


def test_the_last_partial_batch_is_mixed_like_any():
    layer = KMIXUP
    dataset = tf.data.Dataset.from_tensor_slices((X[:7], Y[:7])).batch(4)
    batches = list(dataset.map(lambda x, y: layer(x, y, seed=1)))
    assert [len(x) for x, _ in batches] == [4, 3]
    for (x, y), rows in zip(batches, (slice(0, 4), slice(4, 7)), strict=True):
        np.testing.assert_allclose(x, by_plan(layer, [X[rows]], 1, X[rows]), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(y, by_plan(layer, [X[rows]], 1, Y[rows]), rtol=1e-5, atol=1e-6)


def test_padded_sequences_of_varying_length_are_mixed():
    layer = KMIXUP
    lengths = [3, 5, 2, 4, 7, 1]
    sequences = tf.data.Dataset.from_generator(
        lambda: ((np.full((length, 2), length, np.float32), np.float32(length)) for length in lengths),
        output_signature=(tf.TensorSpec([None, 2]), tf.TensorSpec([])),
    )
    padded = sequences.padded_batch(3)
    mixed = list(padded.map(lambda x, y: layer(x, y, seed=2)))
    assert [x.shape.as_list() for x, _ in mixed] == [[3, 5, 2], [3, 7, 2]]
    for (x, y), (plain_x, plain_y) in zip(mixed, padded, strict=True):
        np.testing.assert_allclose(x, by_plan(layer, [plain_x], 2, plain_x), rtol=1e-5)
        np.testing.assert_allclose(y, by_plan(layer, [plain_x], 2, plain_y), rtol=1e-5)


def test_mapping_draws_anew_in_each_batch_and_epoch_and_repeats_for_the_same_seed(same):
    def epochs(seed):
        # TensorFlow's seed makes ops in a map repeat themselves in every epoch; the layer's draws must not.
        tf.random.set_seed(1)
        dataset = tf.data.Dataset.from_tensors((X, Y)).repeat(3).map(MixLayer(seed=seed))
        return [[x.numpy() for x, _ in dataset] for _ in range(2)]

    first = epochs(seed=3)
    assert len({x.tobytes() for epoch in first for x in epoch}) == 6
    same(epochs(seed=3), first)
    assert not np.allclose(epochs(seed=4)[0][0], first[0][0])


@each_layer
def test_a_mixed_precision_policy_touches_neither_features_nor_targets(layer):
    config = {**layer.get_config(), "dtype": "mixed_float16", "name": "half"}
    half = type(layer).from_config(config)
    weight = np.full(8, 1.0001, np.float32)
    mixed = half(X, Y, weight, seed=1)
    assert [part.dtype for part in mixed] == [tf.float32] * 3
    for ours, values in zip(mixed, (X, Y, weight), strict=True):
        np.testing.assert_allclose(ours, by_plan(layer, [X], 1, values), rtol=1e-5, atol=1e-6)


def test_under_a_global_mixed_precision_policy_dtypes_stay_too():
    before = keras.mixed_precision.global_policy() if hasattr(keras.mixed_precision, "global_policy") else "float32"
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        assert [part.dtype for part in MixLayer()(X, Y, seed=1)] == [tf.float32, tf.float32]
    finally:
        keras.mixed_precision.set_global_policy(before)


def test_a_custom_strategy_is_asked():
    class Neighbour:
        def __call__(self, features, seed):
            rows = tf.range(tf.shape(features[0])[0])
            return type(RandomPairing()([features[0]], 0))(tf.roll(rows, 1, axis=0), rows)

    class Third:
        def __call__(self, group, seed):
            return tf.fill(tf.shape(group), 1 / 3)

    x, y = MixLayer(Neighbour(), Third())(X, Y, seed=1)
    np.testing.assert_allclose(x, X / 3 + 2 / 3 * np.roll(X, 1, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, Y / 3 + 2 / 3 * np.roll(Y, 1, axis=0), rtol=1e-5, atol=1e-6)


def test_targets_follow_the_ratio_that_the_blend_realised():
    class KeepsAll(LinearBlend):
        def __call__(self, first, second, partner, ratio, seed):
            return Blended(first, tf.ones_like(ratio))

    x, y = MixLayer(blend=KeepsAll())(X, Y, seed=1)
    assert (x.numpy() == X).all()
    assert (y.numpy() == Y).all()


def test_a_weight_strategy_is_asked():
    class Rising:
        def __call__(self, first, second, partner):
            return tf.range(7.0, 15.0)

    *_, weight = MixLayer(weight=Rising())(X, Y, seed=1)
    np.testing.assert_allclose(weight, np.arange(7, 15) / np.arange(7, 15).mean(), rtol=1e-6)


class TestBetween:
    SECOND = RNG.normal(size=(8, 3)).astype(np.float32), RNG.normal(size=(8, 2)).astype(np.float32)

    def test_each_group_is_matched_optimally_with_the_second_batchs(self, excess):
        layer = KMixupLayer(3)
        found = layer.pairing.between([tf.constant(X)], [tf.constant(self.SECOND[0])])
        assert excess(X, self.SECOND[0], found.partner.numpy(), found.group.numpy()) < 1e-5

    @pytest.mark.parametrize("alpha", [1.0, 0.0])
    def test_rows_are_mixed_with_the_partners_and_the_ratio_is_the_firsts_share(self, alpha):
        layer = KMixupLayer(3, alpha)
        partner = layer.pairing.between([tf.constant(X)], [tf.constant(self.SECOND[0])]).partner.numpy()
        x, y = layer.between((X, Y), self.SECOND, seed=9)
        other = self.SECOND[0][partner]
        # One ratio for the batch: read it off one entry, all others must agree, those of the targets as well.
        ratio = 1.0 if alpha == 0 else (x.numpy() - other)[0, 0] / (X - other)[0, 0]
        assert 0 <= ratio <= 1
        np.testing.assert_allclose(x, ratio * X + (1 - ratio) * other, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(y, ratio * Y + (1 - ratio) * self.SECOND[1][partner], rtol=1e-3, atol=1e-5)

    def test_a_row_of_one_is_mixed_with_its_counterpart(self):
        x, _ = MixLayer(ratio=BetaRatio(1e6)).between((X[:1], Y[:1]), (self.SECOND[0][:1], Y[:1]), seed=1)
        np.testing.assert_allclose(x, (X[:1] + self.SECOND[0][:1]) / 2, atol=0.02)

    def test_seeds_and_inference(self, same):
        layer = KMixupLayer(4, scope="sample")
        first = layer.between((X, Y), self.SECOND, seed=1)
        same(layer.between((X, Y), self.SECOND, seed=1), first)
        assert not np.allclose(layer.between((X, Y), self.SECOND, seed=2)[0], first[0])
        unmixed = layer.between((X, Y), self.SECOND, training=False)
        assert (unmixed[0].numpy() == X).all()

    def test_features_alone_are_mixed_where_that_is_allowed(self):
        assert MixLayer(features_only=True).between(X, self.SECOND[0], seed=1).shape == (8, 3)

    def test_zipped_datasets_are_mapped(self, same):
        layer = KMixupLayer(4)
        first, second = (tf.data.Dataset.from_tensors(part).repeat(2) for part in ((X, Y), self.SECOND))
        zipped = tf.data.Dataset.zip((first, second))
        seeded = list(zipped.map(lambda ours, theirs: layer.between(ours, theirs, seed=3)))
        same(seeded, [layer.between((X, Y), self.SECOND, seed=3)] * 2)
        unseeded = [x.numpy() for x, _ in zipped.map(layer.between)]
        assert not np.allclose(*unseeded)

    def test_labels_of_both_become_soft(self):
        _, y = MixLayer(num_classes=3).between((X, LABELS), (X, LABELS[::-1].copy()), seed=1)
        assert y.shape == (8, 3)
        np.testing.assert_allclose(tf.reduce_sum(y, axis=1), 1, rtol=1e-6)


def many_layers():
    return [
        MixLayer(seed=3, num_classes=4, name="a"),
        MixLayer(OptimalTransportPairing(3, "euclidean"), BetaRatio(0.3, "group"), features_only=True, num_classes=4),
        KMixupLayer(5, 0.2, scope="sample", cost="euclidean", num_classes=4, seed=8, name="b"),
        KMixupLayer(2, num_classes=4, dtype="mixed_float16", trainable=False),
    ]


@pytest.mark.usefixtures("plain_functions")
def test_a_configuration_makes_an_equal_layer(same):
    for layer in many_layers():
        back = type(layer).from_config(layer.get_config())
        assert back.get_config() == layer.get_config()
        same(back(X, LABELS, seed=2), layer(X, LABELS, seed=2))


@pytest.mark.usefixtures("plain_functions")
@pytest.mark.matrix  # test_every_layer asks it of one of each kind
def test_a_configuration_makes_an_equal_layer_in_another_process(tmp_path, elsewhere):
    layers = [*many_layers(), MixLayer(num_classes={"a": 3, "b": None}, seed=1)]
    (tmp_path / "layers.json").write_text(
        json.dumps([keras.saving.serialize_keras_object(layer) for layer in layers])
    )
    np.savez(tmp_path / "data.npz", x=X, labels=LABELS)
    program = """
import json, sys, keras, numpy as np, tensorflow as tf
import kmix_tf
tf.config.run_functions_eagerly(True)
folder = sys.argv[1]
data = np.load(folder + "/data.npz")
layers = [keras.saving.deserialize_keras_object(config) for config in json.load(open(folder + "/layers.json"))]
mixed = [layer(data["x"], data["labels"], seed=2) for layer in layers[:-1]]
mixed += [layers[-1](data["x"], {"a": data["labels"], "b": data["x"]}, seed=2)]
flat = [np.asarray(part) for x, y in mixed for part in (x, *(y.values() if isinstance(y, dict) else [y]))]
np.savez(folder + "/mixed.npz", *flat)
json.dump([type(layer).__name__ for layer in layers], open(folder + "/names.json", "w"))
"""
    elsewhere(program, tmp_path)
    assert json.loads((tmp_path / "names.json").read_text()) == [type(layer).__name__ for layer in layers]
    mixed = [layer(X, LABELS, seed=2) for layer in layers[:-1]] + [layers[-1](X, {"a": LABELS, "b": X}, seed=2)]
    with np.load(tmp_path / "mixed.npz") as there:
        theirs = list(there.values())
    ours = [part for x, y in mixed for part in (x, *(y.values() if isinstance(y, dict) else [y]))]
    assert len(ours) == len(theirs)
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, yours, rtol=1e-6, atol=1e-6)


def test_a_tuple_of_class_numbers_survives_json():
    layer = MixLayer(num_classes=(3, 3))
    back = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert [part.shape for part in back(X, (LABELS, LABELS), seed=1)[1]] == [(8, 3), (8, 3)]


@each_layer
def test_a_mix_stage_gives_what_the_layer_gives_for_its_seed(layer):
    # The stage's seeds are its own business; what comes of them must be a mixture by the layer.
    dataset = tf.data.Dataset.from_tensors((X, np.concatenate([X, Y], axis=1)))
    x, y = next(iter(dataset.apply(mix(layer, seed=1))))
    np.testing.assert_allclose(x, y[:, :3], rtol=1e-6)
    assert not np.allclose(x, X)
