"""What the experiments on real data share: the paper's training, and the arms by k and alpha."""

import functools

import keras
import numpy as np
from sklearn.datasets import load_digits

from kmix_tf import KMixupLayer
from kmix_tf.analysis import matched_alpha, perturbation

PLAIN = "no mixing"


def mixup(alpha):
    return f"mixup, alpha = {alpha:g}"


def matched(k, alpha):
    """k-mixup with alpha_k, which is to perturb as far as mixup with this alpha does; `layers_of` tells whether."""
    return mixup(alpha) if k == 1 else f"k = {k}, alpha_k of {alpha:g}"


def published(k, alpha):
    """As the authors' published loop has it, which computes alpha_k and then trains with alpha."""
    return f"k = {k}, alpha = {alpha:g} itself"


def layers_of(x, alphas, ks, published_ks, classes, largest, trials, seed):
    """By arm: the layer that mixes, and the alpha and xi that it has.

    Where no alpha perturbs so far, alpha_k is `largest`, and xi falls short of mixup's. trials: of each mean cost.
    """
    found = {PLAIN: (0.0, 1, 0.0)}
    for alpha in alphas:
        for k in ks:
            reached = matched_alpha(x, k, alpha, trials, seed, max(largest, alpha))
            found[matched(k, alpha)] = reached.alpha, k, reached.perturbation
        for k in published_ks:
            found[published(k, alpha)] = alpha, k, perturbation(x, k, alpha, trials, seed)
    return {
        name: (KMixupLayer(k, alpha, num_classes=classes), {"alpha": alpha, "xi": xi})
        for name, (alpha, k, xi) in found.items()
    }


def means(axes, places, values, **style):
    """Draws means over seeds, with standard errors, of values `(seeds, places)`."""
    bars = values.std(0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
    axes.errorbar(places, values.mean(0), bars, capsize=3, **style)


def of_weights(decay):
    """PyTorch's weight decay, which adds decay times each weight to its gradient: options of a Keras layer."""
    penalty = keras.regularizers.L2(decay / 2)
    return {"kernel_regularizer": penalty, "bias_regularizer": penalty}


def sgd(rate, momentum, steps):
    """The paper's: after half of the steps the rate is a tenth, after three quarters a hundredth."""
    rates = keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps // 2, steps * 3 // 4], [rate, rate / 10, rate / 100]
    )
    return keras.optimizers.SGD(rates, momentum=momentum)


@functools.cache
def _digits():
    data = load_digits()
    return (data.images / 16).astype(np.float32)[..., np.newaxis], data.target.astype(np.int32)


def digits(train, test, seed):
    """scikit-learn's 1,797 digits of 8x8 pixels in [0, 1], split at random: x and y to train and to test."""
    x, y = _digits()
    order = np.random.default_rng(seed).permutation(len(x))
    chosen, rest = order[:train], order[train : train + test]
    return x[chosen], y[chosen], x[rest], y[rest]


def small_convnet(decay):
    """LeNet in small: two convolutions with pooling, and two dense layers; 17,000 weights or so."""
    options = of_weights(decay)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", **options),
            keras.layers.MaxPool2D(name="first"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", **options),
            keras.layers.MaxPool2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu", **options),
            keras.layers.Dense(10, **options),
        ]
    )
