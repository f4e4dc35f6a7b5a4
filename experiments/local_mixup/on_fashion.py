"""Trains on Fashion-MNIST by each way of mixing, with what is tuned chosen on other images, and a temperature."""

import functools

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from experiments.data import fashion_mnist, scaled
from experiments.local_mixup.on_data import chosen
from experiments.networks import grey_network
from kmix_tf import CutMixLayer, ExponentialWeight, KMixupLayer, LocalMixupLayer
from kmix_tf.analysis import matched_alpha
from kmix_tf.paired import Trainer, batches, probabilities, score

PLAIN, SMOOTHING, MIXUP, KMIXUP, LOCAL, CUTMIX = (
    "no mixing", "label smoothing", "mixup", "k-mixup, k = 16", "Local Mixup", "CutMix",
)  # fmt: skip
AS_FAR = "that moves images as far as 1 does in mixup"


def measure(seed, sizes, candidates, valid, test, batch, steps, data_dir):
    parts = {size: split(data_dir, seed, size, valid, test) for size in dict.fromkeys(sizes.values())}
    trainer = Trainer(grey_network, steps_per_call=min(50, steps // 2))
    found = {size: _arms(trainer, *parts[size], candidates, batch, steps, seed) for size in parts}
    return {of(label, arm): row for label, size in sizes.items() for arm, row in found[size].items()}


def of(label, arm):
    return f"{label}: {arm}"


def split(data_dir, seed, size, valid, test):
    """To train on, to choose by and to test on: pairs of x, standardised by the first, and y."""
    data = _read(data_dir)
    order = np.random.default_rng(seed).permutation(len(data.x_train))
    to_train, to_choose = order[:size], order[len(order) - valid :]
    others = np.concatenate([data.x_train[to_choose], data.x_test[:test]])
    x = scaled(data._replace(x_train=data.x_train[to_train], x_test=others))
    return (
        (x.x_train, data.y_train[to_train]),
        (x.x_test[:valid], data.y_train[to_choose]),
        (x.x_test[valid:], data.y_test[:test]),
    )


@functools.cache
def _read(data_dir):
    return fashion_mnist(data_dir)


def _arms(trainer, train, valid, test, candidates, batch, steps, seed):
    found = {}
    for way, values in candidates.items():
        arms = [arm(way, value) for value in values]
        for name, value in zip(arms, values, strict=True):
            share, layer = (value, None) if way == SMOOTHING else (0, _layer(way, value, train[0], seed))
            x, y = train[0], _soft(train[1], share)
            found[name] = _tested(trainer, batches(x, y, batch, seed, layer), steps, seed, valid, test)
        found[tuned(way)] = found[chosen(found, arms)]
    return found


def arm(way, value):
    if way == SMOOTHING:
        return f"{way}, {value:g}" if value else PLAIN
    if way == LOCAL:
        return f"{way}, alpha = {value[0]:g}, rate {value[1]}"
    return f"{way}, alpha {'= ' if not isinstance(value, str) else ''}{value}"


def tuned(way):
    return f"{way}, chosen"


def _soft(y, share, classes=10):
    return ((1 - share) * np.eye(classes)[y] + share / classes).astype(np.float32)


def _layer(way, value, x, seed):
    """All of them with one ratio for a batch, as the papers."""
    if way == LOCAL:
        return LocalMixupLayer(alpha=value[0], weight=ExponentialWeight(value[1]))
    if isinstance(value, str):
        value = matched_alpha(x, 16, 1.0, 1000, seed, 100.0).alpha
    return CutMixLayer(value) if way == CUTMIX else KMixupLayer(16 if way == KMIXUP else 1, value)


def _tested(trainer, dataset, steps, seed, valid, test):
    halfway = {}

    def watch(done):
        if done < steps:
            found = score(test[1], probabilities(trainer.network, test[0]))
            halfway.update({"error, half of the steps": found.error, "calibration, half": found.calibration})

    model = trainer.run(dataset, steps, seed, every=steps // 2, watch=watch)
    to_choose_by, predicted = probabilities(model, valid[0]), probabilities(model, test[0])
    by, before = score(valid[1], to_choose_by), score(test[1], predicted)
    heat = temperature(valid[1], to_choose_by)
    after = score(test[1], at_temperature(predicted, heat))
    return {
        **before._asdict(), "temperature": heat, "calibration after it": after.calibration,
        "loss after it": after.loss, **halfway, "error to choose by": by.error, "loss to choose by": by.loss,
    }  # fmt: skip


def at_temperature(predicted, heat):
    """Probabilities of logits divided by a temperature."""
    return softmax(np.log(np.maximum(predicted, np.finfo(float).tiny)) / heat, axis=1)


def temperature(y, predicted):
    """That with the least loss; above 1 a model was too sure. Between 1/20 and 20."""
    found = minimize_scalar(
        lambda log: score(y, at_temperature(predicted, np.exp(log))).loss, bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))
