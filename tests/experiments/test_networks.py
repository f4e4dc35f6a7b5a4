"""The papers' networks and schedules: published counts, a step of training, and steps worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments import networks, schedules
from kmix_tf import KMixupLayer


def trained(model, shape, classes):
    """Whether a step with k-mixup changes all that is trained, and the logits' shape."""
    random = np.random.default_rng(0)
    x = random.normal(size=(8, *shape)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(8) % classes)).batch(8)
    layer = KMixupLayer(k=2, num_classes=classes)
    model.compile(
        schedules.optimizer(schedules.K_MIXUP, 1),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    before = [weight.numpy().copy() for weight in model.weights]
    model.fit(data.map(layer), verbose=0)
    moved = [not np.array_equal(old, new.numpy()) for old, new in zip(before, model.weights, strict=True)]
    assert model(x).shape == (8, classes) and np.isfinite(model(x)).all()
    return moved


SMALL = {
    "mlp": (lambda: networks.mlp(4, (120, 84), 3), (4,), 3),
    "mlp of images": (lambda: networks.mlp((8, 8, 1), (20,), 10), (8, 8, 1), 10),
    "digits": (networks.digits_network, (8, 8, 1), 10),
    "grey": (networks.grey_network, (28, 28, 1), 10),
    "lenet": (lambda: networks.lenet((28, 28, 1), 10), (28, 28, 1), 10),
    "narrow preact_resnet18": (lambda: networks.preact_resnet18((8, 8, 3), 3, 4), (8, 8, 3), 3),
}
BIG = {
    "preact_resnet18": (networks.preact_resnet18, (32, 32, 3), 10),
    "wide_resnet": (networks.wide_resnet, (32, 32, 3), 10),
    "resnet": (networks.resnet, (32, 32, 3), 10),
    "lenet of speech": (lambda: networks.lenet((160, 101, 1), 12), (160, 101, 1), 12),
}


@pytest.mark.parametrize("make, shape, classes", SMALL.values(), ids=SMALL)
def test_a_step_of_training(make, shape, classes):
    assert np.mean(trained(make(), shape, classes)) > 0.9


@pytest.mark.matrix
@pytest.mark.parametrize("make, shape, classes", BIG.values(), ids=BIG)
def test_a_step_of_training_big_networks(make, shape, classes):
    assert np.mean(trained(make(), shape, classes)) > 0.9


COUNTS = {
    "LeNet of MNIST": (lambda: networks.lenet((28, 28, 1), 10), 44_426),
    "LeNet of CIFAR-10": (lambda: networks.lenet((32, 32, 3), 10), 62_006),
    "PreActResNet-18": (networks.preact_resnet18, 11_171_146),
    "ResNet-18": (networks.resnet, 11_173_962),
    "k-mixup's toys": (lambda: networks.mlp(2, (130, 120), 2), 2 * 130 + 130 + 130 * 120 + 120 + 120 * 2 + 2),
}


@pytest.mark.parametrize("make, count", COUNTS.values(), ids=COUNTS)
def test_published_counts_of_parameters(make, count):
    assert networks.parameters(make()) == count


@pytest.mark.matrix
def test_more_counts_of_parameters():
    assert networks.parameters(networks.resnet(blocks=(3, 4, 6, 3))) == 21_282_122
    assert round(networks.parameters(networks.wide_resnet()) / 1e6, 1) == 11.0


def test_wide_resnet_of_no_such_depth():
    with pytest.raises(ValueError, match=r"6n \+ 4. Received: depth=18"):
        networks.wide_resnet(depth=18)


def test_fourier_features():
    keras.utils.set_random_seed(0)
    model = networks.fourier_features(2, 2)
    (kernel, bias), x = model.layers[1].get_weights(), np.float32([[0.3, -0.2], [1, 2]])
    phi = np.cos(x @ kernel + bias) / np.sqrt(1000)
    np.testing.assert_allclose(model(x), phi @ model.layers[-1].get_weights()[0], atol=1e-4)
    assert abs(kernel.std() - 10) < 0.5 and bias.min() >= 0 and 6.2 < bias.max() <= 2 * np.pi
    assert trained(model, (2,), 2).count(True) == 1


def test_rates_drop_at_the_first_step_of_an_epoch():
    optimizer = schedules.optimizer(schedules.K_MIXUP, steps_per_epoch=7)
    rate = optimizer._learning_rate
    found = [float(rate(step)) for step in (0, 699, 700, 1049, 1050, 1399)]
    np.testing.assert_allclose(found, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-5)


def test_shortened():
    short = schedules.shortened(schedules.K_MIXUP, 20)
    assert (short.epochs, short.drops) == (20, (10, 15))
    assert [schedules.rate_at(short, epoch) for epoch in (9, 10, 15)] == pytest.approx([0.1, 0.01, 0.001])
    with pytest.raises(ValueError, match=r"epochs must be known, and >= 1. Received: 0 of 200"):
        schedules.shortened(schedules.K_MIXUP, 0)
    with pytest.raises(ValueError, match="Received: 5 of None"):
        schedules.shortened(schedules.REGULARIZATION_MOONS, 5)


def test_weight_decay_goes_through_the_momentum():
    schedule = schedules.K_MIXUP._replace(weight_decay=0.5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.float32([[2.0]])])
    model.compile(schedules.optimizer(schedule, 100), "mse")
    model.fit(np.ones((3, 1)), np.ones((3, 1)), batch_size=1, shuffle=False, verbose=0)
    weight, velocity = 2.0, 0.0
    for _ in range(3):
        velocity = 0.9 * velocity + 2 * (weight - 1) + 0.5 * weight
        weight -= 0.1 * velocity
    np.testing.assert_allclose(model.get_weights()[0], [[weight]], rtol=1e-5)


def test_adam():
    assert isinstance(schedules.optimizer(schedules.MULTI_MIX_SPIRAL, 4), keras.optimizers.Adam)
