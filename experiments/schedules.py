"""How the papers train: optimizers, learning rates that fall, weight decay. What a paper does not say is None."""

from typing import NamedTuple

import keras
import tensorflow as tf


class Schedule(NamedTuple):
    """One way to train.

    Attributes:
        optimizer: "sgd" or "adam". rate: the first learning rate, multiplied by `factor` at each epoch of `drops`.
        epochs, batch_size: None where the paper does not say; batch_size 0 is the whole data set.
    """

    optimizer: str
    rate: float
    epochs: int | None = None
    batch_size: int | None = None
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0


# k-mixup, Section 4. Its batch size is not printed.
K_MIXUP = Schedule("sgd", 0.1, 200, None, (100, 150), momentum=0.9, weight_decay=1e-4)
K_MIXUP_TABLES = K_MIXUP._replace(rate=0.005)
# Says "similar" to Zhang et al. (2018).
K_MIXUP_SPEECH = K_MIXUP._replace(rate=3e-3, epochs=30, drops=(10, 20))
# Data-dependency, Sections 2.3 and 2.4; full batches for points, 128 for images.
DATA_DEPENDENCY = Schedule("adam", 1e-3, 1500, 0)
DATA_DEPENDENCY_IMAGES = Schedule("adam", 1e-3, 50, 128)
# On mixup regularization, Appendix B.
REGULARIZATION_LENET = Schedule("sgd", 0.01, 200, 128, (100,), momentum=0.9, weight_decay=5e-4)
REGULARIZATION_RESNET = REGULARIZATION_LENET._replace(rate=0.1, drops=(60, 120, 160))
REGULARIZATION_MOONS = Schedule("sgd", 5.0, None, 50)
# Multi-mix, Sections IV-A, IV-B and IV-G. Momentum and weight decay are not printed.
MULTI_MIX_SPIRAL = Schedule("adam", 0.01, 3000, 256)
MULTI_MIX = Schedule("sgd", 0.2, 300, 100, (100, 200))
MULTI_MIX_SPEECH = Schedule("sgd", 3e-3, 30, None, (10, 20))


def shortened(schedule, epochs):
    """The same in fewer epochs: the rate drops after the same part of them."""
    if not isinstance(epochs, int) or epochs < 1 or schedule.epochs is None:
        raise ValueError(f"shortened: epochs must be known, and >= 1. Received: {epochs} of {schedule.epochs}.")
    drops = tuple(round(drop * epochs / schedule.epochs) for drop in schedule.drops)
    return schedule._replace(epochs=epochs, drops=drops)


def rate_at(schedule, epoch):
    """The learning rate of an epoch, which count from 0."""
    return schedule.rate * schedule.factor ** sum(epoch >= drop for drop in schedule.drops)


def optimizer(schedule, steps_per_epoch):
    """A new Keras optimizer for it."""
    drops = sorted({drop for drop in schedule.drops if drop > 0})
    rate = rate_at(schedule, 0)
    if drops:
        # A boundary is the last step of the rate before it; steps count from 0.
        boundaries = [drop * steps_per_epoch - 1 for drop in drops]
        values = [rate, *(rate_at(schedule, drop) for drop in drops)]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    if schedule.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    return DecayedSGD(rate, momentum=schedule.momentum, decay_rate=schedule.weight_decay)


def decayed(gradients, variables, rate):
    """Gradients with those of rate / 2 times the sum of squares: weight decay as the papers' framework has it.

    Keras' own `weight_decay` takes its part of the weights past the momentum, which is something else. As there,
    biases and normalisations decay as well.
    """
    pairs = zip(gradients, variables, strict=True)
    return [
        None if gradient is None else gradient + rate * tf.cast(weight, gradient.dtype) for gradient, weight in pairs
    ]


class DecayedSGD(keras.optimizers.SGD):
    """SGD whose gradients are those of `decayed`. decay_rate: finite and >= 0."""

    def __init__(self, learning_rate=0.01, decay_rate=0.0, **options):
        super().__init__(learning_rate, **options)
        self.decay_rate = decay_rate

    def apply_gradients(self, grads_and_vars, **options):
        """Takes a step. Keras 2 and 3 both come by here in `fit`."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        if self.decay_rate:
            gradients = decayed(gradients, variables, self.decay_rate)
        return super().apply_gradients(list(zip(gradients, variables, strict=True)), **options)

    def get_config(self):
        return {**super().get_config(), "decay_rate": self.decay_rate}
