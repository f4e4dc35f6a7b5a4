"""All ways of mixing, each a function of a task that trains a network and returns it."""

from collections.abc import Callable
from typing import NamedTuple

import keras

from experiments.compared.images import CLASSES, Images
from kmix_tf import (
    AdaMixupModel,
    AlignMixBlend,
    AttentiveMixLayer,
    AutoMixModel,
    BetaRatio,
    CoMixupLayer,
    CutMixLayer,
    DecoupledMixupLoss,
    FeatureSaliency,
    FMixLayer,
    GridMixLayer,
    KMixupLayer,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    PuzzleMixLayer,
    RecursiveMixLayer,
    RecursiveMixModel,
    ResizeMixLayer,
    SaliencyMixLayer,
    SmoothMixLayer,
    StyleMixBlend,
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
    return trainer.run(dataset, task.steps, task.seed)


def _wrapped(task, make, *given, **options):
    """By a model that wraps the network and mixes in its step."""
    return _train(task, wrap=lambda network: make(network, *given, seed=task.seed, **options))


def _manifold(task):
    return _wrapped(task, ManifoldMixModel, ["input", *MAPS[:2]], KMixupLayer(1, 2.0))


def _aligned(task):
    mixes = {"input": KMixupLayer(1, 2.0), MAPS[-1]: KMixupLayer(1, 2.0, blend=AlignMixBlend())}
    return _wrapped(task, ManifoldMixModel, list(mixes), mixes)


def _attentive(task):
    """What matters is what a network that was trained without mixing answers to."""
    plain = _train(task)
    return _train(task, AttentiveMixLayer(grid=task.blocks, saliency=FeatureSaliency(plain, MAPS[0])))


def _styled(task):
    """By an encoder and a decoder that were trained on the images themselves. As published, a fifth of the batches is
    mixed so."""
    encoder, decoder = _autoencoder(task)
    return _train(task, MixLayer(ratio=BetaRatio(0.5), blend=StyleMixBlend(encoder, decoder), probability=0.2))


def _autoencoder(task, channels=32):
    keras.utils.set_random_seed(task.seed)
    layers, shape = keras.layers, task.data.x.shape[1:]
    x = inputs = keras.Input(shape)
    x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
    encoder = keras.Model(inputs, layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(x))
    x = maps = keras.Input(encoder.output_shape[1:])
    x = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", activation="relu")(x)
    decoder = keras.Model(maps, layers.Conv2D(shape[-1], 3, padding="same")(x))
    both = keras.Model(inputs, decoder(encoder(inputs)))
    both.compile(keras.optimizers.Adam(3e-3), "mse", steps_per_execution=20)
    images = batches(task.data.x, task.data.x, task.batch, task.seed)
    both.fit(images, steps_per_epoch=task.steps, verbose=0)
    return encoder, decoder


def _decoupled(task):
    return _train(task, KMixupLayer(1), loss=DecoupledMixupLoss(eta=0.01, from_logits=True))


def _learnt(task, layer=None, **options):
    """By masks that a block learns meanwhile. Its copy follows the model faster than published: training is short."""
    return _wrapped(task, AutoMixModel, MAPS[1], layer or KMixupLayer(1, 2.0), momentum=0.99, **options)


def _staged(make, *given, **options):
    return lambda task: _train(task, make(*given, **options))


def ways() -> dict[str, Callable[[Task], keras.Model]]:
    """By name, in the order of the tables."""
    return {
        PLAIN: _train,
        MIXUP: _staged(KMixupLayer, 1),
        "k-mixup, k = 16": _staged(KMixupLayer, 16),
        "Manifold mixup": _manifold,
        "CutMix": _staged(CutMixLayer),
        "FMix": _staged(FMixLayer),
        "ResizeMix": _staged(ResizeMixLayer),
        "GridMix": _staged(GridMixLayer),
        "SmoothMix": _staged(SmoothMixLayer),
        "SaliencyMix": lambda task: _wrapped(task, MixModel, SaliencyMixLayer(), smoothing=1.0),
        "Attentive CutMix": _attentive,
        "Puzzle Mix": lambda task: _wrapped(task, MixModel, PuzzleMixLayer(blocks=task.blocks), clean_weight=1.0),
        "Co-Mixup": lambda task: _wrapped(task, MixModel, CoMixupLayer(blocks=task.blocks), clean_weight=1.0),
        "AlignMixup": _aligned,
        "StyleMix": _styled,
        "RecursiveMix": lambda task: _wrapped(task, RecursiveMixModel, RecursiveMixLayer(), consistency_weight=0.1),
        "RegMixup": lambda task: _wrapped(task, MixModel, KMixupLayer(1, 20.0), clean_weight=1.0),
        "Decoupled mixup": _decoupled,
        "AdaMixup": lambda task: _wrapped(task, AdaMixupModel),
        "AutoMix": _learnt,
        "AutoMix, k = 16": lambda task: _learnt(task, KMixupLayer(16, 2.0)),
        "SAMix": lambda task: _learnt(task, block="samix", variance_weight=0.2),
    }
