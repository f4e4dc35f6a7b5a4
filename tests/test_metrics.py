"""MixAccuracy counts each of the two classes by its share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kmix_tf import ExponentialWeight, LocalMixupLayer, MixAccuracy, pack_targets

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
