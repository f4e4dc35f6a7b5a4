"""Distances are measured on the leaves that are named, as an embedding sees them, with columns at one scale."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer, LocalMixupLayer, ThresholdWeight, _checks
from kmix_tf.batch.batch import read
from kmix_tf.batch.leaf import Rules
from kmix_tf.mixing import measure

RNG = np.random.default_rng(8)
TABLE = RNG.normal(size=(6, 3)).astype(np.float32)
IMAGE = RNG.integers(0, 256, (6, 4, 4, 1)).astype(np.uint8)
IDS = np.arange(6)
X = {"table": TABLE, "image": IMAGE, "meta": {"id": IDS, "name": np.array(list("abcdef"), "S")}}


def measured(x, passthrough=(), **options):
    with _checks.speaking_as("MixLayer"):
        return measure(read(x, None, None, Rules(passthrough=passthrough, features_only=True)), **options)


def assert_leaves(leaves, *expected):
    assert len(leaves) == len(expected)
    for ours, theirs in zip(leaves, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_all_that_is_mixed_is_measured_where_nothing_is_chosen():
    # Leaves come in the order of their keys; what rides along does not count.
    assert_leaves(measured(X, passthrough=("meta",)), IMAGE, TABLE)


def test_named_leaves_are_measured_on_and_may_ride_along():
    assert_leaves(measured(X, ("meta",), match_on=("table",)), TABLE)
    assert_leaves(measured(X, ("meta",), match_on=("meta/id",)), IDS)
    assert_leaves(measured(X, ("meta",), match_on=("meta/id", "image")), IMAGE, IDS)
    assert_leaves(measured((TABLE, {"id": IDS}), match_on=("1/id",)), IDS)
    assert_leaves(measured((TABLE, {"id": IDS}), match_on=("0",)), TABLE)


def test_leaves_keep_their_dtype_until_they_are_compared():
    assert measured(X, ("meta",), match_on=("image",))[0].dtype == tf.uint8


def test_a_name_that_means_no_leaf_is_an_error_that_lists_them():
    with pytest.raises(
        ValueError, match=r"MixLayer: match_on must name leaves.*'tabel'.*'image'.*'meta/id'.*'table'"
    ):
        measured(X, ("meta",), match_on=("tabel",))


def test_named_leaves_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match=r"MixLayer: features.* must be numeric"):
        measured(X, ("meta",), match_on=("meta/name",))


def test_nan_in_a_leaf_that_rides_along_but_is_measured_on_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"MixLayer: features.* must be finite"):
        measured({"a": TABLE, "b": np.full(6, np.nan)}, ("b",), match_on=("b",))


def test_an_embedding_takes_the_features_as_they_came_or_the_leaves_that_are_named():
    taken = []

    def embedding(x):
        taken.append(x)
        return TABLE[:, :1]

    measured(X, ("meta",), embedding=embedding)
    measured(X, ("meta",), embedding=embedding, match_on=("table",))
    measured(X, ("meta",), embedding=embedding, match_on=("table", "meta/id"))
    tf.nest.assert_same_structure(taken[0], X)
    np.testing.assert_array_equal(taken[0]["meta"]["name"], X["meta"]["name"])
    np.testing.assert_array_equal(taken[1], TABLE)
    assert_leaves(taken[2], IDS, TABLE)


def test_distances_are_measured_on_what_the_embedding_returns():
    assert_leaves(measured(TABLE, embedding=lambda x: 2 * x), 2 * TABLE)
    assert_leaves(measured(TABLE, embedding=lambda x: {"b": x, "a": [x + 1, x[:, 0]]}), TABLE + 1, TABLE[:, 0], TABLE)


def test_no_gradient_runs_through_an_embedding():
    x = tf.Variable(TABLE)
    with tf.GradientTape() as tape:
        (leaf,) = measured(x, embedding=lambda x: x * x)
    assert tape.gradient(leaf, x) is None


def test_a_model_embeds_as_in_inference():
    model = keras.Sequential([keras.layers.Dropout(0.9), keras.layers.BatchNormalization()])
    model.build([None, 3])
    before = [value.copy() for value in model.get_weights()]
    (leaf,) = measured(TABLE, embedding=model)
    # Fresh batch statistics are mean 0 and variance 1, and dropout is off.
    np.testing.assert_allclose(leaf, TABLE / np.sqrt(1 + 1e-3), rtol=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_layers_that_know_no_training_embed_too():
    assert_leaves(measured(TABLE, embedding=Doubling()), 2 * TABLE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_out_of_an_embedding_is_refused_by_name(bad):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"MixLayer: embedding\(features\) must be finite"):
        measured(TABLE, embedding=lambda x: x * bad)


def test_in_a_pipeline_nan_out_of_an_embedding_is_refused_before_the_matching_meets_it():
    layer = KMixupLayer(2, embedding=lambda x: x * np.nan)
    dataset = tf.data.Dataset.from_tensor_slices((TABLE, TABLE)).batch(6).map(layer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"KMixupLayer: embedding\(features\) must be finite"):
        next(iter(dataset))


def test_an_embedding_that_loses_the_batch_is_refused_by_name():
    with pytest.raises(ValueError, match=r"MixLayer: embedding\(features\) must have a batch axis"):
        measured(TABLE, embedding=tf.reduce_sum)


@pytest.mark.parametrize("nothing", [{}, [], ()], ids=str)
def test_an_embedding_that_returns_an_empty_structure_is_refused_by_name(nothing):
    with pytest.raises(ValueError, match=r"MixLayer: embedding\(features\) must be a tensor \(batch, ...\), or a"):
        measured(TABLE, embedding=lambda x: nothing)


def test_an_embedding_that_returns_nothing_is_refused_by_name():
    with pytest.raises(TypeError, match=r"MixLayer: embedding\(features\) must be a tensor"):
        measured(TABLE, embedding=lambda x: None)


def test_columns_are_multiplied_by_their_scales():
    x = (TABLE, IDS, IMAGE)
    leaves = measured(x, scales=[[1.0, 10.0, 0.5], [4.0], [0.25]])
    assert_leaves(leaves, TABLE * np.float32([1, 10, 0.5]), IDS * np.float32(4), IMAGE * np.float32(0.25))
    assert [leaf.dtype for leaf in leaves] == [tf.float32] * 3


def test_scaling_keeps_float64_and_widens_what_is_narrower():
    assert measured(TABLE.astype(np.float64), scales=[[1, 2, 3]])[0].dtype == tf.float64
    (leaf,) = measured((TABLE * 1e4).astype(np.float16), scales=[[1e4] * 3])
    assert leaf.dtype == tf.float32
    assert np.isfinite(leaf).all()


def test_scales_of_other_features_are_refused():
    with pytest.raises(ValueError, match=r"MixLayer: features must be those that the layer was adapted to.*2 leaves"):
        measured((TABLE, TABLE), scales=[[1.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match=r"MixLayer: features must have as many columns.*adapted to 2 columns"):
        measured(TABLE, scales=[[1.0, 1.0]])


def test_a_layers_weights_are_measured_on_what_is_named():
    # By the image all pairs are far, by the table none is.
    images = np.arange(6, dtype=np.float32)[:, np.newaxis] * 1000
    x, y = {"image": images, "table": np.zeros((6, 1), np.float32)}, np.zeros((6, 1), np.float32)
    for match_on, share in (("image", 0.0), ("table", 1.0)):
        layer = LocalMixupLayer(weight=ThresholdWeight(1.0, far="drop"), k=3, match_on=match_on)
        *_, weight = layer(x, y, seed=0)
        assert weight.numpy().tolist() == [share] * 6


def test_a_layers_pairs_are_matched_on_the_embedding():
    # The embedding knows only the second column, in which each sample has one like in the other group.
    x = np.stack([RNG.normal(size=8), np.repeat(np.arange(4), 2)], axis=1).astype(np.float32)
    layer = KMixupLayer(4, embedding=lambda x: x[:, 1:])
    mixed, _ = layer(x, x, seed=1)
    plan = layer.plan([x[:, 1:]], 1)
    partner, ratio = plan.partner.numpy(), plan.ratio.numpy()[:, np.newaxis]
    np.testing.assert_allclose(mixed, ratio * x + (1 - ratio) * x[partner], rtol=1e-5, atol=1e-6)
    assert (layer.plan([x], 1).partner.numpy() != partner).any()
