"""Whoever learns from mixtures that weigh nothing is told so, in every place that can tell."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from kmix_tf import (
    ExponentialWeight,
    LocalMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    NearestNeighborWeight,
    ThresholdWeight,
    mix,
)

RNG = np.random.default_rng(6)
X = RNG.normal(size=(16, 3)).astype(np.float32)
Y = np.arange(16) % 4
DROP = ThresholdWeight(0.0, far="drop")
LOSS = keras.losses.CategoricalCrossentropy(from_logits=True)


def told(function):
    """The warnings about weights that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(each.message) for each in caught if "weigh" in str(each.message)]


def local(weight, **options):
    return LocalMixupLayer(weight=weight, num_classes=4, **options)


def rows(share):
    """A weight of the user's own, which counts a share of the rows; not those partners that are too far."""

    def mine(first, second, partner):
        counts = tf.range(tf.size(partner)) < tf.cast(share * tf.cast(tf.size(partner), tf.float32), tf.int32)
        return tf.cast(counts, tf.float32)

    return mine


class TestByHandAndInMaps:
    def test_by_hand_it_is_a_warning_with_what_to_do(self):
        (message,) = told(lambda: local(DROP)(X, Y))
        assert message.startswith("LocalMixupLayer: ThresholdWeight gives weight 0 to all mixtures of a batch.")
        assert "far='keep'" in message
        assert message.endswith("So many mixtures: 16")

    @pytest.mark.parametrize(
        "weight", [ThresholdWeight(0.0), ThresholdWeight("quantile:0", "drop"), ExponentialWeight(1e9), rows(0.1)]
    )
    def test_where_any_mixture_counts_nothing_is_said(self, weight):
        assert told(lambda: local(weight)(X, Y)) == []

    def test_batches_of_no_samples_or_that_are_not_mixed_are_no_reason_to_warn(self):
        assert told(lambda: local(DROP)(X[:0], Y[:0])) == []
        assert told(lambda: local(DROP)(X[:1], Y[:1])) == []
        assert told(lambda: local(rows(0.0), probability=0.0)(X, Y)) == []

    def test_between_two_loaders_as_well(self):
        batch = X, np.eye(4, dtype=np.float32)[Y]
        (message,) = told(lambda: LocalMixupLayer(weight=rows(0.0)).between(batch, batch))
        assert message.startswith("LocalMixupLayer: mine gives weight 0 to all mixtures of a batch.")

    @pytest.mark.parametrize("parallel", [None, tf.data.AUTOTUNE])
    def test_a_pipeline_says_it_once_an_epoch_and_its_iterator_can_be_saved(self, parallel, tmp_path, capfd):
        data = tf.data.Dataset.from_tensor_slices((X, Y)).repeat(8).batch(4)
        data = data.apply(mix(local(DROP), seed=0, num_parallel_calls=parallel))

        def printed():
            return capfd.readouterr().err.count("LocalMixupLayer: ThresholdWeight gives weight 0 to all mixtures")

        printed()
        for _ in range(2):
            assert sum(float(tf.reduce_sum(weight)) for *_, weight in data) == 0
            assert printed() == 1
        iterator = iter(data)
        next(iterator)
        saved = tf.train.Checkpoint(iterator=iterator).save(tmp_path / "iterator")
        expected = next(iterator)
        tf.train.Checkpoint(iterator=iterator).restore(saved)
        for ours, theirs in zip(next(iterator), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def test_a_pipeline_in_which_something_counts_prints_nothing(self, capfd):
        data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
        capfd.readouterr()
        for weight in (ThresholdWeight(0.0), rows(0.2)):
            list(data.map(local(weight)))
        assert "weight 0" not in capfd.readouterr().err

    def test_compiled_by_xla_it_still_runs(self):
        run = tf.function(lambda x, y: local(DROP)(x, y, seed=1)[2], jit_compile=True)
        assert run(X, Y).numpy().tolist() == [0] * 16


def small_model():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(5, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(4)(hidden))


def in_model(kind, layer, **options):
    model = small_model()
    model = MixModel(model, layer, seed=0) if kind == "MixModel" else ManifoldMixModel(model, kind, layer, seed=0)
    model.compile("sgd", LOSS, **options)
    return model


KINDS = ["MixModel", ["hidden"], ["input", "hidden"]]
OPTIONS = [{"jit_compile": False}, {"jit_compile": True}, {"run_eagerly": True}]


class TestModels:
    @pytest.mark.parametrize("kind", KINDS, ids=str)
    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.representatives(
        "kind, options",
        [("MixModel", OPTIONS[1]), (["input", "hidden"], OPTIONS[0]), (["input", "hidden"], OPTIONS[1])],
    )
    def test_after_each_epoch_they_say_how_many_weighed_nothing(self, kind, options, capfd):
        model = in_model(kind, local(DROP), **options)
        logs = []
        fitted = model.fit
        messages = told(lambda: logs.append(fitted(X, Y, batch_size=8, epochs=2, verbose=0).history))
        assert len(messages) == 2
        for message in messages:
            name = "MixModel" if kind == "MixModel" else "ManifoldMixModel"
            assert message.startswith(f"{name}: since training began, or since the last epoch, 16 of 16 mixtures")
            assert "(100%)" in message
            assert "in 2 of 2 batches all of them" in message
            assert "far='keep'" in message
        assert list(logs[0]) == ["loss"]
        assert "weight 0" not in capfd.readouterr().err
        # Two kernels, two biases and the count of steps.
        assert len(model.weights) == 5

    @pytest.mark.parametrize(
        ("share", "is_told"), [(0.0, True), (0.3, True), (0.5, False), (0.75, False), (1.0, False)]
    )
    def test_half_is_the_limit(self, share, is_told):
        model = in_model("MixModel", local(rows(share)))
        messages = told(lambda: model.fit(X, Y, batch_size=8, verbose=0))
        assert len(messages) == is_told
        if share == 0.3:  # Two of eight rows.
            assert "12 of 16 mixtures (75%)" in messages[0]
            assert "batches" not in messages[0]

    def test_one_batch_from_which_nothing_is_learnt_is_enough(self):
        def whole_batches(first, second, partner):
            return tf.fill(tf.shape(partner), tf.cast(tf.size(partner) == 8, tf.float32))

        model = in_model("MixModel", local(whole_batches))
        (message,) = told(lambda: model.fit(X[:11], Y[:11], batch_size=8, verbose=0))
        assert "3 of 11 mixtures" in message
        assert "in 1 of 2 batches all of them" in message

    @pytest.mark.parametrize(
        "weight",
        [None, ThresholdWeight(0.0), NearestNeighborWeight(1), ExponentialWeight("quantile:0.5"), rows(1.0)],
    )
    def test_weights_that_count_are_not_spoken_of(self, weight):
        model = in_model("MixModel", MixLayer(weight=weight, num_classes=4))
        assert told(lambda: model.fit(X, Y, batch_size=8, epochs=2, verbose=0)) == []

    def test_a_rate_by_which_one_pair_counts_all_is_spoken_of(self):
        model = in_model("MixModel", local(ExponentialWeight(1e4)))
        (message,) = told(lambda: model.fit(X, Y, batch_size=8, verbose=0))
        assert "14 of 16 mixtures (88%)" in message

    def test_batches_that_are_not_mixed_are_not_counted(self):
        model = in_model("MixModel", local(rows(0.0), probability=0.0))
        assert told(lambda: model.fit(X, Y, batch_size=8, verbose=0)) == []

    def test_validation_and_evaluation_count_nothing_and_say_each_epoch_once(self):
        model = in_model("MixModel", local(DROP))
        messages = told(lambda: model.fit(X, Y, batch_size=8, epochs=2, validation_data=(X, Y), verbose=0))
        assert ["16 of 16" in message for message in messages] == [True, True]
        assert told(lambda: model.evaluate(X, Y, verbose=0)) == []


class TestLargeRates:
    @pytest.mark.parametrize("rate", [0.0, 1.0, 300.0, 1e4, 1e7, 1e300])
    def test_normalised_weights_are_a_softmax_however_large_the_rate(self, rate):
        layer = LocalMixupLayer(weight=ExponentialWeight(rate))
        _, _, weight = layer(X, np.eye(16, dtype=np.float32), seed=0)
        partner = layer.plan([X], 0).partner.numpy()
        apart = np.linalg.norm(X.astype(np.float64) - X[partner], axis=1)
        np.testing.assert_allclose(weight, 16 * softmax(-rate * apart), rtol=1e-5, atol=1e-30)

    def test_a_pair_at_distance_zero_counts_one_and_far_ones_nothing(self):
        x = tf.constant([[0.0], [0.0], [1.0]])
        weight = ExponentialWeight(1e300)([x], [x], tf.constant([1, 0, 0]))
        assert weight.numpy().tolist() == [1, 1, 0]

    def test_distances_that_overflow_with_the_rate_leave_something_that_counts(self):
        x = tf.constant([[0.0], [1e30], [3e30]])
        layer = LocalMixupLayer(weight=ExponentialWeight(1e300))
        _, _, weight = layer(x, tf.eye(3), seed=0)
        assert float(tf.reduce_sum(weight)) == 3
