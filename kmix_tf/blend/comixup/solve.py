"""Outputs of low energy: each is labelled anew, the others as they are, in a few sweeps over all of them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kmix_tf.blend.comixup.energy import BONUS_OF_HALVES, JointEnergy, joint_energy, own_cost
from kmix_tf.blend.comixup.swap import Grid, grid_energies, swapped

# Of so many inputs in an output, at most, halves are tried: the authors' number.
MOST_IN_HALVES = 3


def masks_of(pairs: np.ndarray, inputs: int) -> np.ndarray:
    """How much of each input each block shows: float64 `(outputs, *blocks, inputs)`.

    Args:
        pairs: int `(outputs, *blocks, 2)`, the two inputs of which a block shows the mean; one input, twice.
        inputs: how many there are.
    """
    return np.eye(inputs)[pairs].mean(axis=-2)


def shown_by(pairs: np.ndarray, inputs: int) -> np.ndarray:
    """How many blocks of each input each output shows: float64 `(outputs, inputs)`."""
    return masks_of(pairs, inputs).reshape(len(pairs), -1, inputs).sum(axis=1)


def swept(pairs: np.ndarray, energy: JointEnergy, halves: bool) -> np.ndarray:
    """Labels every output anew, one after another: int `(outputs, *blocks, 2)`.

    Each gets labels that cost it no more than it had, in `own_cost` and borders, with what the others show then.
    Where nothing is below the threshold, the joint energy falls as much; where something is, it may rise, because an
    output that shows more of an input may bring others across theirs. See `course`.

    Args:
        pairs: int `(outputs, *blocks, 2)`; see `masks_of`. energy: what they are judged by.
        halves: whether blocks may show two inputs that their output shows already.

    Source: Co-Mixup, its algorithm, after the published code.
    """
    pairs, inputs = pairs.copy(), len(energy.unary)
    shown = shown_by(pairs, inputs)
    for output in range(len(pairs)):
        cost = own_cost(shown.sum(axis=0) - shown[output], energy, output)
        pairs[output] = _labelled(pairs[output], cost, energy.smooth, shown[output], halves)
        shown[output] = shown_by(pairs[output : output + 1], inputs)[0]
    return pairs


def _labelled(now: np.ndarray, cost: np.ndarray, smooth: float, shown: np.ndarray, halves: bool) -> np.ndarray:
    """One output's blocks, `(*blocks, 2)`, by swaps from what it was or from what is best without borders."""
    names = _names(now, shown, halves)
    shares = np.eye(len(cost))[names].mean(axis=1)
    own = np.tensordot(shares, cost, axes=1)
    own[len(cost) :] -= BONUS_OF_HALVES
    between = smooth * 0.5 * np.square(shares[:, np.newaxis] - shares).sum(axis=-1)
    grid = Grid(own, between)
    labels = (now[..., np.newaxis, :] == names).all(axis=-1).argmax(axis=-1)
    starts = np.stack([labels, own.argmin(axis=0)])
    return names[swapped(starts[grid_energies(starts, grid).argmin()], grid)]


def _names(now: np.ndarray, shown: np.ndarray, halves: bool) -> np.ndarray:
    """The two inputs of each label, int `(labels, 2)`: all inputs by themselves first, then those by halves."""
    most = np.argsort(-shown, kind="stable")[:MOST_IN_HALVES]
    most = np.sort(most[shown[most] > 0]) if halves else most[:0]
    there = now.reshape(-1, 2)
    several = [(one, other) for at, one in enumerate(most) for other in most[at + 1 :]]
    several = sorted({*map(tuple, several), *(tuple(pair) for pair in there[there[:, 0] != there[:, 1]])})
    alone = np.repeat(np.arange(len(shown))[:, np.newaxis], 2, axis=1)
    return np.concatenate([alone, np.array(several, alone.dtype).reshape(-1, 2)])


def parting_costs(shown: np.ndarray, price: float) -> np.ndarray | None:
    """What tells outputs apart that show the same inputs, two or more: float64 `(outputs, inputs)`; None if none do.

    Of two such outputs, the first pays for the first of these inputs, and the second for the second.
    """
    there = shown > 0
    extra = np.zeros(shown.shape)
    for one in range(len(there)):
        for other in range(one + 1, len(there)):
            inputs = np.flatnonzero(there[one])
            if len(inputs) > 1 and (there[one] == there[other]).all():
                extra[one, inputs[0]] = extra[other, inputs[1]] = price
    return extra if extra.any() else None


class Stand(NamedTuple):
    """After a sweep: the outputs of least energy so far, int `(outputs, *blocks, 2)`, and what they are judged by."""

    pairs: np.ndarray
    energy: JointEnergy


def course(energy: JointEnergy, start: np.ndarray, sweeps: int) -> Iterator[Stand]:
    """How outputs stand after each sweep: by what they are judged by then, never worse than before it.

    A sweep goes on from the one before, also where that raised the energy: the next one may come lower than any.

    Args:
        energy, start, sweeps: as in `solved`.
    """
    pairs = best = np.stack([start, start], axis=-1)
    for sweep in range(sweeps):
        if sweep and sweep == sweeps - 1:
            energy = energy._replace(extra=parting_costs(shown_by(pairs, len(energy.unary)), energy.many))
        pairs = swept(pairs, energy, halves=sweep > 0)
        energies = [joint_energy(masks_of(each, len(energy.unary)), energy) for each in (best, pairs)]
        best = pairs if energies[1] <= energies[0] else best
        yield Stand(best, energy)


def solved(energy: JointEnergy, start: np.ndarray, sweeps: int) -> np.ndarray:
    """Outputs of low energy: int `(outputs, *blocks, 2)`, the best that were seen after any of so many sweeps.

    Halves are allowed from the second sweep on; before the last one, outputs that show the same inputs are parted.

    Args:
        energy: what outputs are judged by.
        start: int `(outputs, *blocks)`, the input that each block shows at first.
        sweeps: an integer >= 1.

    Source: Co-Mixup, its algorithm, with what the published code adds to it.

    Example:
        >>> saliency = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])  # of two inputs in 1 x 2 blocks
        >>> energy = JointEnergy(-saliency, np.eye(2), smooth=0.0, many=0.0, most=0.0)
        >>> solved(energy, np.zeros([2, 1, 2], int), sweeps=1)[:, 0, :, 0].tolist()
        [[0, 1], [0, 1]]
    """
    *_, last = course(energy, start, sweeps)
    return last.pairs
