"""MixAccuracy counts each of the two classes by its share; the calibration error is that of all samples at once."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from kmix_tf import ExponentialWeight, LocalMixupLayer, MixAccuracy, pack_targets
from kmix_tf.analysis import expected_calibration_error
from kmix_tf.metrics import ExpectedCalibrationError

RNG = np.random.default_rng(9)


def accuracy(y, predictions, weight=None, **options):
    metric = MixAccuracy(**options)
    metric.update_state(y, predictions, sample_weight=weight)
    return float(metric.result())


@st.composite
def mixtures(draw):
    """Two classes and a ratio for each place, with scores of the classes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, shape = draw(st.integers(2, 6)), draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    y_a, y_b = rng.integers(0, classes, (2, *shape))
    return classes, y_a, y_b, rng.uniform(size=shape).astype(np.float32), rng.normal(size=(*shape, classes))


@given(mixtures())
def test_every_form_of_mixed_targets_counts_both_classes_by_their_share(plain_functions, drawn):
    classes, y_a, y_b, ratio, scores = drawn
    scores = scores.astype(np.float32)
    predicted = scores.argmax(axis=-1)
    expected = (ratio * (predicted == y_a) + (1 - ratio) * (predicted == y_b)).mean()
    one_hot = np.eye(classes, dtype=np.float32)
    mixed = ratio[..., np.newaxis] * one_hot[y_a] + (1 - ratio[..., np.newaxis]) * one_hot[y_b]
    # What packed targets weigh is the loss, not the metric.
    for packed in (pack_targets(y_a, y_b, ratio, 7.0), pack_targets(one_hot[y_a], one_hot[y_b], ratio, 7.0)):
        np.testing.assert_allclose(accuracy(packed, scores), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(accuracy(mixed, scores), expected, rtol=1e-5, atol=1e-6)


@given(mixtures())
def test_of_plain_targets_it_is_the_accuracy(plain_functions, drawn):
    classes, labels, _, _, scores = drawn
    expected = (scores.argmax(axis=-1) == labels).mean()
    for y in (labels, labels.astype(np.float32), labels[..., np.newaxis], np.eye(classes)[labels]):
        np.testing.assert_allclose(accuracy(y, scores), expected, rtol=1e-6)


@pytest.mark.parametrize(("threshold", "shift"), [(0.5, 0.5), (0.0, 0.0), (-1.0, -1.0)])
@pytest.mark.parametrize("integer", [True, False])
def test_of_one_output_unit_the_threshold_decides(threshold, shift, integer):
    y_a, y_b = RNG.integers(0, 2, (2, 9)).astype(np.int32 if integer else np.float32)
    ratio = RNG.uniform(size=9).astype(np.float32)
    outputs = (RNG.normal(size=(9, 1)) + shift).astype(np.float32)
    predicted = outputs[:, 0] > threshold
    expected = (ratio * (predicted == y_a) + (1 - ratio) * (predicted == y_b)).mean()
    ours = accuracy(pack_targets(y_a, y_b, ratio), outputs, threshold=threshold)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    soft = ratio * y_a + (1 - ratio) * y_b
    np.testing.assert_allclose(accuracy(soft.astype(np.float32), outputs, threshold=threshold), expected, rtol=1e-6)
    np.testing.assert_allclose(
        accuracy(y_a[:, np.newaxis], outputs, threshold=threshold), (predicted == y_a).mean(), rtol=1e-6
    )


def test_one_output_unit_is_a_probability_by_default():
    assert accuracy([1, 1, 0, 0], [[0.6], [0.4], [0.6], [0.4]]) == 0.5
    assert accuracy([1, 1, 1, 1], [[0.6], [0.4], [0.6], [0.4]], threshold=0.0) == 1


def test_updates_add_up_by_their_sizes_until_a_reset():
    metric = MixAccuracy()
    metric.update_state([0, 0, 0], [[1.0, 0.0]] * 3)
    metric.update_state([1], [[1.0, 0.0]])
    assert metric.result() == 0.75
    metric.reset_state()
    metric.update_state([1], [[1.0, 0.0]])
    assert metric.result() == 0


@pytest.mark.parametrize("packed", [True, False])
def test_sample_weights_count(packed):
    labels = np.array([0, 1, 1])
    y = pack_targets(labels, labels, 0.5, weight=[9.0, 0.0, 0.0]) if packed else labels
    assert accuracy(y, [[1.0, 0.0]] * 3, weight=[3.0, 1.0, 0.0]) == 0.75


def test_float64_targets_are_taken_in_any_form():
    # np.eye gives float64, and layers keep it.
    y = np.eye(3)
    scores = np.eye(3, dtype=np.float32)
    assert accuracy(y, scores) == 1
    assert accuracy(pack_targets(y, y[::-1], [0.5, 0.25, 1.0]), scores) == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_predictions_of_any_dtype_are_taken(dtype):
    y = pack_targets([0, 1], [1, 2], [0.75, 0.5])
    assert accuracy(y, np.array([[3, 2, 1], [1, 2, 3]], dtype)) == pytest.approx((0.75 + 0.5) / 2)


def test_predictions_without_an_axis_for_the_classes_are_not_taken_for_one_sample():
    # A model that squeezes its one output: y_pred must be (batch, ..., classes).
    with pytest.raises(ValueError, match="MixAccuracy"):
        accuracy([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])


@pytest.mark.parametrize("shape", [(8, 5), (8, 1, 5), (8, 2, 4), (8, 3, 3, 3)], ids=str)
def test_targets_that_fit_no_form_are_refused(shape):
    with pytest.raises(ValueError, match=r"MixAccuracy: targets must be plain, or packed"):
        accuracy(np.zeros(shape, np.float32), np.zeros((8, 3), np.float32))


@pytest.mark.parametrize("threshold", ["a", None, float("nan"), float("inf")], ids=repr)
def test_another_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match="MixAccuracy: threshold must be"):
        MixAccuracy(threshold=threshold)


