"""Arms begin from equal weights and see equal batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmix_tf import KMixupLayer
from kmix_tf.paired import Trainer, batches, probabilities, score, scores

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)
PLAIN = KMixupLayer(1, alpha=0.0, num_classes=2)


def network():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])


def weights(model):
    """Copies: what Keras returns may share the variables' memory."""
    return [np.array(each) for each in model.get_weights()]


def taken(layer, seed, count=12, size=16):
    return [tuple(part.numpy() for part in batch) for batch in batches(X, Y, size, seed, layer).take(count)]


def test_all_arms_see_the_same_batches_and_every_sample_in_a_round():
    plain, unmixed = taken(None, 3), taken(PLAIN, 3)
    for (x, y), (same_x, soft) in zip(plain, unmixed, strict=True):
        np.testing.assert_array_equal(x, same_x)
        np.testing.assert_array_equal(y, soft.argmax(axis=1))
    # Three batches of 16 are a round of 50 samples, none of them twice.
    for start in range(0, 12, 3):
        rows = np.concatenate([x for x, _ in plain[start : start + 3]])
        assert len(np.unique(rows, axis=0)) == 48
    keras.utils.set_random_seed(17)
    for (x, _), (same_x, _) in zip(plain, taken(None, 3), strict=True):
        np.testing.assert_array_equal(x, same_x, err_msg="TensorFlow's global seed must not matter")
    assert not np.array_equal(plain[0][0], plain[3][0]), "every round is in an order of its own"
    assert not np.array_equal(plain[0][0], taken(None, 4)[0][0])


def test_mixtures_of_every_arm_are_of_the_same_samples():
    """A mixture half and half keeps its batch's mean; the partners are a permutation of it."""
    mixed = taken(KMixupLayer(4, alpha=1e6, num_classes=2), 3)
    for (x, _), (mixture, _) in zip(taken(None, 3), mixed, strict=True):
        np.testing.assert_allclose(mixture.mean(axis=0), x.mean(axis=0), atol=1e-2)
        assert np.abs(mixture - x).max() > 0.1


@pytest.mark.parametrize("k", [1, 4])
def test_mixtures_do_not_depend_on_the_global_seed_either(k):
    streams = []
    for before in (None, 5, 6):
        tf.random.set_seed(before)
        streams.append(taken(KMixupLayer(k, num_classes=2), 3))
    for first, *others in zip(*streams, strict=True):
        for other in others:
            np.testing.assert_array_equal(first[0], other[0])
            np.testing.assert_array_equal(first[1], other[1])


def test_a_run_depends_on_the_seed_and_not_on_earlier_runs():
    trainer = Trainer(network, steps_per_call=5)
    first = weights(trainer.run(batches(X, Y, 16, 0, PLAIN), 10, 0))
    trainer.run(batches(X, Y, 16, 1, KMixupLayer(4, num_classes=2)), 15, 1)
    again = weights(trainer.run(batches(X, Y, 16, 0, PLAIN), 10, 0))
    other = weights(Trainer(network, steps_per_call=5).run(batches(X, Y, 16, 0, PLAIN), 10, 0))
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


def test_first_weights_are_the_seeds():
    trainer = Trainer(network)
    trainer.begin(5)
    first = weights(trainer.network)
    trainer.begin(6)
    assert not np.array_equal(first[0], trainer.network.get_weights()[0])
    keras.utils.set_random_seed(5)
    for ours, theirs in zip(first, network().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_watcher_is_called_at_the_steps_asked_for():
    seen = []
    Trainer(network, steps_per_call=2).run(batches(X, Y, 16, 0, PLAIN), 12, 0, every=4, watch=seen.append)
    assert seen == [4, 8, 12]
    with pytest.raises(ValueError, match="steps must be a multiple of every"):
        Trainer(network).run(batches(X, Y, 16, 0, PLAIN), 10, 0, every=4)


def test_scores_are_counted_by_hand():
    predicted = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    found = score([0, 1, 1, 0], predicted)
    assert found.error == 25.0
    assert found.loss == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    # Bins of width 0.1: confidences .9, .6, .8, .7, each alone in its bin.
    assert found.calibration == pytest.approx(100 * np.mean([0.1, 0.6, 0.2, 0.3]))


def test_scores_of_a_model_are_those_of_its_softmax():
    keras.utils.set_random_seed(0)
    model = network()
    logits = model.predict(X, verbose=0).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(model, X, batch=7), expected, atol=1e-6)
    assert scores(model, X, Y)["error"] == 100 * np.mean(logits.argmax(axis=1) != Y)


@pytest.mark.parametrize(("steps", "every", "per_call"), [(48, 16, 50), (100, 25, 40), (7, 7, 2), (60, 60, 50)])
def test_as_many_steps_are_taken_as_are_asked_for(steps, every, per_call):
    trainer, seen = Trainer(network, steps_per_call=per_call), []
    taken_by = lambda step: seen.append((step, int(trainer.model.optimizer.iterations.numpy())))  # noqa: E731
    trainer.run(batches(X, Y, 16, 0, PLAIN), steps, 0, every, taken_by)
    assert seen == [(step, step) for step in range(every, steps + 1, every)]
