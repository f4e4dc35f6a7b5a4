"""Masks of least energy, as a minimum cut, in integers: so that all solvers find the very same mask.

A label of n_labels - 1 = d draws is d binary levels at its block, of which as many are 1 as the sample has shares.
With w_ij / d^2 between each level of a block and each of its neighbour's, a cut pays w_ij [(z_i - z_j)^2
+ z_i (1 - z_i) + z_j (1 - z_j)]; the last two are each block's own, and are taken off its levels' weights. These
weights then grow from level to level (the binomial's logarithm is concave), so of levels that are alike in all else
the first ones are 1, and a cut of least cost is a labelling of least energy. That is Ishikawa's construction, without
the infinite arcs that he needs where weights are in no order.

Of several best cuts, that with the most of the sample is taken. It grows with the ratio, block by block, because
each level's weight falls with it: masks of one pair for descending ratios are nested.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from kmix_tf.blend.puzzle.energy import PairEnergy, log_odds
from kmix_tf.blend.puzzle.in_graph import cut_in_graph
from kmix_tf.blend.puzzle.on_host import cut_on_host

# A level's mean weight, as integers have it: far above the rounding of float32, far below what overflows.
RESOLUTION = 2**18
LARGEST_SUM = 2**29


class CutProblem(NamedTuple):
    """Binary levels with weights, and what it costs that neighbours' levels differ, in integers.

    weight: int32 `(problems, *blocks, levels)`, what level 1 costs more than 0. smooth: for each axis, int32 >= 0
    `(problems, *edges)`, what each two levels on both sides of an edge cost if they differ.
    """

    weight: tf.Tensor
    smooth: tuple[tf.Tensor, ...]


def cut_problem(energy: PairEnergy, ratio: tf.Tensor, *, n_labels: int, eta: float) -> CutProblem:
    """Masks of pairs as cuts.

    Weights that outweigh all neighbours together are cut down to twice as much, which changes no best mask. What is
    left is scaled by a factor of the pair, the same for all ratios, that makes a level's mean bound 2^18 (or
    the sum of all 2^29, for more than 2048 levels), and rounded: to a part in 2^19 of the mean.

    Args:
        energy: of pairs.
        ratio: float32 `(interpolations, pairs)` in [0, 1].
        n_labels, eta: as in `mask_energy`.

    Returns:
        Problems of all pairs for one ratio after another, interpolations x pairs.
    """
    draws = n_labels - 1
    blocks = energy.pull.shape.rank - 1
    number = tf.cast(tf.reduce_prod(tf.shape(energy.pull)[1:]), tf.float32)
    around = _around(energy)
    flat = [1] * blocks
    odds = tf.reshape(log_odds(ratio), tf.concat([tf.shape(ratio), flat], 0))
    weights = []
    for level in range(draws):
        step = (1 - (2 * level + 1) / draws) / draws
        shared = energy.pull / draws - around * step
        prior = math.log((draws - level) / (level + 1)) + odds
        weights.append(shared - (eta / number * prior if eta else tf.zeros_like(prior)))
    bound = 2 * around / draws + 1 / number
    total = draws * tf.reduce_sum(bound, axis=range(1, 1 + blocks))
    scale = tf.minimum(RESOLUTION * number * draws, float(LARGEST_SUM)) / total
    per_pair = tf.reshape(scale, tf.concat([tf.shape(scale), flat], 0))
    weight = tf.stack([tf.clip_by_value(weight, -bound, bound) * per_pair for weight in weights], axis=-1)
    weight = tf.reshape(weight, tf.concat([[tf.size(ratio)], tf.shape(weight)[2:]], 0))
    several = tf.shape(ratio)[0]
    smooth = [
        tf.tile(_rounded(edges * per_pair / draws**2), tf.concat([[several], flat], 0)) for edges in energy.smooth
    ]
    return CutProblem(_rounded(weight), tuple(smooth))


def _rounded(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(values), tf.int32)


def _around(energy: PairEnergy) -> tf.Tensor:
    """The smoothness of all edges of each block together."""
    around = tf.zeros_like(energy.pull)
    for axis, edges in enumerate(energy.smooth, start=1):
        for side in ([0, 1], [1, 0]):
            around += tf.pad(edges, [side if other == axis else [0, 0] for other in range(edges.shape.rank)])
    return around


def minimum_cut(problem: CutProblem, solver: str = "host") -> tf.Tensor:
    """The labels of least cost, and of these the greatest: int32 `(problems, *blocks)`, 0 to levels.

    Args:
        problem: integers, of at most 2^29 in sum for each problem.
        solver: "host": `cut_on_host`. "graph": `cut_in_graph`. Both give the same.
    """
    if solver == "graph":
        labels = cut_in_graph(problem.weight, problem.smooth)
    else:
        labels = tf.numpy_function(cut_on_host, [problem.weight, *problem.smooth], tf.int32, stateful=False)
    labels.set_shape(problem.weight.shape[:-1])
    return labels