def test_a_configuration_makes_the_same_metric_anew():
    metric = MixAccuracy(name="hits", threshold=-2.0)
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(back) is MixAccuracy
    assert (back.name, back.threshold) == ("hits", -2.0)
    back.update_state([1, 0], [[-1.0], [-1.0]])
    assert back.result() == 0.5


def test_under_xla_it_is_the_same():
    y, scores = pack_targets([0, 1], [1, 2], [0.75, 0.5]), tf.constant([[3.0, 2, 1], [1, 2, 3]])
    metric = MixAccuracy()

    @tf.function(jit_compile=True)
    def update():
        metric.update_state(y, scores)

    update()
    assert float(metric.result()) == pytest.approx((0.75 + 0.5) / 2)


@pytest.mark.parametrize("kind", ["metrics", "weighted_metrics"])
def test_only_weighted_metrics_of_a_model_know_the_weights(kind):
    x = RNG.normal(size=(8, 3)).astype(np.float32)
    labels = RNG.integers(0, 4, 8)
    layer = LocalMixupLayer(0.8, ExponentialWeight(0.7), scope="sample", num_classes=4)
    mixed, y, weight = layer(x, labels, seed=0)
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4)])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=False, **{kind: [MixAccuracy()]})
    ours = model.fit(mixed, y, sample_weight=weight, batch_size=3, verbose=0).history["mix_accuracy"]
    hits = np.take_along_axis(y.numpy(), model.predict(mixed, verbose=0).argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
    expected = np.average(hits, weights=weight if kind == "weighted_metrics" else None)
    np.testing.assert_allclose(ours, [expected], rtol=1e-5)


def test_weights_of_a_map_count_for_all_its_places():
    scores = RNG.normal(size=(4, 5, 6, 3)).astype(np.float32)
    labels = RNG.integers(0, 3, (4, 5, 6))
    weight = RNG.uniform(size=4).astype(np.float32)
    hits = (scores.argmax(axis=-1) == labels).mean(axis=(1, 2))
    ours = accuracy(np.eye(3, dtype=np.float32)[labels], scores, weight=weight.reshape(4, 1, 1))
    np.testing.assert_allclose(ours, np.average(hits, weights=weight), rtol=1e-5)


def calibration(y, predictions, weight=None, **options):
    metric = ExpectedCalibrationError(**options)
    metric.update_state(y, predictions, sample_weight=weight)
    return float(metric.result())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bins", [1, 7, 10, 15])
def test_the_calibration_error_of_batches_is_that_of_all_samples_at_once(bins, dtype):
    rng = np.random.default_rng(bins)
    p = rng.dirichlet(np.ones(4), 1000).astype(dtype)
    # Confidences on the edges of bins, which are not exact in any of the dtypes, must be sorted alike.
    p[:40] = np.repeat(np.eye(4)[:1] * 0.4 + 0.15, 40, axis=0).astype(dtype)
    p[:40, 0] = (np.arange(40) % 4 + 4) / 10
    p[:40, 1:] = (1 - p[:40, :1]) / 3
    y = rng.integers(0, 4, 1000)
    metric = ExpectedCalibrationError(bins)
    for start in range(0, 1000, 30):
        metric.update_state(y[start : start + 30], p[start : start + 30])
    assert float(metric.result()) == pytest.approx(expected_calibration_error(y, p, bins), abs=1e-6)


@pytest.mark.parametrize("off", [-0.008, 0.008])
def test_probabilities_may_sum_to_1_as_roughly_as_half_precision_does(off):
    p, y = RNG.dirichlet(np.ones(4), 50), RNG.integers(0, 4, 50)
    assert calibration(y, p * (1 + off), bins=1) == pytest.approx(calibration(y, p, bins=1), abs=abs(off))
    with pytest.raises(tf.errors.InvalidArgumentError, match="sum to 1"):
        calibration(y, p * (1 + 2 * off))


@pytest.mark.parametrize("form", ["column", "float", "one-hot", "soft", "packed classes", "packed labels"])
def test_of_every_form_of_target_the_dominant_class_is_right(form):
    p, y = RNG.dirichlet(np.ones(3), 50).astype("f4"), RNG.integers(0, 3, 50)
    other, ratio = RNG.integers(0, 3, 50), RNG.uniform(0.51, 1, 50).astype("f4")
    one_hot = np.eye(3, dtype="f4")
    targets = {
        "column": y[:, np.newaxis],
        "float": y.astype("f4"),
        "one-hot": one_hot[y],
        "soft": ratio[:, np.newaxis] * one_hot[y] + (1 - ratio[:, np.newaxis]) * one_hot[other],
        "packed classes": pack_targets(y, other, ratio, weight=np.linspace(0, 1, 50)),
        "packed labels": pack_targets(one_hot[other], one_hot[y], 1 - ratio),
    }[form]
    assert calibration(targets, p) == pytest.approx(expected_calibration_error(y, p), abs=1e-6)


@pytest.mark.parametrize("units", [4, 1])
def test_logits_become_probabilities(units):
    u, y = (3 * RNG.normal(size=(80, units))).astype("f4"), RNG.integers(0, 2, 80)
    p = softmax(u.astype("f8"), axis=1) if units > 1 else np.c_[1 - expit(u.astype("f8")), expit(u.astype("f8"))]
    expected = expected_calibration_error(y, p)
    assert calibration(y, u, from_logits=True) == pytest.approx(expected, abs=1e-6)
    if units == 1:
        assert calibration(y[:, np.newaxis], p[:, 1:]) == pytest.approx(expected, abs=1e-6)


def test_weights_count_like_repetitions_and_spread_over_a_sample_s_places():
    p, y = RNG.dirichlet(np.ones(3), 40), RNG.integers(0, 3, 40)
    weight = RNG.integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), weight)
    expected = expected_calibration_error(y[repeated], p[repeated])
    for w in (weight, weight[:, np.newaxis], weight.astype(np.float32) / 7):
        assert calibration(y, p, weight=w) == pytest.approx(expected, abs=1e-6)
    maps = calibration(y.reshape(8, 5), p.reshape(8, 5, 3), weight=weight[:8])
    assert maps == pytest.approx(calibration(y, p, weight=np.repeat(weight[:8], 5)), abs=1e-7)


