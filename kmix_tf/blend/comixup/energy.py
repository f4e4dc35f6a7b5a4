"""What a set of mixtures costs: saliency left out, rough borders, and inputs that are shown too often elsewhere."""

from typing import NamedTuple

import numpy as np

# What a block saves that shows two inputs by halves, so that of equals these are taken: the authors' number.
BONUS_OF_HALVES = 5e-4


class JointEnergy(NamedTuple):
    """What outputs are judged by, of n inputs in P blocks.

    unary: float64 `(n, *blocks)`, what it costs to show an input in a block. likeness: float64 `(n, n)`, symmetric
    and >= 0, by how much showing one input elsewhere counts as showing another. smooth, many: what borders and
    repeated inputs cost. most: how many blocks elsewhere cost nothing. extra: float64 `(outputs, n)` or None, what a
    block of an input costs besides in an output.
    """

    unary: np.ndarray
    likeness: np.ndarray
    smooth: float
    many: float
    most: float
    extra: np.ndarray | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of blocks along each axis."""
        return self.unary.shape[1:]


def joint_energy(masks: np.ndarray, energy: JointEnergy) -> float:
    """The energy of outputs, float64: the lower, the better.

    For masks z of outputs j, inputs i and blocks p,

        sum_jip c_ip z_jip + smooth sum_j sum_pq 1/2 |z_jp - z_jq|^2 + many sum_ji o_ji g_ji - 5e-4 (blocks of halves)
        o_ji = sum_p z_jip,   a_j = likeness (sum_j' o_j' - o_j),   g_ji = a_ji if a_ji > most, otherwise 0

    over neighbours pq, and with `extra_ji o_ji` besides.

    Args:
        masks: `(outputs, *blocks, n)`; the shares of a block are one 1, or two halves.
        energy: what they are judged by.

    Source: Co-Mixup, its objective, with the threshold for each input as in `obj_fn_thres` of the
    published code; there without `likeness` and for whole blocks alone.

    Example:
        >>> energy = JointEnergy(-np.eye(2)[:, np.newaxis], np.eye(2), smooth=0.5, many=1.0, most=1.5)
        >>> apart = np.array([[[[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]]]])  # two outputs of 1 x 2 blocks
        >>> joint_energy(apart, energy)  # each shows both salient blocks: -4, and has one border: 1
        -3.0
    """
    masks = np.asarray(masks, np.float64)
    shown = masks.reshape(len(masks), -1, masks.shape[-1]).sum(axis=1)
    unary = np.sum(np.moveaxis(energy.unary, 0, -1) * masks)
    borders = sum(0.5 * np.sum(np.diff(masks, axis=axis) ** 2) for axis in range(1, masks.ndim - 1))
    halves = np.count_nonzero(masks.max(axis=-1) < 1)
    total = unary + energy.smooth * borders - BONUS_OF_HALVES * halves
    total += energy.many * np.sum(shown * crowded(shown.sum(axis=0) - shown, energy))
    return float(total if energy.extra is None else total + np.sum(energy.extra * shown))


def crowded(elsewhere: np.ndarray, energy: JointEnergy) -> np.ndarray:
    """How much each input is shown elsewhere, where that is more than costs nothing: `(..., n)` of blocks, the same.

    Args:
        elsewhere: how many blocks of each input the other outputs show.
    """
    counted = elsewhere @ energy.likeness
    return np.where(counted > energy.most, counted, 0.0)


def own_cost(elsewhere: np.ndarray, energy: JointEnergy, output: int) -> np.ndarray:
    """What each block of an output costs for each input, the other outputs as they are: float64 `(n, *blocks)`.

    A repeated input counts for both outputs that show it, so twice. That is exact where nothing is below the
    threshold; the others' thresholds are taken as they are, as in the published code.
    """
    cost = 2 * energy.many * crowded(elsewhere, energy)
    if energy.extra is not None:
        cost = cost + energy.extra[output]
    return energy.unary + cost.reshape(-1, *[1] * len(energy.sizes))
