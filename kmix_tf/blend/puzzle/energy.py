"""What a mask costs: saliency lost, rough borders, and labels that the ratio makes unlikely."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kmix_tf._graph import at_least_float32
from kmix_tf._shapes import Size
from kmix_tf.blend.puzzle.blocks import block_means, cells_in_blocks, numbers_to, sizes_of

# The paper's code divides beta by the blocks of a side and by this.
BETA_UNIT = 16


class PairEnergy(NamedTuple):
    """The part of a mask's cost that all ratios of a pair share: sum_i pull_i z_i + sum_ij smooth_ij (z_i - z_j)^2.

    pull: float32 `(pairs, *blocks)`. smooth: for each axis, float32 >= 0, of the edges between a block and the next
    one along that axis: pull's shape, but one less along the axis.
    """

    pull: tf.Tensor
    smooth: tuple[tf.Tensor, ...]


def pair_energy(
    images: Sequence[tf.Tensor],
    saliency: Sequence[tf.Tensor],
    partner: tf.Tensor,
    unit: tf.Tensor,
    *,
    blocks: int,
    beta: float,
    gamma: float,
    neigh_size: int,
) -> PairEnergy:
    """The energy of masks of pairs, up to a constant, for z the share of the sample at each block.

    A mask loses the saliency it covers, sum_i z_i s'_i + (1 - z_i) s_i, with s and s' each image's saliency in
    blocks, summing to 1. Neighbours i and j pay b [(z_i - z_j)^2 + gamma phi_ij(z_i, z_j)], b = beta / (16 blocks)
    in two dimensions, where phi_ij at the corners is how much the images shown on both sides differ along the border,
    and between the corners the quadratic with these values whose only product of z_i and z_j is in (z_i - z_j)^2,
    as in the authors' code. Where that leaves (z_i - z_j)^2 a negative factor, which no minimum cut can represent,
    the factor is 0. With gamma <= 1 and images within the range of one unit there is none.

    Args:
        images: the two batches' images, `(batch, *axes)` or `(batch, *axes, ...)`.
        saliency: float32 `(batch, *axes)` for each, >= 0; of a row whose sum is not positive, all places count alike.
        partner: int32 `(pairs,)`, rows of the second batch, for rows `p % batch` of the first.
        unit: float32 scalar, the difference between the greatest and the least value of pixels. 0: all are equal.
        blocks: along each axis.
        beta, gamma: >= 0.
        neigh_size: how many places from a border differences are averaged over, >= 1.

    Source: Puzzle Mix, the objective of the mask, in the scales of its published code.
    """
    axes = saliency[0].shape.rank - 1
    weight = beta / (BETA_UNIT * blocks ** (axes - 1))
    rows = tf.range(tf.size(partner)) % tf.shape(images[0])[0]
    ours, theirs = (tf.gather(block_saliency(s, blocks), r) for s, r in zip(saliency, (rows, partner), strict=True))
    pull, smooth = theirs - ours, []
    sides = [
        tf.gather(_cells(image, unit, axes, blocks, neigh_size), r)
        for image, r in zip(images, (rows, partner), strict=True)
    ]
    both = tf.stack(sides)
    fits = [cells_in_blocks(size, blocks, neigh_size) for size in sizes_of(images[0], axes)]
    for axis in range(axes):
        own, other, mixed, crossed = _differences(both, axis, fits, blocks)
        # Corners (1, 1), (0, 0), (1, 0), (0, 1): whose image the lower and the upper block of a border show.
        factor = (mixed + crossed - own - other) / 2
        smooth.append(weight * tf.maximum(1 + gamma * factor, 0))
        pull += _at_ends(own - other, mixed - crossed, axis) * (weight * gamma / 2)
    return PairEnergy(pull, tuple(smooth))


def block_saliency(saliency: tf.Tensor, blocks: int | tf.Tensor | Sequence[int | tf.Tensor]) -> tf.Tensor:
    """Mean saliency of blocks, as shares of the image's: float32 `(batch, *blocks)`, summing to 1."""
    axes = saliency.shape.rank - 1
    means = block_means(saliency, blocks if isinstance(blocks, (list, tuple)) else [blocks] * axes)
    total = tf.reduce_sum(means, axis=range(1, 1 + axes), keepdims=True)
    is_sound = tf.math.is_finite(total) & (total > 0)
    return tf.where(is_sound, means / total, 1 / tf.cast(tf.reduce_prod(tf.shape(means)[1:]), tf.float32))