def test_a_confidence_that_rounding_lifts_over_an_edge_stays_in_its_bin():
    # In float64, 0.55 * 100 is 55.00000000000001. The other is in the same bin, (0.54, 0.55].
    assert 0.55 * 100 > 55
    p = np.array([[0.55, 0.45], [0.545, 0.455]])
    assert calibration([0, 1], p, bins=100) == pytest.approx(abs((1 - 0.55) + (0 - 0.545)) / 2, abs=1e-6)


def test_sums_do_not_stop_growing_where_float32_would():
    metric = ExpectedCalibrationError()
    metric.update_state([0], [[0.75, 0.25]], sample_weight=[2.0**27])
    for _ in range(4):
        metric.update_state([1], [[0.75, 0.25]], sample_weight=[1.0])
    assert float(np.asarray(metric.total)) == 2**27 + 4


def test_a_reset_forgets():
    metric = ExpectedCalibrationError()
    assert metric.result() == 0
    metric.update_state([0], [[0.25, 0.75]])
    assert metric.result() == 0.75
    metric.reset_state()
    metric.update_state([1], [[0.25, 0.75]])
    assert metric.result() == 0.25
    assert np.asarray(metric.result()).dtype == np.float32


@pytest.mark.parametrize(
    ("y", "p", "weight"),
    [
        ([0, 1], [[3.0, -1.0], [0.0, 2.0]], None),
        ([0, 1], [[3.0, -2.0], [0.0, 1.0]], None),
        ([0, 1], [[np.nan, 1.0], [0.0, 1.0]], None),
        ([0, 2], [[0.5, 0.5], [0.0, 1.0]], None),
        ([0, -1], [[0.5, 0.5], [0.0, 1.0]], None),
        ([0.0, 0.5], [[0.5, 0.5], [0.0, 1.0]], None),
        ([0, 2], [[0.5], [0.0]], None),
        ([[np.nan, 1.0], [0, 1]], [[0.5, 0.5], [0.0, 1.0]], None),
        ([0, 1], [[0.5, 0.5], [0.0, 1.0]], [1.0, -1.0]),
    ],
    ids=["logits", "negative", "nan", "class 2", "class -1", "class 0.5", "unit", "soft nan", "weight"],
)
def test_what_is_no_prediction_stops_or_under_xla_gives_nan(y, p, weight):
    message = "ExpectedCalibrationError: y_pred must be probabilities that sum to 1"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        calibration(y, p, weight)
    metric = ExpectedCalibrationError()

    @tf.function(jit_compile=True)
    def update():
        metric.update_state(y, tf.constant(p), sample_weight=weight)

    update()
    assert np.isnan(metric.result())


