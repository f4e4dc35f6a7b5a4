"""On two replicas a step is what it is on one device: the sum over the weights of the whole batch."""

import json

import numpy as np
import pytest

# Logical devices must be made before TensorFlow starts, so the steps are taken in a process of their own.
STEPS = """
import json
import keras
import numpy as np
import tensorflow as tf
from kmix_tf import LocalMixupLayer, LocalMixupLoss

devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 3)).astype(np.float32)
LABELS = rng.integers(0, 4, 8)
KERNEL = rng.normal(size=(3, 4)).astype(np.float32)


def uneven(first, second, partner):
    return tf.range(1.0, 9.0) ** 2


def only_on_the_second(first, second, partner):
    return tf.constant([0, 0, 0, 0, 1, 2, 0, 3.0])


def nowhere(first, second, partner):
    return tf.zeros([8])


def step(strategy, weight, packed):
    keras.backend.clear_session()
    options = {"targets": "packed"} if packed else {"num_classes": 4}
    layer = LocalMixupLayer(1.0, weight, scope="sample", **options)
    dataset = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(8).map(lambda x, y: layer(x, y, seed=5))
    with strategy.scope():
        model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4, use_bias=False)])
        model.set_weights([KERNEL])
        loss = keras.losses.SparseCategoricalCrossentropy if packed else keras.losses.CategoricalCrossentropy
        loss = LocalMixupLoss(loss(from_logits=True)) if packed else loss(from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=False)
    losses = model.fit(dataset, verbose=0).history["loss"]
    plan = layer.plan([X], 5)
    return {
        "kernel": model.get_weights()[0].tolist(),
        "loss": float(losses[0]),
        "partner": plan.partner.numpy().tolist(),
        "ratio": plan.ratio.numpy().tolist(),
        "weight": weight(None, None, None).numpy().tolist(),
        "replicas": strategy.num_replicas_in_sync,
    }


one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
results = {
    f"{weight.__name__} {packed} {strategy.num_replicas_in_sync}": step(strategy, weight, packed)
    for weight in (uneven, only_on_the_second, nowhere)
    for packed in (False, True)
    for strategy in (one, two)
}
print(json.dumps({"x": X.tolist(), "labels": LABELS.tolist(), "kernel": KERNEL.tolist(), "steps": results}))
"""


@pytest.fixture(scope="module")
def steps(elsewhere):
    return json.loads(elsewhere(STEPS).splitlines()[-1])


def by_hand(data, taken):
    """Loss and kernel after a step of gradient descent on the sum of weighted losses over the sum of weights."""
    x, kernel, labels = (np.asarray(data[name]) for name in ("x", "kernel", "labels"))
    ratio, partner = np.asarray(taken["ratio"])[:, np.newaxis], taken["partner"]
    weight = np.asarray(taken["weight"])[:, np.newaxis] / max(np.sum(taken["weight"]), 1)
    y = np.eye(4)[labels]
    x, y = (ratio * values + (1 - ratio) * values[partner] for values in (x, y))
    exponentials = np.exp(x @ kernel)
    shares = exponentials / exponentials.sum(axis=1, keepdims=True)
    return -(weight * y * np.log(shares)).sum(), kernel - 0.5 * x.T @ (weight * (shares - y))


@pytest.mark.parametrize("weight", ["uneven", "only_on_the_second", "nowhere"])
@pytest.mark.parametrize("packed", [False, True], ids=["sample weights", "packed"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_one_step_of_fit_is_that_of_the_weighted_mean_over_the_whole_batch(steps, weight, packed, replicas):
    taken = steps["steps"][f"{weight} {packed} {replicas}"]
    assert taken["replicas"] == replicas
    loss, kernel = by_hand(steps, taken)
    np.testing.assert_allclose(taken["kernel"], kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(taken["loss"], loss, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("packed", [False, True], ids=["sample weights", "packed"])
def test_where_no_pair_counts_a_step_on_replicas_changes_nothing(steps, packed):
    taken = steps["steps"][f"nowhere {packed} 2"]
    assert taken["loss"] == 0
    np.testing.assert_array_equal(taken["kernel"], steps["kernel"])
