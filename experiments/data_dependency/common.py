"""What the experiments of this paper share: its networks, its way to mix, and training on points of a line."""

import keras
import numpy as np

from kmix_tf import BetaRatio, MixLayer, RandomPairing
from kmix_tf.paired import Trainer, probabilities
from kmix_tf.paired import batches as shuffled

PLAIN = "no mixing"


def layer(alpha, classes, with_itself=True):
    """Mixup as the authors' code has it: partners of the whole batch, one ratio for all of it."""
    return MixLayer(RandomPairing(with_itself=with_itself), BetaRatio(alpha), num_classes=classes)


def unmixed(classes):
    return MixLayer(ratio=BetaRatio(0.0), num_classes=classes)


def batches(x, y, size, seed, mixing):
    """Those of an arm. TensorFlow's shuffle depends on its global seed, too, which the arm before may have set."""
    keras.utils.set_random_seed(seed)
    return shuffled(x, y, size, seed, mixing)


def network(inputs, units, classes):
    """Two layers that begin as PyTorch's do: with biases at random.

    Keras begins with biases of 0. All units then bend at the point 0, and on a line that is learnt much more slowly.
    """
    return keras.Sequential([keras.Input((inputs,)), dense(inputs, units, "relu"), dense(units, classes)])


def dense(inputs, units, activation=None):
    bound = inputs**-0.5
    first = {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }
    return keras.layers.Dense(units, activation=activation, **first)


class SummingAdam(keras.optimizers.Adam):
    """Adam that is given the sum of all gradients so far, as by a PyTorch loop that never sets them to zero."""

    def build(self, variables):
        super().build(variables)
        if not hasattr(self, "sums"):
            self.sums = [self.add_variable_from_reference(each, "sum") for each in variables]

    def apply_gradients(self, grads_and_vars, *args, **kwargs):
        gradients, variables = zip(*grads_and_vars, strict=True)
        for total, gradient in zip(self.sums, gradients, strict=True):
            total.assign_add(gradient)
        totals = [total + 0.0 for total in self.sums]
        return super().apply_gradients(zip(totals, variables, strict=True), *args, **kwargs)


def on_line(line, layers, seed, units, steps, every):
    """Cells of an arm a layer, all points a step: its training error in the course of training, and in the end the
    probability of each point's class and of class 1."""
    x, y = line.x.astype(np.float32), line.y.astype(np.int32)
    classes = int(y.max()) + 1
    trainer = Trainer(lambda: network(1, units, classes), steps_per_call=every)
    return {
        name: _course(trainer, x, y, batches(x, y, len(x), seed, mixing), seed, steps, every)
        for name, mixing in layers.items()
    }


def _course(trainer, x, y, dataset, seed, steps, every):
    curve = []
    trainer.run(dataset, steps, seed, every, lambda step: curve.append(error(trainer.network, x, y)))
    predicted = probabilities(trainer.network, x)
    of_truth = predicted[np.arange(len(y)), y]
    return {"error": curve[-1], "curve": curve, "of class 1": predicted[:, 0], "of its class": of_truth}


def error(model, x, y):
    """In percent."""
    return 100 * float(np.mean(np.asarray(model(x)).argmax(axis=1) != y))


def draw_curve(axes, runs, arm, label, every=None):
    """Mean over seeds, and one standard deviation, every so many steps, by default those of the settings."""
    curves, every = runs.values(arm, "curve"), every or runs.settings["every"]
    steps = every * np.arange(1, curves.shape[1] + 1)
    mean, spread = curves.mean(axis=0), curves.std(axis=0)
    (line,) = axes.plot(steps, mean, label=label)
    axes.fill_between(steps, mean - spread, mean + spread, alpha=0.2, color=line.get_color(), linewidth=0)
