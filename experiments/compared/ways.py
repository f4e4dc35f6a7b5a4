"""All ways of mixing, each a function of a task that trains a network and returns it."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import keras

from experiments.compared.images import CLASSES, Images
from kmix_tf import (
    CoMixupLayer,
    CutMixLayer,
    FMixLayer,
    KMixupLayer,
    ManifoldMixModel,
    MixModel,
    PuzzleMixLayer,
    SaliencyMixLayer,
)
from kmix_tf.paired import Trainer, batches

PLAIN, MIXUP = "no mixup", "Input mixup"
# The layers that give maps.
MAPS = ("stage_0", "stage_1", "stage_2")


class Task(NamedTuple):
    """make: makes a network of `network_of`. blocks: how many a side, where a way mixes blocks."""

    make: Callable[[], keras.Model]
    blocks: int
    data: Images
    batch: int
    steps: int
    rate: float
    seed: int


class Trained(NamedTuple):
    """A network that returns logits, and how long a step took."""

    network: keras.Model
    seconds: float


def network_of(shape, width, strides):
    """Three convolutions; outputs are logits."""
    layers = keras.layers
    x = inputs = keras.Input(shape)
    x = layers.Rescaling(4, offset=-1)(x)
    for stage, stride in enumerate(strides):
        x = layers.Conv2D(width << stage, 3, strides=stride, padding="same", activation="relu", name=MAPS[stage])(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))


def _train(task, layer=None, wrap=None, loss=None):
    """By mixtures of the data stage, or of the step where something wraps the network."""

    def optimizer():
        # Nesterov's momentum, and a rate that falls to 0 along a cosine.
        fall = keras.optimizers.schedules.CosineDecay(task.rate, task.steps)
        return keras.optimizers.SGD(fall, momentum=0.9, nesterov=True)

    # What wraps the network begins with the seed's weights, too, and with the network's own.
    keras.utils.set_random_seed(task.seed)
    trainer = Trainer(task.make, optimizer, loss=loss, wrap=wrap, steps_per_call=20)
    dataset = batches(task.data.x, task.data.labels, task.batch, task.seed, layer)
    # The first half has what is done but once.
    half, times = task.steps // 2, []
    network = trainer.run(dataset, task.steps, task.seed, half, lambda _: times.append(time.perf_counter()))
    return Trained(network, (times[1] - times[0]) / half)


def _in_the_step(task, layer, **options):
    return _train(task, wrap=lambda network: MixModel(network, layer, seed=task.seed, **options))


def _manifold(task):
    wrap = functools.partial(ManifoldMixModel, layers=["input", *MAPS[:2]], mix=KMixupLayer(1, 2.0), seed=task.seed)
    return _train(task, wrap=wrap)


def ways() -> dict[str, Callable[[Task], Trained]]:
    """By name, in the order of the tables."""
    return {
        PLAIN: _train,
        MIXUP: lambda task: _train(task, KMixupLayer(1)),
        "k-mixup, k = 16": lambda task: _train(task, KMixupLayer(16)),
        "Manifold mixup": _manifold,
        "CutMix": lambda task: _train(task, CutMixLayer()),
        "FMix": lambda task: _train(task, FMixLayer()),
        "SaliencyMix": lambda task: _in_the_step(task, SaliencyMixLayer(), smoothing=1.0),
        "Puzzle Mix": lambda task: _in_the_step(task, PuzzleMixLayer(blocks=task.blocks), clean_weight=1.0),
        "Co-Mixup": lambda task: _in_the_step(task, CoMixupLayer(blocks=task.blocks), clean_weight=1.0),
        "RegMixup": lambda task: _in_the_step(task, KMixupLayer(1, 20.0), clean_weight=1.0),
    }
