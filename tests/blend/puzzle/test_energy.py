"""Saliency in blocks, and what neighbours cost, against loops over pixels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kmix_tf.blend.puzzle.blocks import COUNTS, allowed_counts, at_places, block_means, block_of, draw_count
from kmix_tf.blend.puzzle.energy import block_saliency, mask_energy, pair_energy

RNG = np.random.default_rng(12)


def cuts(size, count):
    """The places of each block, by counting."""
    return [[place for place in range(size) if place * count // size == block] for block in range(count)]


@pytest.mark.parametrize(
    ("shape", "count"), [((8, 8), 4), ((7, 5), 2), ((9, 16), 4), ((11,), 3), ((6, 6, 3), 3)], ids=str
)
def test_means_and_places_of_blocks(shape, count):
    values = RNG.normal(size=(2, *shape)).astype(np.float32)
    axes = min(len(shape), 2)
    means = block_means(tf.constant(values), [count] * axes).numpy()
    for block in np.ndindex(*[count] * axes):
        inside = np.ix_(range(2), *(cuts(shape[axis], count)[block[axis]] for axis in range(axes)))
        np.testing.assert_allclose(
            means[(slice(None), *block)], values[inside].mean(axis=tuple(range(1, 1 + axes))), atol=1e-6
        )
    spread = at_places(tf.constant(means), shape[:axes]).numpy()
    for place in np.ndindex(*shape[:axes]):
        block = tuple(place[axis] * count // shape[axis] for axis in range(axes))
        assert (spread[(slice(None), *place)] == means[(slice(None), *block)]).all()


def test_blocks_of_any_size_differ_by_one_place_at_most():
    for size, count in itertools.product(range(2, 30), range(2, 12)):
        if size >= count:
            lengths = np.bincount(block_of(size, count), minlength=count)
            assert len(lengths) == count
            assert lengths.max() - lengths.min() <= (size % count > 0)


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ((32, 32), [2, 4, 8, 16]),
        ((28, 28), [2, 4]),
        ((4, 6), [2]),
        ((7, 5), [2]),
        ((9, 33), [2, 4]),
        ((33, 33), [2, 4, 8, 16]),
        ((2, 3), [2]),
        ((40,), [2, 4, 8]),
    ],
    ids=str,
)
@pytest.mark.representatives("sizes", [(32, 32), (7, 5), (40,)])
def test_counts_divide_the_image_or_leave_two_places(sizes, counts):
    allowed = allowed_counts(sizes)
    assert [count for count, is_allowed in zip(COUNTS, allowed.numpy(), strict=True) if is_allowed] == counts
    draw = tf.function(lambda seed: draw_count(allowed, tf.stack([seed, 3])))
    drawn = [COUNTS[draw(tf.constant(seed))] for seed in range(200)]
    assert sorted(set(drawn)) == counts
    # 200 fair draws of one in four are fewer than 20 once in ten million times.
    assert min(drawn.count(count) for count in counts) >= 20


def test_saliency_in_blocks_sums_to_one_and_is_uniform_where_it_says_nothing():
    saliency = RNG.exponential(size=(4, 6, 6)).astype(np.float32)
    saliency[1], saliency[2, 0, 0] = 0, np.nan
    blocks = block_saliency(tf.constant(saliency), 3).numpy()
    np.testing.assert_allclose(blocks.sum(axis=(1, 2)), 1, rtol=1e-6)
    assert (blocks[1:3] == np.float32(1 / 9)).all()
    np.testing.assert_allclose(blocks[0, 0, 2], saliency[0, :2, 4:].sum() / saliency[0].sum(), rtol=1e-5)


def shown_difference(images, labels, blocks, neigh, axis, block):
    """phi: the mean difference along the border of a block and the next one along an axis, in cells, as shown."""
    size = images[0].shape[axis]
    side = size // blocks
    cell = min(neigh, side)
    total = []
    start, other = block[axis] * side, block[1 - axis] * side
    for offset in range(0, side, cell):
        cells = []
        for label, low in ((labels[0], start + side - cell), (labels[1], start + side)):
            window = [slice(low, low + cell), slice(other + offset, other + offset + cell)]
            window = window if axis == 0 else window[::-1]
            cells.append(images[label][tuple(window)].mean(axis=(0, 1)))
        total.append(np.abs(cells[0] - cells[1]).mean())
    return np.mean(total)


def energy_by_hand(images, saliency, mask, blocks, beta, gamma, neigh):
    """The energy of a mask of zeros and ones; saliency lost, and borders."""
    side = images[0].shape[0] // blocks
    parts = [s.reshape(blocks, side, blocks, side).mean(axis=(1, 3)) for s in saliency]
    ours, theirs = (part / part.sum() for part in parts)
    total = (mask * theirs + (1 - mask) * ours).sum()
    for axis in (0, 1):
        for block in np.ndindex(blocks, blocks):
            if block[axis] + 1 < blocks:
                after = tuple(number + (other == axis) for other, number in enumerate(block))
                labels = (1 - mask[block], 1 - mask[after])
                differs = shown_difference(images, labels, blocks, neigh, axis, block)
                total += beta / 16 / blocks * ((mask[block] - mask[after]) ** 2 + gamma * differs)
    return total


@pytest.mark.parametrize(("blocks", "neigh"), [(2, 4), (2, 2), (4, 4), (4, 1)])
def test_the_energy_of_a_mask_is_what_pixels_say(blocks, neigh):
    images = RNG.uniform(size=(3, 8, 8, 2)).astype(np.float32)
    saliency = RNG.exponential(size=(3, 8, 8)).astype(np.float32)
    partner = np.array([2, 0, 1])
    energy = pair_energy(
        [tf.constant(images)] * 2,
        [tf.constant(saliency)] * 2,
        tf.constant(partner, tf.int32),
        tf.constant(1.0),
        blocks=blocks,
        beta=1.2,
        gamma=0.9,
        neigh_size=neigh,
    )
    for row, other in enumerate(partner):
        masks = RNG.integers(0, 2, size=(6, blocks, blocks))
        pair = ([images[row], images[other]], [saliency[row], saliency[other]])
        by_hand = [energy_by_hand(*pair, mask, blocks, 1.2, 0.9, neigh) for mask in masks]
        one = type(energy)(
            tf.repeat(energy.pull[row : row + 1], 6, axis=0),
            tuple(tf.repeat(edges[row : row + 1], 6, axis=0) for edges in energy.smooth),
        )
        ours = mask_energy(one, masks, np.full(6, 0.5), n_labels=2, eta=0.0).numpy()
        # Up to a constant of the pair.
        np.testing.assert_allclose(ours - ours[0], np.array(by_hand) - by_hand[0], atol=1e-6)


def test_smoothness_is_never_negative_and_is_positive_up_to_gamma_one():
    # A border where each image continues the other: only a mask that changes sides there shows no edge.
    left, right = np.zeros((2, 4, 8, 1), np.float32)
    left[:, 4:], right[:, :4] = 1, 1
    images = tf.constant(np.stack([left, right]))
    weights = {}
    for gamma in (0.0, 0.5, 1.0, 5.0):
        energy = pair_energy(
            [images] * 2,
            [tf.ones([2, 4, 8])] * 2,
            tf.constant([1, 0]),
            tf.constant(1.0),
            blocks=2,
            beta=1.6,
            gamma=gamma,
            neigh_size=2,
        )
        weights[gamma] = energy.smooth[1].numpy().ravel()
    np.testing.assert_allclose(weights[0.0], 0.05, rtol=1e-6)
    np.testing.assert_allclose(weights[0.5], 0.025, rtol=1e-6)
    np.testing.assert_allclose(weights[1.0], 0, atol=1e-7)
    assert (weights[5.0] == 0).all()


def test_pixels_count_in_units_of_their_range():
    images = RNG.uniform(size=(3, 8, 8, 2)).astype(np.float32)
    options = {"blocks": 4, "beta": 1.0, "gamma": 1.0, "neigh_size": 2}
    saliency = [tf.ones([3, 8, 8])] * 2
    partner = tf.constant([1, 2, 0])
    plain = pair_energy([tf.constant(images)] * 2, saliency, partner, tf.constant(1.0), **options)
    large = pair_energy([tf.constant(255 * images)] * 2, saliency, partner, tf.constant(255.0), **options)
    np.testing.assert_allclose(large.pull, plain.pull, atol=1e-6)
    flat = pair_energy([tf.constant(images)] * 2, saliency, partner, tf.constant(0.0), **options)
    assert (flat.pull.numpy() == 0).all()
