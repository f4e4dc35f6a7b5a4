"""Shared by several experiments of this paper: images with a background, a small network, ways of mixing."""

import functools
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from sklearn import datasets

from kmix_tf import (
    BetaRatio,
    CutMixBlend,
    FMixBlend,
    LinearBlend,
    ManifoldMixModel,
    MixLayer,
    MixModel,
    MultiMixLayer,
    PuzzleMixBlend,
    SaliencyMixBlend,
)
from kmix_tf.paired import Trainer, batches
from kmix_tf.pipeline import mix

CLASSES, SIDE = 10, 16
PLAIN, INPUT, MANIFOLD = "no mixup", "Input mixup", "Manifold mixup"
CUTOUT, SMOOTHING = "Cutout", "Label smoothing"
CUTMIX, FMIX, SALIENCYMIX, PUZZLE = "Cutmix", "FMix", "SaliencyMix", "Puzzle-mix"
BLENDS = {
    INPUT: LinearBlend, MANIFOLD: LinearBlend, CUTMIX: CutMixBlend, FMIX: FMixBlend, SALIENCYMIX: SaliencyMixBlend,
    PUZZLE: functools.partial(PuzzleMixBlend, blocks=4, transport_blocks=4),
}  # fmt: skip
# Their saliency is of the model in training.
_SALIENT = (SALIENCYMIX, PUZZLE)


class Images(NamedTuple):
    """x: float32 `(n, 16, 16, 1)` in [0, 1]. y: int32 `(n,)`. foreground: booleans `(n, 16, 16)`, the digit."""

    x: np.ndarray
    y: np.ndarray
    foreground: np.ndarray


def digits_on_photographs(seed, *sizes, background=0.5, shift=2):
    """Disjoint sets of images: a digit near the middle of a piece of a photograph, both of scikit-learn's."""
    digits, middle = datasets.load_digits(), (SIDE - 8) // 2
    random = np.random.default_rng(seed)
    order = random.permutation(len(digits.target))[: sum(sizes)]
    x = background * _pieces(random, len(order))
    foreground = np.zeros(x.shape, bool)
    for row, (image, corner) in enumerate(
        zip(digits.images[order] / 16, middle + random.integers(-shift, shift + 1, (len(order), 2)), strict=True)
    ):
        place = row, slice(corner[0], corner[0] + 8), slice(corner[1], corner[1] + 8)
        x[place] = image + (1 - image) * x[place]
        foreground[place] = image > 0
    y = digits.target[order].astype(np.int32)
    whole = Images(x[..., np.newaxis].astype(np.float32), y, foreground)
    ends = np.cumsum(sizes)
    return [Images(*(part[end - size : end] for part in whole)) for end, size in zip(ends, sizes, strict=True)]


def _pieces(random, count):
    """Gray pieces of the two photographs, each of 32 x 32 pixels averaged by twos: `(count, 16, 16)`."""
    photographs = [each.mean(axis=-1) / 255 for each in datasets.load_sample_images().images]
    pieces = np.empty((count, SIDE, SIDE))
    for row in range(count):
        of = photographs[random.integers(len(photographs))]
        top, left = (random.integers(0, size - 2 * SIDE) for size in of.shape)
        piece = of[top : top + 2 * SIDE, left : left + 2 * SIDE]
        pieces[row] = piece.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    return pieces


def small_cnn(width=16):
    """Three convolutions with a stride of 2; outputs are logits."""
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 1))
    x = layers.Rescaling(4, offset=-1)(inputs)
    for stage in range(3):
        x = layers.Conv2D(width << stage, 3, strides=2, padding="same", activation="relu", name=f"stage_{stage}")(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x)))


def sgd(rate, steps):
    """Nesterov's momentum, and a rate that falls to 0 along a cosine."""
    fall = keras.optimizers.schedules.CosineDecay(rate, steps)
    return lambda: keras.optimizers.SGD(fall, momentum=0.9, nesterov=True)


class Arms:
    """Trains a network by one way of mixing after another, from equal weights and on equal batches.

    make, optimizer: as in `Trainer`. places: layers at which manifold mixup mixes.
    """

    def __init__(self, make, optimizer, places=("stage_0", "stage_1"), steps_per_call=20):
        self._options = {"make": make, "optimizer": optimizer, "steps_per_call": steps_per_call}
        self._places = list(places)
        self._plain = Trainer(**self._options)

    def train(self, method, interpolations, data, batch, steps, seed, alpha=1.0, before=None):
        """The network after so many steps.

        method: one of `BLENDS`, `PLAIN`, `CUTOUT` or `SMOOTHING`. before: changes batches of images and one-hot
        labels before they are mixed, `(x, y, seed)` to `(x, y)`.
        """
        layer = mixing(method, interpolations, alpha)
        if method in _SALIENT:
            smoothing = 1.0 if method == SALIENCYMIX else None
            trainer = self._wrapped(functools.partial(MixModel, layer=layer, seed=seed, smoothing=smoothing))
        elif method == MANIFOLD:
            mixes = functools.partial(ManifoldMixModel, layers=self._places, mix=layer, seed=seed)
            trainer = self._wrapped(mixes)
        else:
            trainer = self._plain
        dataset = batches(data.x, np.eye(CLASSES, dtype=np.float32)[data.y], batch, seed)
        before = {CUTOUT: cutout, SMOOTHING: smoothed}.get(method, before)
        if before is not None:
            seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
            dataset = tf.data.Dataset.zip((seeds, dataset)).map(lambda seeds, data: before(*data, seeds))
        if trainer is self._plain:
            dataset = dataset.apply(mix(layer, seed=seed))
        return trainer.run(dataset.prefetch(4), steps, seed)

    def _wrapped(self, wrap):
        return Trainer(**self._options, wrap=wrap)


def cutout(x, y, seed, side=8):
    """Gray squares, anywhere with their middles in the images."""
    corners = tf.random.stateless_uniform((tf.shape(x)[0], 2), seed, 0, SIDE, tf.int32) - side // 2
    places = tf.range(SIDE)[tf.newaxis, :, tf.newaxis] - corners[:, tf.newaxis]
    inside = (places >= 0) & (places < side)
    is_cut = inside[:, :, tf.newaxis, 0] & inside[:, tf.newaxis, :, 1]
    return tf.where(is_cut[..., tf.newaxis], 0.25, x), y


def smoothed(x, y, seed, share=0.1):
    """Labels that leave a share to all classes alike."""
    return x, (1 - share) * y + share / CLASSES


def mixing(method, interpolations=1, alpha=1.0):
    """The layer that mixes so."""
    if method not in BLENDS:
        return MixLayer(ratio=BetaRatio(0.0), num_classes=CLASSES)
    return MultiMixLayer(interpolations, alpha, blend=BLENDS[method](), num_classes=CLASSES)