def _cells(image: tf.Tensor, unit: tf.Tensor, axes: int, blocks: int, neigh_size: int) -> tf.Tensor:
    """Means of cells of `neigh_size` places, in units of the pixels' range: float32 `(batch, *cells, channels)`."""
    image = at_least_float32(image)
    if image.shape.rank != 2 + axes:
        channels = math.prod(image.shape[1 + axes :]) if None not in image.shape[1 + axes :] else -1
        image = tf.reshape(image, tf.concat([tf.shape(image)[: 1 + axes], [channels]], 0))
    fits = [cells_in_blocks(size, blocks, neigh_size) for size in sizes_of(image, axes)]
    means = block_means(image, [blocks * cells for cells in fits])
    return tf.cast(tf.math.divide_no_nan(means, tf.cast(unit, means.dtype)), tf.float32)


def _differences(sides: tf.Tensor, axis: int, fits: Sequence[Size], blocks: int) -> list[tf.Tensor]:
    """Mean absolute differences across each border along an axis, for the images (1, 1), (2, 2), (1, 2), (2, 1) shown
    below and above it: float32 `(pairs, ..., blocks - 1, ...)` each.

    sides: cells of both images, `(2, pairs, *cells, channels)`.
    """
    border = numbers_to(blocks)[1:] * fits[axis]
    below, above = tf.gather(sides, border - 1, axis=2 + axis), tf.gather(sides, border, axis=2 + axis)
    apart = tf.reduce_mean(tf.abs(tf.concat([below - above, below - above[::-1]], 0)), axis=-1)
    # All of them are means in one go.
    flat = tf.reshape(apart, tf.concat([[-1], tf.shape(apart)[2:]], 0))
    flat.set_shape([None, *apart.shape[2:]])
    means = block_means(flat, [blocks - 1 if other == axis else blocks for other in range(len(fits))])
    return tf.split(means, 4)


def _at_ends(even: tf.Tensor, odd: tf.Tensor, axis: int) -> tf.Tensor:
    """Adds what each border pulls at the block below it, even + odd, and at the one above it, even - odd."""
    before, after = [[0, 0] for _ in range(even.shape.rank)], [[0, 0] for _ in range(even.shape.rank)]
    before[1 + axis], after[1 + axis] = [1, 0], [0, 1]
    return tf.pad(even + odd, after) + tf.pad(even - odd, before)


def log_odds(ratio: tf.Tensor) -> tf.Tensor:
    """log(ratio / (1 - ratio)), float32; infinite at 0 and 1."""
    return tf.math.log(ratio) - tf.math.log1p(-ratio)


def mask_energy(
    energy: PairEnergy, mask: tf.Tensor, ratio: tf.Tensor, *, n_labels: int = 3, eta: float = 0.2
) -> tf.Tensor:
    """The cost of masks, in float64, up to a constant of the pair.

    Args:
        energy: of pairs.
        mask: int32 `(pairs, *blocks)`, labels 0 to n_labels - 1, the sample's shares of 1 / (n_labels - 1).
        ratio: float `(pairs,)` in (0, 1).
        n_labels, eta: of the prior, -eta / blocks sum_i log p(z_i), p binomial with `n_labels - 1` draws.

    Returns:
        float64 `(pairs,)`.

    Source: Puzzle Mix, the objective of the mask for fixed transport; multi-mix, eq. (5), for the prior.

    Example:
        >>> energy = PairEnergy(tf.constant([[0.3, -0.3]]), (tf.constant([[0.1]]),))
        >>> mask_energy(energy, tf.constant([[0, 2]]), tf.constant([0.5]), eta=0.0).numpy().round(6)
        array([-0.2])
    """
    mask, draws = tf.convert_to_tensor(mask), n_labels - 1
    inner = range(1, mask.shape.rank)
    share = tf.cast(mask, tf.float64) / draws
    total = tf.reduce_sum(tf.cast(energy.pull, tf.float64) * share, axis=inner)
    for axis, smooth in enumerate(energy.smooth, start=1):
        size = tf.shape(share)[axis]
        step = tf.gather(share, tf.range(1, size), axis=axis) - tf.gather(share, tf.range(size - 1), axis=axis)
        total += tf.reduce_sum(tf.cast(smooth, tf.float64) * tf.square(step), axis=inner)
    ratio = tf.cast(ratio, tf.float64)[..., tf.newaxis]
    labels = tf.range(n_labels, dtype=tf.float64)
    choose = tf.constant([math.log(math.comb(draws, label)) for label in range(n_labels)], tf.float64)
    prior = choose + labels * tf.math.log(ratio) + (draws - labels) * tf.math.log1p(-ratio)
    chosen = tf.gather(prior, tf.reshape(mask, [tf.shape(mask)[0], -1]), batch_dims=1)
    return total - eta * tf.reduce_mean(chosen, axis=1)
