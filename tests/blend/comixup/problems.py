"""Random problems for the tests of Co-Mixup, with the published numbers."""

import itertools

import numpy as np

from kmix_tf.blend.comixup import JointEnergy


def random_energy(rng, inputs, sizes, threshold=0.83, omega=0.1, beta=0.32, gamma=1.0, eta=0.05, extra=None):
    """Random saliency and places; omega is large enough to matter."""
    blocks = int(np.prod(sizes))
    saliency = rng.exponential(size=(inputs, *sizes))
    saliency /= saliency.reshape(inputs, -1).sum(axis=1).reshape(-1, *[1] * len(sizes))
    prior = np.log(rng.dirichlet([2.0] * inputs) + 1e-8).reshape(-1, *[1] * len(sizes))
    apart = np.abs(np.subtract.outer(*[rng.integers(0, 25, inputs)] * 2)).astype(float)
    apart *= inputs / max(apart.sum(), 1)
    likeness = (1 - omega) * np.eye(inputs) + omega * apart
    unary = -saliency - eta / blocks * prior
    return JointEnergy(unary, likeness, beta / blocks, gamma / blocks, threshold * blocks, extra)


def random_pairs(rng, outputs, sizes, inputs, halves=True):
    """Two inputs of each block, half of the time the same one twice."""
    pairs = np.sort(rng.integers(0, inputs, (outputs, *sizes, 2)), axis=-1)
    alone = rng.random((outputs, *sizes)) < (0.5 if halves else 2)
    return np.where(alone[..., np.newaxis], pairs[..., :1], pairs)


def every_labelling(count, shape):
    """All arrays of a shape of so many labels."""
    return np.array(list(itertools.product(range(count), repeat=int(np.prod(shape))))).reshape(-1, *shape)


def neighbours(sizes):
    """All pairs of blocks that share a border."""
    for block in np.ndindex(*sizes):
        for axis in range(len(sizes)):
            if block[axis] + 1 < sizes[axis]:
                yield block, tuple(at + (axis == number) for number, at in enumerate(block))