def test_the_calibration_error_refuses_other_arguments_and_targets():
    with pytest.raises(
        ValueError, match=r"ExpectedCalibrationError: bins must be an integer >= 1. Received: bins=0."
    ):
        ExpectedCalibrationError(bins=0)
    with pytest.raises(ValueError, match="ExpectedCalibrationError: from_logits must be True or False"):
        ExpectedCalibrationError(from_logits="yes")
    with pytest.raises(ValueError, match="ExpectedCalibrationError: targets must be plain, or packed"):
        calibration(np.zeros((8, 5), np.float32), np.ones((8, 3), np.float32) / 3)


def test_a_configuration_makes_the_same_calibration_error_anew():
    metric = ExpectedCalibrationError(bins=4, from_logits=True, name="ece", dtype="float64")
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(back) is ExpectedCalibrationError
    assert (back.name, back.bins, back.from_logits, back.dtype) == ("ece", 4, True, "float64")


@pytest.mark.parametrize(("policy", "jit_compile"), [("float32", False), ("mixed_float16", True)])
def test_a_model_evaluates_its_calibration_error_with_weights(jit_compile, policy):
    x, y = RNG.normal(size=(30, 3)).astype("f4"), RNG.integers(0, 4, 30)
    weight = RNG.integers(0, 3, 30).astype("f4")
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4, activation="softmax", dtype=policy)])
    # Half precision rounds otherwise under XLA, and would move samples over the edges of bins.
    bins, tolerance = (10, 1e-5) if policy == "float32" else (1, 5e-3)
    metrics = {
        "metrics": [ExpectedCalibrationError(bins, name="plain")],
        "weighted_metrics": [ExpectedCalibrationError(bins, name="ece")],
    }
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", jit_compile=jit_compile, **metrics)
    p = model(x).numpy()
    assert p.dtype == ("float32" if policy == "float32" else "float16")
    repeated = np.repeat(np.arange(30), weight.astype(int))
    for _ in range(2):  # the second time after a reset
        ours = model.evaluate(x, y, sample_weight=weight, batch_size=8, verbose=0, return_dict=True)
        assert ours["plain"] == pytest.approx(expected_calibration_error(y, p, bins), abs=tolerance)
        assert ours["ece"] == pytest.approx(expected_calibration_error(y[repeated], p[repeated], bins), abs=tolerance)
    if not jit_compile:
        history = model.fit(x, y, sample_weight=weight, batch_size=8, epochs=2, verbose=0).history
        assert history["plain"] == pytest.approx([ours["plain"]] * 2, abs=tolerance)


# Logical devices must be made before TensorFlow starts.
ELSEWHERE = """
import json
import keras
import numpy as np
import tensorflow as tf
import kmix_tf

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, y = np.array({x}, np.float32), np.array({y})
with strategy.scope():
    model = keras.saving.load_model({path!r})
print(json.dumps([strategy.num_replicas_in_sync, model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)]))
"""


def test_a_saved_model_brings_its_calibration_error_to_another_process_and_its_replicas(tmp_path, elsewhere):
    metric = ExpectedCalibrationError(5, from_logits=True, name="ece")
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=[metric], jit_compile=False)
    x, y = RNG.normal(size=(12, 3)).astype("f4"), RNG.integers(0, 4, 12)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)["ece"]
    assert expected == pytest.approx(
        expected_calibration_error(y, softmax(model.predict(x, verbose=0), 1), 5), abs=1e-6
    )
    model.save(tmp_path / "model.keras")
    program = ELSEWHERE.format(x=x.tolist(), y=y.tolist(), path=str(tmp_path / "model.keras"))
    replicas, scores = json.loads(elsewhere(program).splitlines()[-1])
    assert replicas == 2
    assert scores["ece"] == pytest.approx(expected, abs=1e-6)
