"""A batch in parts, each of which becomes as many mixtures: what runs on the host, in NumPy alone."""

from typing import NamedTuple

import numpy as np

from kmix_tf.blend.comixup.energy import JointEnergy
from kmix_tf.blend.comixup.solve import solved

# Added to what the prior draws before its logarithm is taken: the authors' number.
TINY = 1e-8
# Where an image is most salient is looked for in windows of so large a part of each axis: 8 of 32 places, as theirs.
WINDOW = 4


class CoMixupSettings(NamedTuple):
    """The numbers that mixtures go by; see `CoMixupBlend`."""

    part: int
    blocks: int
    alpha: float
    beta: float
    gamma: float
    threshold: float
    eta: float
    omega: float
    sweeps: int


def most_salient(saliency: np.ndarray) -> np.ndarray:
    """Where each image is most salient, on average over a window: int `(batch, axes)`, the first place of it.

    The window is as long as a quarter of each axis, and lies within the image.

    Args:
        saliency: float `(batch, *axes)`.
    """
    sums = np.asarray(saliency, np.float64)
    for axis in range(1, sums.ndim):
        length = max(1, sums.shape[axis] // WINDOW)
        running = np.cumsum(np.insert(sums, 0, 0.0, axis=axis), axis=axis)
        counts = np.arange(running.shape[axis] - length)
        sums = running.take(counts + length, axis) - running.take(counts, axis)
    flat = sums.reshape(len(sums), -1).argmax(axis=1)
    return np.stack(np.unravel_index(flat, sums.shape[1:]), axis=1)


def energy_of_part(
    cells: np.ndarray, places: np.ndarray, settings: CoMixupSettings, rng: np.random.Generator
) -> JointEnergy:
    """What the outputs of a part are judged by, in the scales of the published code: costs are per block.

    Args:
        cells: the saliency of each block, `(inputs, *blocks)`, summing to 1. places: `(inputs, axes)`, where inputs
            are most salient. rng: draws how much of each input there should be.
    """
    inputs, blocks = len(cells), cells[0].size
    prior = np.log(rng.dirichlet(np.full(inputs, settings.alpha)) + TINY)
    unary = -cells.astype(np.float64) - settings.eta / blocks * prior.reshape(-1, *[1] * (cells.ndim - 1))
    apart = np.abs(places[:, np.newaxis] - places).sum(axis=-1).astype(np.float64)
    apart *= inputs / max(apart.sum(), 1)
    likeness = (1 - settings.omega) * np.eye(inputs) + settings.omega * apart
    smooth, many, most = settings.beta / blocks, settings.gamma / blocks, settings.threshold * blocks
    return JointEnergy(unary, likeness, smooth, many, most)


def gather_on_host(cells: np.ndarray, saliency: np.ndarray, seed: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The two rows of the batch of which each block of each mixture shows the mean: int32 `(batch, *blocks, 2)`.

    The batch is shuffled and cut into as few parts as hold at most `part` samples, as large as each other, or one
    larger. One function for all blends: each `numpy_function` registers its callee for good.

    Args:
        cells: the saliency of each block, `(batch, *blocks)`. saliency: of each place, `(batch, *axes)`.
        seed: integers `(2,)`. numbers: `CoMixupSettings`, float64.
    """
    batch, settings = len(cells), settings_of(numbers)
    pairs = np.broadcast_to(np.arange(batch).reshape(-1, *[1] * cells.ndim), (*cells.shape, 2)).copy()
    if batch > 1:
        rng = np.random.Generator(np.random.Philox(key=np.asarray(seed).astype(np.uint64)))
        places = most_salient(saliency)
        for rows in np.array_split(rng.permutation(batch), -(-batch // settings.part)):
            if len(rows) > 1:
                energy = energy_of_part(cells[rows], places[rows], settings, rng)
                start = rng.integers(0, len(rows), cells[rows].shape)
                pairs[rows] = rows[solved(energy, start, settings.sweeps)]
    return pairs.astype(np.int32)


def settings_of(numbers: np.ndarray) -> CoMixupSettings:
    """The settings that came as numbers through a graph."""
    settings = CoMixupSettings(*numbers.tolist())
    counts = {name: int(getattr(settings, name)) for name in ("part", "blocks", "sweeps")}
    return settings._replace(**counts)
