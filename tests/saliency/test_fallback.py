"""Whoever mixes samples whose saliency is NaN is told so, in every place that can tell."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import MixModel, SaliencyMixLayer
from kmix_tf.saliency import FallbackCount, checked

VALUES = np.float32([[0, 1], [np.nan, 1], [np.inf, 2], [0, 0]])
IMAGE = tf.zeros([4, 2])


def told(function):
    """The warnings that a call gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(each.message) for each in caught]


def test_eagerly_it_is_a_warning_with_numbers():
    (message,) = told(lambda: checked(VALUES, IMAGE, 1))
    assert message.startswith("kmix_tf: saliency is NaN or infinite in so many samples of a batch: 2 of 4.")


def test_zeros_are_no_reason_to_warn():
    assert told(lambda: checked(VALUES[[0, 3]], IMAGE[:2], 1)) == []


def test_a_pipeline_prints_once_for_each_batch_concerned_and_its_iterator_can_be_saved(tmp_path, capfd):
    dataset = tf.data.Dataset.from_tensor_slices(VALUES).batch(2)
    iterator = iter(dataset.map(lambda values: checked(values, values, 1)))
    next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(tmp_path / "iterator")
    next(iterator)
    printed = capfd.readouterr().err
    assert printed.count("kmix_tf: saliency is NaN or infinite in so many samples of a batch: 1 of 2") == 2
    tf.train.Checkpoint(iterator=iterator).restore(saved)
    assert (next(iterator).numpy() == 1).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_counted_it_is_told_once_and_nowhere_else(jit_compile, capfd):
    count = FallbackCount()

    @tf.function(jit_compile=jit_compile)
    def step(values):
        with count.counting():
            return checked(values, IMAGE, 1)

    step(VALUES)
    step(VALUES)
    (message,) = told(lambda: count.warn())
    assert message.startswith(
        "kmix_tf: since training began, or since the last such warning, the saliency of 4 samples"
    )
    step(VALUES)
    (message,) = told(lambda: count.warn())
    assert "the saliency of 2 samples was NaN or infinite, of 6 in all" in message
    assert told(lambda: count.warn()) == []
    assert "saliency" not in capfd.readouterr().err


def test_compiled_by_xla_it_is_silent_and_still_uniform():
    function = tf.function(lambda values: checked(values, IMAGE, 1), jit_compile=True)
    assert function(VALUES).numpy().tolist() == [[0, 1], [1, 1], [1, 1], [1, 1]]


class Root(keras.layers.Layer):
    """Slopes at zero are infinite."""

    def call(self, x):
        return tf.sqrt(tf.abs(x))


@pytest.mark.parametrize(
    "options", [{"jit_compile": False}, {"jit_compile": True}, {"run_eagerly": True}], ids=["graph", "xla", "eager"]
)
@pytest.mark.representatives("options", [{"jit_compile": True}])
def test_a_model_in_training_tells_after_each_epoch_and_nothing_else_changes(options):
    model = keras.Sequential([keras.Input((2, 2)), Root(), keras.layers.Flatten(), keras.layers.Dense(3)])
    mixing = MixModel(model, SaliencyMixLayer(axes=1), seed=0)
    mixing.compile("sgd", "mse", **options)
    x = np.where(np.arange(16)[:, None, None] < 3, 0, np.ones([16, 2, 2], np.float32))
    logs = []
    messages = told(lambda: logs.append(mixing.fit(x, np.eye(16, 3), batch_size=8, epochs=2, verbose=0).history))
    messages = [message for message in messages if "saliency" in message]
    assert ["3 samples" in message for message in messages] == [True, True]
    assert "of 6 in all" in messages[1]
    assert list(logs[0]) == ["loss"]
    # A kernel, a bias and the count of steps, as without saliency.
    assert len(mixing.weights) == 3


def test_metrics_can_be_reset_in_a_graph():
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    mixing = MixModel(model, SaliencyMixLayer(axes=1), seed=0)
    mixing.compile("sgd", "mse")
    mixing.fit(np.ones([4, 2, 2], np.float32), np.eye(4, 3), verbose=0)

    @tf.function
    def reset():
        mixing.reset_metrics()
        return tf.constant(True)

    assert reset()
