"""What the tables of this paper share: small data sets in three parts, a network, and training by a layer."""

import keras
import numpy as np
import sklearn.datasets

from kmix_tf import BetaRatio, MixLayer, RandomPairing
from kmix_tf.paired import Trainer, batches, scores

PLAIN, MIXUP = "plain training", "mixup"
SETTINGS = {"alpha": 1.0, "units": [128, 128], "batch": 64, "steps": 1500}


def parts(name, sizes, seed):
    """To train on, to choose by, to test on: pairs of x, float32, and y, int32, in a random order.

    Images are brought to mean 0 and variance 1 by two numbers for all pixels, as the authors do; tables by column.
    """
    load = {"digits": sklearn.datasets.load_digits, "cancer": sklearn.datasets.load_breast_cancer}[name]
    x, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = x[order], y[order].astype(np.int32)
    axis, to_train = (None if name == "digits" else 0), x[: sizes[0]]
    x = ((x - to_train.mean(axis=axis)) / to_train.std(axis=axis)).astype(np.float32)
    return list(zip(np.split(x, np.cumsum(sizes)), np.split(y, np.cumsum(sizes)), strict=True))


def layer(weight=None, pairing=None, alpha=1.0, classes=10):
    """As the authors mix: partners from the whole batch, one ratio for all of it."""
    return MixLayer(pairing or RandomPairing(with_itself=True), BetaRatio(alpha), weight=weight, num_classes=classes)


def trainer(features, classes, units):
    return Trainer(lambda: network(features, classes, units), steps_per_call=100)


def network(features, classes, units):
    layers = [keras.layers.Dense(size, activation="relu") for size in units]
    return keras.Sequential([keras.Input((features,)), *layers, keras.layers.Dense(classes)])


def trained(by, train, mixing, batch, steps, seed, **watching):
    """The network that a trainer makes of the training data with a layer."""
    return by.run(batches(*train, batch, seed, mixing), steps, seed, **watching)


def chosen(cells, arms, measure="error to choose by", tie="loss to choose by"):
    """The arm that a validation part prefers."""
    return min(arms, key=lambda name: (cells[name][measure], cells[name][tie]))


def to_choose_by(model, part):
    found = scores(model, *part)
    return {"error to choose by": found["error"], "loss to choose by": found["loss"]}
